// Emits the code of one group of rows, in pieces. jit_program.cc lays the groups out and runs them;
// the register map is at the head of jit_group.cc.
#pragma once
#include <vector>

#include "jit/assembler.h"
#include "program/program.h"

namespace pc {

// Rows of a group. Their sums for one tile, a column of pixels and one more register fill the 32
// registers of AVX-512.
inline constexpr size_t kJitRows = 30;

// Tiles that run through a piece before the next piece: 16 or 32 measured the same, 8 was 5 % slower
// (Sapphire Rapids).
inline constexpr size_t kPassTiles = 16;

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
  size_t prefetch_bytes = 0;  // of the next piece that the code for one tile prefetches
};

class GroupEmitter {
 public:
  explicit GroupEmitter(const ProgramSpec& spec);

  // An upper bound of the bytes that the code and weights of a group take.
  size_t room(size_t group) const;
  // Writes the pieces of a group between `begin` and `end`. They are empty if the memory is too
  // small.
  std::vector<EmittedPiece> emit(size_t group, uint8_t* begin, uint8_t* end);

 private:
  struct Entry {
    uint32_t row;
    float weight;
  };
  // A piece to emit: columns [begin, end) of the group's range, for its rows.
  struct Range {
    size_t begin, end;
    size_t first_row, rows;
    bool is_first, is_last;
    bool reads_first;  // no earlier group reads the pixels
  };
  size_t first_row(size_t group) const { return group_start(spec_.matrix->rows, groups_, group); }
  size_t first_weight(size_t group) const;
  size_t weights_of(size_t group) const { return first_weight(group + 1) - first_weight(group); }
  size_t calls_of_a_pass() const;
  void sort_by_column(size_t group);
  std::vector<size_t> cut() const;
  size_t shared_lines() const;
  size_t size_of(size_t begin, size_t end, size_t rows) const;
  void emit_sums(Assembler&, const Range&, size_t lines);
  void end_block(Assembler&, size_t first, size_t rows, size_t block);
  void add_earlier_sums(Assembler&, Zmm sum, size_t row, size_t block);
  void emit_results(Assembler&, size_t first, size_t rows);
  void emit_activation(Assembler&, size_t rows);
  int32_t y_disp(size_t row) const;
  int32_t addend_disp(size_t row) const;
  Memory weight(Assembler&, float value);

  const ProgramSpec& spec_;
  size_t groups_;
  size_t first_column_ = 0, column_count_ = 0;  // the range of columns with weights of the group
  std::vector<uint32_t> starts_, next_;         // per column of that range: indices into entries_
  std::vector<Entry> entries_;                  // of the group, by column, then by row
  std::vector<float> weights_;                  // in the order in which the code reads them
  int32_t weight_disp_ = 0;                     // of the next weight, relative to rsi
  size_t block_ = 0;                            // of columns, that is being emitted
};

}  // namespace pc
