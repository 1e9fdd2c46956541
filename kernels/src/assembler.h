// What code for every instruction set is made of: bytes, displacements, prefetches, the end. The vector instructions are
// in assembler_avx512.h and assembler_avx2.h; test/test_assembler.cc compares each form with a disassembler.
#pragma once
#include <cstdint>

namespace pc {

enum Base : int { kRax = 0, kRcx = 1, kRdx = 2, kRsi = 6, kRdi = 7, kR8 = 8, kR9 = 9 };

struct Memory {
  Base base;
  int32_t disp;
};

class Assembler {
 public:
  Assembler(uint8_t* begin, uint8_t* end) : at_(begin), end_(end) {}

  uint8_t* at() const { return at_; }
  bool overflowed() const { return overflowed_; }

  void add_to_rsi(int32_t value);
  void rax_from_stack(int32_t disp);  // [rsp + disp]
  void prefetch_l1(Memory);
  void prefetch_l2(Memory);
  void prefetch_for_write(Memory);
  void end();  // vzeroupper, ret
  void pad_to_line();

 protected:
  // Which opcode: its map (1: 0F, 2: 0F 38, 3: 0F 3A), its mandatory prefix (0: none, 1: 66), the byte.
  struct Op {
    int map, prefix, code;
  };
  bool room();
  void byte(int value) { *at_++ = static_cast<uint8_t>(value); }
  void word(int32_t value);
  void operand(int reg, Memory, int scale);

 private:
  void prefetch(int code, int hint, Memory);

  uint8_t *at_, *end_;
  bool overflowed_ = false;
};

}  // namespace pc
