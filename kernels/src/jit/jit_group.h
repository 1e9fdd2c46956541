// Emits the code of one group of rows; see jit_program.cc.
#pragma once
#include <vector>

#include "jit/assembler.h"
#include "program/program.h"

namespace pc {

// Rows of a group: the sums of one tile in AVX-512's 32 registers.
inline constexpr size_t kJitRows = 30;

struct EmittedGroup {
  const float* weights = nullptr;
  uint8_t* end = nullptr;  // of code and weights; null where the room did not suffice
  size_t ahead = 0;        // bytes of the next group that each tile fetches
};

class GroupEmitter {
 public:
  explicit GroupEmitter(const ProgramSpec& spec);

  // Bytes that code and weights of a group take at most.
  size_t room(size_t group) const;
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
  void add_before(Assembler&, int sum, size_t row, size_t block);
  void emit_results(Assembler&, size_t first, size_t rows);
  void emit_activation(Assembler&, size_t rows);
  int32_t y_disp(size_t row) const;
  Memory weight(Assembler&, float value);

  const ProgramSpec& spec_;
  size_t groups_;
  size_t first_column_ = 0, column_count_ = 0;  // those that the group may have weights in
  std::vector<uint32_t> starts_, next_;         // of these columns, into entries_
  std::vector<Entry> entries_;           // of the group, by column, then by row
  std::vector<float> weights_;           // in the order in which the code reads them
  int32_t place_ = 0;                    // of the next weight, from where rsi points
};

}  // namespace pc
