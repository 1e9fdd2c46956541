#include "jit/assembler.h"

#include <initializer_list>

namespace pc {
namespace {

constexpr int kLongest = 16;  // no instruction is longer
constexpr int kLine = 64, kFloat = 4;

}  // namespace

// Once something did not fit, nothing more is written; the caller asks at the end.
bool Assembler::room() {
  if (end_ - at_ < kLongest) overflowed_ = true;
  return !overflowed_;
}

void Assembler::word(int32_t value) {
  const auto bits = static_cast<uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) byte(static_cast<int>(bits >> shift & 0xff));
}

// The four prefix bytes. The high bits of register numbers are stored inverted: `reg` has R and R', `second` has vvvv
// and V', the last operand has B (bit 3) and X (bit 4). Vectors are always 512 bits long, W is 0.
void Assembler::evex(Op op, int reg, int second, int rm3, int rm4, bool broadcast, Mask mask) {
  byte(0x62);
  byte((~reg >> 3 & 1) << 7 | (~rm4 & 1) << 6 | (~rm3 & 1) << 5 | (~reg >> 4 & 1) << 4 | op.map);
  byte((~second & 15) << 3 | 4 | op.prefix);
  byte((mask.zeroing ? 1 : 0) << 7 | 2 << 5 | (broadcast ? 1 : 0) << 4 | (~second >> 4 & 1) << 3 | mask.k);
  byte(op.code);
}

void Assembler::registers(Op op, int reg, int second, int rm, Mask mask) {
  if (!room()) return;
  evex(op, reg, second, rm >> 3 & 1, rm >> 4 & 1, false, mask);
  byte(0xc0 | (reg & 7) << 3 | (rm & 7));
}

void Assembler::memory(Op op, int reg, int second, Memory at, int scale, bool broadcast) {
  if (!room()) return;
  evex(op, reg, second, at.base >> 3 & 1, 0, broadcast, {});
  operand(reg, at, scale);
}

// One byte of displacement counts in units of `scale`. None of the bases needs a SIB byte (that would be rsp and r12).
void Assembler::operand(int reg, Memory at, int scale) {
  const int low = (reg & 7) << 3 | (at.base & 7);
  if (at.disp % scale == 0 && at.disp / scale >= -128 && at.disp / scale <= 127) {
    byte(0x40 | low);
    byte(at.disp / scale & 0xff);
  } else {
    byte(0x80 | low);
    word(at.disp);
  }
}

void Assembler::load(int to, Memory from) { memory({1, 0, 0x10}, to, 0, from, kLine); }
void Assembler::store(Memory to, int from) { memory({1, 0, 0x11}, from, 0, to, kLine); }
void Assembler::broadcast(int to, Memory from) { memory({2, 1, 0x18}, to, 0, from, kFloat); }

void Assembler::fma_broadcast(int sum, int factor, Memory factor_of_all) {
  memory({2, 1, 0xb8}, sum, factor, factor_of_all, kFloat, true);
}

void Assembler::add(int to, int a, Memory b) { memory({1, 0, 0x58}, to, a, b, kLine); }
void Assembler::multiply(int to, int a, int b, Mask mask) { registers({1, 0, 0x59}, to, a, b, mask); }
void Assembler::maximum(int to, int a, int b, Mask mask) { registers({1, 0, 0x5f}, to, a, b, mask); }
void Assembler::minimum(int to, int a, int b, Mask mask) { registers({1, 0, 0x5d}, to, a, b, mask); }
void Assembler::move(int to, int from, Mask mask) { registers({1, 0, 0x28}, to, 0, from, mask); }
void Assembler::zero(int to) { registers({1, 1, 0xef}, to, to, to); }

void Assembler::less_than(int k, int a, int b) {
  if (!room()) return;
  registers({1, 0, 0xc2}, k, a, b);
  byte(0x11);  // less than, quiet for NaN
}

void Assembler::add_to_rsi(int32_t value) {
  if (!room()) return;
  byte(0x48);
  byte(0x81);
  byte(0xc0 | kRsi);
  word(value);
}

void Assembler::mask_from_r9(int k) {  // kmovw k, r9d
  if (!room()) return;
  byte(0xc4);
  byte(0xc1);
  byte(0x78);
  byte(0x92);
  byte(0xc0 | k << 3 | 1);
}

void Assembler::prefetch(int code, int hint, Memory at) {
  if (!room()) return;
  if (at.base >= 8) byte(0x41);
  byte(0x0f);
  byte(code);
  operand(hint, at, 1);
}

void Assembler::prefetch_l1(Memory at) { prefetch(0x18, 1, at); }
void Assembler::prefetch_l2(Memory at) { prefetch(0x18, 2, at); }
void Assembler::prefetch_for_write(Memory at) { prefetch(0x0d, 1, at); }

void Assembler::end() {
  if (!room()) return;
  for (const int value : {0xc5, 0xf8, 0x77, 0xc3}) byte(value);
}

void Assembler::pad_to_line() {
  while (reinterpret_cast<uintptr_t>(at_) % kLine != 0 && room()) byte(0xcc);
}

}  // namespace pc
