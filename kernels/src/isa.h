// The routines that are compiled once per instruction set, and the choice between them at run time.
//
// Their translation units are built with other compiler flags than the rest, so nothing they could share with it as an
// inline function (in particular the standard library) may be included there: this header is all they see.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "activation.h"
#include "isa_planes.h"

namespace pc {

struct StreamEntry {
  uint32_t offset;  // floats from the tile's base
  float weight;
};

// Rows of a sparse matrix times tiles of 16 pixels.
struct StreamCall {
  const StreamEntry* entries;  // of the first row
  const uint32_t* ends;        // of each row, into entries
  const float* bias;
  size_t rows, tiles;
  const float* x;
  float* y;             // of the first row
  const float* addend;  // residual, laid out as y; may be null
  size_t y_stride;
  Activation activation;
};

// Rows of a plane, every `step`-th float, and zeros behind each up to the next.
struct PlaneCall {
  float *to, *end;  // nothing is written from `end` on
  const float* from;
  size_t to_pitch, from_pitch, rows, columns, step;
};

struct Isa {
  const char* name;
  void (*stream)(const StreamCall&);
  void (*activate)(float* data, size_t count, Activation);  // in place
  // to[i] = from[i * step], i < count
  void (*gather)(float* to, const float* from, size_t count, size_t step);
  void (*gather_plane)(const PlaneCall&);
  // to[column * to_stride + row] = from[row * from_stride + column]
  void (*transpose)(float* to, size_t to_stride, const float* from, size_t from_stride, size_t rows, size_t columns);
  const PlaneRoutines* planes;
};

// Null where this build or this machine has no such instruction set: "avx512", "avx2", "baseline".
const Isa* find_isa(const char* name);

// The best there is, or the one that PRUNE_COMPILE_ISA names (unknown or unavailable: the best below it).
const Isa& default_isa();

// Whether this machine and operating system run AVX-512F code.
bool has_avx512();

}  // namespace pc
