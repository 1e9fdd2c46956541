// Emits the code of groups of rows, in pieces. jit_program.cc lays them out and runs them; the
// register map is at the head of jit_group.cc.
#pragma once
#include <vector>

#include "jit/assembler.h"
#include "jit/sorted_rows.h"
#include "program/program.h"

namespace pc {

// Rows of a group. Their sums for one tile, a column of pixels and one more register fill the 32
// registers of AVX-512.
inline constexpr size_t kJitRows = 30;

// Tiles that run through a piece before the next piece: 16 or 32 measured the same, 8 was 5 % slower
// (Sapphire Rapids).
inline constexpr size_t kPassTiles = 16;

// States of tiles and groups in a pass at most: 64 KB of the stack, of which threads may have 128 KB
// (musl).
inline constexpr size_t kMostStates = 32;

// Groups of a bundle at most. With five, more planes of results are written at a time than a
// first-level TLB has entries.
inline constexpr size_t kMostTogether = 3;

// The state of one tile between the pieces of a group. Its size is an odd number of cache lines.
struct alignas(64) TileState {
  uint16_t pixels;  // bit i is set if lane i of the tile is a pixel
  alignas(64) float sums[kJitRows][kLane];
};

// The code of a group over a range of columns: [begin, weights), and its weights: [weights, end).
struct EmittedPiece {
  const uint8_t* begin = nullptr;
  const float* weights = nullptr;
  const uint8_t* end = nullptr;
  size_t prefetch_bytes = 0;  // of the next chunk that the code for one tile prefetches
};

// Groups whose columns are cut at the same places. The pieces of all groups over one range of columns
// are a chunk: a tile runs through them one after the other while the chunk's code and the pixels
// that it reads are in the first-level caches.
struct EmittedBundle {
  std::vector<EmittedPiece> pieces;  // [chunk][group]; empty if the memory was too small
  size_t chunks = 0;
};

class GroupEmitter {
 public:
  explicit GroupEmitter(const ProgramSpec& spec);

  size_t bundles() const { return bundles_; }
  Range groups_of(size_t bundle) const {
    return {group_start(groups_, bundles_, bundle), group_start(groups_, bundles_, bundle + 1)};
  }
  Range rows_of(size_t group) const {
    return {group_start(spec_.matrix->rows, groups_, group), group_start(spec_.matrix->rows, groups_, group + 1)};
  }

  // An upper bound of the bytes that the code and weights of a bundle take.
  size_t room(size_t bundle) const;
  // Writes the pieces of a bundle between `begin` and `end`.
  EmittedBundle emit(size_t bundle, uint8_t* begin, uint8_t* end);

 private:
  // What a piece computes.
  struct Part {
    Range columns;
    bool is_first, is_last;
    bool reads_first;  // no earlier group reads the pixels
  };
  size_t weights_of(size_t group) const;
  size_t calls_of_a_chunk(size_t groups) const;
  std::vector<size_t> cut(const std::vector<SortedRows>&) const;
  size_t lines_of_pixels(const std::vector<SortedRows>&) const;
  void emit_sums(Assembler&, const SortedRows&, const Part&, size_t lines);
  void end_block(Assembler&, const SortedRows&, size_t block);
  void add_earlier_sums(Assembler&, Zmm sum, size_t row, size_t block);
  void emit_results(Assembler&, const SortedRows&);
  void emit_activation(Assembler&, size_t rows);
  int32_t y_disp(size_t row) const;
  int32_t addend_disp(size_t row) const;
  Memory weight(Assembler&, float value);
  Memory pixels(Assembler&, size_t column);

  const ProgramSpec& spec_;
  size_t groups_, bundles_;
  std::vector<float> weights_;  // of the piece, in the order in which the code reads them
  int32_t weight_disp_ = 0;     // of the next weight, relative to rsi
  int32_t x_disp_ = 0;          // how far rdi has advanced
};

}  // namespace pc
