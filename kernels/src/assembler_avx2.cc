#include "assembler_avx2.h"

namespace pc {

// The two or three prefix bytes. The high bits of register numbers and all of `second` are stored inverted; `rm` is the
// last operand, a register or the base of an address. Vectors are 256 bits long, W is 0.
void Avx2Assembler::vex(Op op, int reg, int second, int rm) {
  const int tail = (~second & 15) << 3 | 4 | op.prefix, high = (~reg >> 3 & 1) << 7;
  if (op.map == 1 && rm < 8) {
    byte(0xc5);
    byte(high | tail);
  } else {
    byte(0xc4);
    byte(high | 1 << 6 | (~rm >> 3 & 1) << 5 | op.map);
    byte(tail);
  }
  byte(op.code);
}

void Avx2Assembler::registers(Op op, int reg, int second, int rm) {
  if (!room()) return;
  vex(op, reg, second, rm);
  byte(0xc0 | (reg & 7) << 3 | (rm & 7));
}

void Avx2Assembler::memory(Op op, int reg, int second, Memory at) {
  if (!room()) return;
  vex(op, reg, second, at.base);
  operand(reg, at, 1);
}

void Avx2Assembler::load(int to, Memory from) { memory({1, 0, 0x10}, to, 0, from); }
void Avx2Assembler::store(Memory to, int from) { memory({1, 0, 0x11}, from, 0, to); }
void Avx2Assembler::broadcast(int to, Memory from) { memory({2, 1, 0x18}, to, 0, from); }
void Avx2Assembler::fma(int sum, int factor, int other) { registers({2, 1, 0xb8}, sum, factor, other); }
void Avx2Assembler::fma(int sum, int factor, Memory other) { memory({2, 1, 0xb8}, sum, factor, other); }
void Avx2Assembler::add(int to, int a, Memory b) { memory({1, 0, 0x58}, to, a, b); }
void Avx2Assembler::multiply(int to, int a, int b) { registers({1, 0, 0x59}, to, a, b); }
void Avx2Assembler::maximum(int to, int a, int b) { registers({1, 0, 0x5f}, to, a, b); }
void Avx2Assembler::minimum(int to, int a, int b) { registers({1, 0, 0x5d}, to, a, b); }
void Avx2Assembler::bits_and(int to, int a, int b) { registers({1, 0, 0x54}, to, a, b); }
void Avx2Assembler::zero(int to) { registers({1, 0, 0x57}, to, to, to); }
void Avx2Assembler::widen(int to, Memory from) { memory({2, 1, 0x21}, to, 0, from); }

void Avx2Assembler::less_than(int to, int a, int b) {
  if (!room()) return;
  registers({1, 0, 0xc2}, to, a, b);
  byte(0x11);  // less than, quiet for NaN
}

void Avx2Assembler::blend(int to, int no, int yes, int mask) {
  if (!room()) return;
  registers({3, 1, 0x4a}, to, no, yes);
  byte(mask << 4);
}

}  // namespace pc
