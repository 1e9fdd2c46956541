// Writes the dozen AVX-512 instruction forms that emitted kernels are made of. test/test_assembler.cc compares each with
// a disassembler.
#pragma once
#include <cstdint>

namespace pc {

enum Base : int { kRcx = 1, kRdx = 2, kRsi = 6, kRdi = 7, kR8 = 8 };

struct Memory {
  Base base;
  int32_t disp;
};

// k0 means no mask. A masked result keeps the lanes that are off, or has zeros there.
struct Mask {
  int k = 0;
  bool zeroing = false;
};

class Assembler {
 public:
  Assembler(uint8_t* begin, uint8_t* end) : at_(begin), end_(end) {}

  uint8_t* at() const { return at_; }
  bool overflowed() const { return overflowed_; }

  // Registers are 0 to 31.
  void load(int to, Memory from);
  void store(Memory to, int from);
  void broadcast(int to, Memory from);
  void fma_broadcast(int sum, int factor, Memory factor_of_all);  // sum += factor * [one float]
  void add(int to, int a, Memory b);
  void multiply(int to, int a, int b, Mask = {});
  void maximum(int to, int a, int b, Mask = {});  // b where either is NaN
  void minimum(int to, int a, int b, Mask = {});  // b where either is NaN
  void move(int to, int from, Mask);
  void zero(int to);
  void less_than(int k, int a, int b);  // mask k: a < b, false for NaN
  void add_to_rsi(int32_t value);
  void mask_from_r9(int k);
  void prefetch_l1(Memory);
  void prefetch_l2(Memory);
  void prefetch_for_write(Memory);
  void end();  // vzeroupper, ret
  void pad_to_line();

 private:
  // Which opcode: its map (1: 0F, 2: 0F 38), its mandatory prefix (0: none, 1: 66), the byte.
  struct Op {
    int map, prefix, code;
  };
  bool room();
  void byte(int value) { *at_++ = static_cast<uint8_t>(value); }
  void word(int32_t value);
  void evex(Op, int reg, int second, int rm3, int rm4, bool broadcast, Mask);
  void registers(Op, int reg, int second, int rm, Mask = {});
  void memory(Op, int reg, int second, Memory, int scale, bool broadcast = false);
  void operand(int reg, Memory, int scale);
  void prefetch(int code, int hint, Memory);

  uint8_t *at_, *end_;
  bool overflowed_ = false;
};

}  // namespace pc
