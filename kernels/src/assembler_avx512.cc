#include "assembler_avx512.h"

namespace pc {
namespace {

constexpr int kLine = 64, kFloat = 4;

}  // namespace

// The four prefix bytes. The high bits of register numbers are stored inverted: `reg` has R and R', `second` has vvvv
// and V', the last operand has B (bit 3) and X (bit 4). Vectors are always 512 bits long, W is 0.
void Avx512Assembler::evex(Op op, int reg, int second, int rm3, int rm4, bool broadcast, Mask mask) {
  byte(0x62);
  byte((~reg >> 3 & 1) << 7 | (~rm4 & 1) << 6 | (~rm3 & 1) << 5 | (~reg >> 4 & 1) << 4 | op.map);
  byte((~second & 15) << 3 | 4 | op.prefix);
  byte((mask.zeroing ? 1 : 0) << 7 | 2 << 5 | (broadcast ? 1 : 0) << 4 | (~second >> 4 & 1) << 3 | mask.k);
  byte(op.code);
}

void Avx512Assembler::registers(Op op, int reg, int second, int rm, Mask mask) {
  if (!room()) return;
  evex(op, reg, second, rm >> 3 & 1, rm >> 4 & 1, false, mask);
  byte(0xc0 | (reg & 7) << 3 | (rm & 7));
}

void Avx512Assembler::memory(Op op, int reg, int second, Memory at, int scale, bool broadcast) {
  if (!room()) return;
  evex(op, reg, second, at.base >> 3 & 1, 0, broadcast, {});
  operand(reg, at, scale);
}

void Avx512Assembler::load(int to, Memory from) { memory({1, 0, 0x10}, to, 0, from, kLine); }
void Avx512Assembler::store(Memory to, int from) { memory({1, 0, 0x11}, from, 0, to, kLine); }
void Avx512Assembler::broadcast(int to, Memory from) { memory({2, 1, 0x18}, to, 0, from, kFloat); }

void Avx512Assembler::fma_broadcast(int sum, int factor, Memory factor_of_all) {
  memory({2, 1, 0xb8}, sum, factor, factor_of_all, kFloat, true);
}

void Avx512Assembler::add(int to, int a, Memory b) { memory({1, 0, 0x58}, to, a, b, kLine); }
void Avx512Assembler::multiply(int to, int a, int b, Mask mask) { registers({1, 0, 0x59}, to, a, b, mask); }
void Avx512Assembler::maximum(int to, int a, int b, Mask mask) { registers({1, 0, 0x5f}, to, a, b, mask); }
void Avx512Assembler::minimum(int to, int a, int b, Mask mask) { registers({1, 0, 0x5d}, to, a, b, mask); }
void Avx512Assembler::move(int to, int from, Mask mask) { registers({1, 0, 0x28}, to, 0, from, mask); }
void Avx512Assembler::zero(int to) { registers({1, 1, 0xef}, to, to, to); }

void Avx512Assembler::less_than(int k, int a, int b) {
  if (!room()) return;
  registers({1, 0, 0xc2}, k, a, b);
  byte(0x11);  // less than, quiet for NaN
}

void Avx512Assembler::mask_from_r9(int k) {  // kmovw k, r9d
  if (!room()) return;
  byte(0xc4);
  byte(0xc1);
  byte(0x78);
  byte(0x92);
  byte(0xc0 | k << 3 | 1);
}

}  // namespace pc
