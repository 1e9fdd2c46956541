// What the operators on whole planes (pools, sums, products) need of an instruction set; part of isa.h.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "isa/activation.h"

namespace pc {

enum class Fold : uint32_t { most, sum };
enum class Combine : uint32_t { sum, product, quotient };

// to[i] = activation(bias + weights[0] * from[offsets[0] + i] + ...), sums in the order of the taps.
struct TapCall {
  const uint32_t* offsets;
  const float* weights;
  size_t taps;
  float bias;
  const float* from;
  float* to;
  size_t count;
  Activation activation;
};

// All counts are rounded up to whole tiles of 16 floats: so much is read and written.
struct PlaneRoutines {
  // to[i] = from[offsets[0] + i], folded with from[offsets[1] + i] and so on, in order. `most` is NaN where any of
  // them is.
  void (*fold)(float* to, const float* from, const uint32_t* offsets, size_t offset_count, size_t count, Fold);
  void (*taps)(const TapCall&);
  // to may be a.
  void (*combine)(float* to, const float* a, const float* b, size_t count, Combine);
  void (*scale)(float* to, const float* a, float factor, size_t count);
  // Sixteen sums side by side, added up in one order on every instruction set. In double precision: a float32 sum of as many equal
  // numbers as an image has pixels is off by up to 1e-4 of itself.
  double (*sum)(const float* from, size_t count);
  // to[i] = from[i / 2], i < 2 * count: no more than that, count is not rounded here.
  void (*twice)(float* to, const float* from, size_t count);
};

}  // namespace pc
