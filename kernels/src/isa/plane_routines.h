// The part of isa.h for operators on whole planes: pools, depthwise convolutions, sums, products.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "isa/activation.h"

namespace pc {

enum class Fold : uint32_t { maximum, sum };
enum class Combine : uint32_t { sum, product, quotient };

// to[i] = activation(bias + weights[0] * from[offsets[0] + i] + ...), summed in the order of the
// taps.
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

// Counts are rounded up to whole tiles of 16 floats, which are read and written.
struct PlaneRoutines {
  // to[i] = from[offsets[0] + i], combined with from[offsets[1] + i] and so on, in order. A maximum
  // is NaN if any operand is.
  void (*fold)(float* to, const float* from, const uint32_t* offsets, size_t offset_count, size_t count, Fold);
  void (*taps)(const TapCall&);
  // `to` may be `a`.
  void (*combine)(float* to, const float* a, const float* b, size_t count, Combine);
  void (*scale)(float* to, const float* a, float factor, size_t count);
  // Sixteen partial sums, added in the same order on every instruction set. Double precision,
  // because a float32 sum of as many equal numbers as an image has pixels has a relative error of
  // up to 1e-4.
  double (*sum)(const float* from, size_t count);
  // to[i] = from[i / 2], i < 2 * count. `count` is not rounded here.
  void (*upsample)(float* to, const float* from, size_t count);
};

}  // namespace pc
