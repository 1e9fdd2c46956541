// Emits the code of one group of rows. jit_program.cc lays the groups out and runs them; the
// register map is at the head of jit_group.cc.
#pragma once
#include <vector>

#include "jit/assembler.h"
#include "program/program.h"

namespace pc {

// Rows of a group. Their sums for one tile, a column of pixels and one more register fill the 32
// registers of AVX-512.
inline constexpr size_t kJitRows = 30;

struct EmittedGroup {
  const float* weights = nullptr;
  uint8_t* end = nullptr;     // of code and weights; null if the memory was too small
  size_t prefetch_bytes = 0;  // of the next group that the code for one tile prefetches
};

class GroupEmitter {
 public:
  explicit GroupEmitter(const ProgramSpec& spec);

  // An upper bound of the bytes that the code and weights of a group take.
  size_t room(size_t group) const;
  // Writes the code, then its weights, between `begin` and `end`.
  EmittedGroup emit(size_t group, uint8_t* begin, uint8_t* end);

 private:
  struct Entry {
    uint32_t row;
    float weight;
  };
  size_t first_row(size_t group) const { return group_start(spec_.matrix->rows, groups_, group); }
  size_t first_weight(size_t group) const;
  void sort_by_column(size_t group);
  void emit_sums(Assembler&, size_t group, size_t rows, size_t lines);
  void end_block(Assembler&, size_t first, size_t rows, size_t block);
  void add_earlier_sums(Assembler&, Zmm sum, size_t row, size_t block);
  void emit_results(Assembler&, size_t first, size_t rows);
  void emit_activation(Assembler&, size_t rows);
  int32_t y_disp(size_t row) const;
  Memory weight(Assembler&, float value);

  const ProgramSpec& spec_;
  size_t groups_;
  size_t first_column_ = 0, column_count_ = 0;  // the range of columns with weights of the group
  std::vector<uint32_t> starts_, next_;         // per column of that range: indices into entries_
  std::vector<Entry> entries_;                  // of the group, by column, then by row
  std::vector<float> weights_;                  // in the order in which the code reads them
  int32_t weight_disp_ = 0;                     // of the next weight, relative to rsi
};

}  // namespace pc
