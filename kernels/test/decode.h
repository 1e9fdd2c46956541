// Decodes the instruction forms that emitted code consists of, and no others: AVX-512 with EVEX
// prefixes, AVX2 with VEX prefixes, and the integer instructions of a loop. Bits that the processor
// ignores or refuses must have the values that assemblers write: a wrong byte is then an unknown
// instruction and not another encoding of the same one.
#pragma once
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace test {

enum class Op {
  load, store, broadcast, fma, add, multiply, maximum, minimum, move, exclusive_or, bitwise_and, compare, blend,
  load_mask, zero_uppers, integer_add, integer_subtract, integer_compare, integer_test, integer_move, address,
  increment, decrement, jump_if, prefetch, end
};

// [base + index * scale + disp]; index is -1 if there is none.
struct Address {
  int base = 0, index = -1, scale = 1;
  int64_t disp = 0;
  bool has_disp = false;  // encoded, even if it is 0
};

struct Instruction {
  Op op = Op::end;
  const char* name = "";
  size_t length = 0;  // of the instruction
  size_t bytes = 0;   // of a vector; 0: integers
  // Names as Intel uses them: the register of ModRM, the one of the prefix, the other operand of
  // ModRM unless it is memory, and the one of an immediate byte.
  int reg = 0, second = 0, rm = 0, fourth = 0;
  bool has_second = false, has_fourth = false, has_immediate = false;
  bool memory = false, one_float = false;  // one_float: broadcast to all lanes
  bool embedded = false;                   // the broadcast is part of an arithmetic instruction
  bool to_mask = false, to_rm = false;     // the result is a mask register, or the operand of ModRM
  Address at;
  int mask = 0;
  bool zeroing = false;
  int64_t immediate = 0;  // for jumps, from the end of the instruction
};

struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Decodes the instruction at `at`, which must end before `end`. Throws on anything else.
Instruction decode(const uint8_t* at, const uint8_t* end);

// The text that `objdump -M intel` prints for an instruction at `place` of its file.
std::string text(const Instruction&, size_t place);

}  // namespace test
