// The routines that are compiled once per instruction set, and the choice between them at run time.
//
// Their translation units are built with other compiler flags than the rest, so nothing they could share with it as an
// inline function (in particular the standard library) may be included there: this header is all they see.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "isa/activation.h"
#include "isa/plane_routines.h"

namespace pc {

struct StreamEntry {
  uint32_t offset;  // floats from the tile's base
  float weight;
};

// A row of a chunk: its sums and where its entries end (they begin where those of the row before end).
struct StreamRow {
  uint32_t row, end;
};

// What the next call will read, fetched into the caches meanwhile: a share of both with each row.
struct StreamAhead {
  const char *entries, *entries_end;
  size_t entry_lines;  // a row's share
  const float* x;
  const uint32_t *lines, *lines_end;  // floats from x
  size_t pixel_lines;                 // a row's share
};

// Some columns of a sparse matrix, for some rows and a few tiles of 16 pixels.
struct StreamCall {
  const StreamEntry* entries;
  const StreamRow* rows;
  size_t row_count;
  size_t tiles;  // at most Isa::stream_tiles
  const float* x;
  // Sums begin with the bias, one per row, or go on with what `partial` holds, [row][tiles][16] (null: bias).
  const float *bias, *partial;
  // They go to `to`, row by row at `to_stride`. When they are complete, after the addend (laid out likewise; may be null)
  // and the activation, with zeros in lanes whose bit in `masks` (one per tile; may be null) is not set.
  float* to;
  size_t to_stride;
  bool is_complete;
  const float* addend;
  Activation activation;
  const uint16_t* masks;
  StreamAhead ahead;
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
  size_t stream_tiles;  // whose sums of one row fit into registers
  size_t chunk_floats;  // of pixels that stay in the second-level cache while all rows work on them
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
