// The routines that are compiled once per instruction set, and the choice of one set at run time.
//
// The translation units avx512.cc, avx2.cc and baseline.cc have compiler flags of their own. They
// must not include inline functions that other units use as well, in particular the standard
// library: the linker keeps one copy of those, and it might contain instructions that the machine
// lacks. They include nothing but this header and headers of C.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "isa/activation.h"
#include "isa/plane_routines.h"

namespace pc {

struct StreamEntry {
  uint32_t offset;  // in floats from the base of the tile
  float weight;
};

// A row of a chunk, and the end of its entries. They start where those of the previous row end.
struct StreamRow {
  uint32_t row, end;
};

// Data of the next call, which this call prefetches: a share of the entries and the pixels with
// each row.
struct StreamPrefetch {
  const char *entries, *entries_end;
  size_t entry_lines;  // per row
  const float* x;
  const uint32_t *lines, *lines_end;  // floats from x
  size_t pixel_lines;                 // per row
};

// A range of columns of a sparse matrix, for some rows and a few tiles of 16 pixels.
struct StreamCall {
  const StreamEntry* entries;
  const StreamRow* rows;
  size_t row_count;
  size_t tiles;  // at most Isa::stream_tiles
  const float* x;
  // Sums start with `partial`, [row][tiles][16], or with the bias of the row if `partial` is null.
  const float *bias, *partial;
  // Row r is stored at to + r * to_stride. If the sums are complete, row r of the addend (which may
  // be null) is added first, then the activation is applied, then lanes whose bit in `masks` (one
  // per tile; may be null) is 0 become zero.
  float* to;
  size_t to_stride;
  bool is_complete;
  const float* addend;
  size_t addend_stride;
  Activation activation;
  const uint16_t* masks;
  StreamPrefetch prefetch;
};

// Copies every `step`-th float of the rows of a plane. Writes zeros after each row up to the next
// one.
struct PlaneCall {
  float *to, *end;  // `end` bounds what is written
  const float* from;
  size_t to_pitch, from_pitch, rows, columns, step;
};

// What a tile of 16 floats takes from one tile of another image. Lane i takes float lanes[i] of it;
// -1: lane i takes nothing.
struct TilePart {
  uint32_t tile;  // floats from the first tile
  int32_t lanes[16];
};

struct Isa {
  const char* name;
  void (*stream)(const StreamCall&);
  size_t stream_tiles;  // the most tiles whose sums of one row fit into registers
  size_t chunk_floats;  // pixels that stay in the second-level cache while all rows use them
  void (*activate)(float* data, size_t count, Activation);  // in place
  // to[i] = from[i * step], i < count
  void (*gather)(float* to, const float* from, size_t count, size_t step);
  void (*gather_plane)(const PlaneCall&);
  // Fills `channels` tiles that lie one after the other, as do those that they take from.
  void (*collect)(float* to, const float* from, const TilePart* parts, size_t count, size_t channels);
  // to[column * to_stride + row] = from[row * from_stride + column]
  void (*transpose)(float* to, size_t to_stride, const float* from, size_t from_stride, size_t rows, size_t columns);
  const PlaneRoutines* planes;
};

// "avx512", "avx2" or "baseline". Returns null if this build or this machine lacks the instruction
// set.
const Isa* find_isa(const char* name);

// The best instruction set of this machine. PRUNE_COMPILE_ISA (avx2 or baseline) is an upper bound;
// other values are ignored.
const Isa& default_isa();

// Whether this machine and its operating system run AVX-512F code.
bool has_avx512();

}  // namespace pc
