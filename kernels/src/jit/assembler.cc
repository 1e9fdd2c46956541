#include "jit/assembler.h"

#include <initializer_list>

namespace pc {
namespace {

constexpr int kLongest = 16;  // bytes; no instruction is longer
constexpr int kLine = 64, kFloat = 4;

}  // namespace

bool Assembler::room() {
  if (end_ - at_ < kLongest) overflowed_ = true;
  return !overflowed_;
}

void Assembler::word(int32_t value) {
  const auto bits = static_cast<uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) byte(static_cast<int>(bits >> shift & 0xff));
}

// The four EVEX prefix bytes and the opcode. The high bits of register numbers are stored inverted:
// `reg` uses R and R', `second` uses vvvv and V', the last operand uses B (bit 3) and X (bit 4).
// The vector length is always 512 bits, W is always 0.
void Assembler::evex(Op op, Operands operands, int rm3, int rm4, bool broadcast, WriteMask mask) {
  const auto [reg, second] = operands;
  byte(0x62);
  byte((~reg >> 3 & 1) << 7 | (~rm4 & 1) << 6 | (~rm3 & 1) << 5 | (~reg >> 4 & 1) << 4 | op.map);
  byte((~second & 15) << 3 | 4 | op.prefix);
  byte((mask.zeroing ? 1 : 0) << 7 | 2 << 5 | (broadcast ? 1 : 0) << 4 | (~second >> 4 & 1) << 3 | number(mask.k));
  byte(op.code);
}

void Assembler::registers(Op op, Operands operands, Zmm last, WriteMask mask) {
  if (!room()) return;
  const int rm = number(last);
  evex(op, operands, rm >> 3 & 1, rm >> 4 & 1, false, mask);
  byte(0xc0 | (operands.reg & 7) << 3 | (rm & 7));
}

void Assembler::memory(Op op, Operands operands, Memory at, int scale, bool broadcast) {
  if (!room()) return;
  evex(op, operands, number(at.base) >> 3 & 1, 0, broadcast, {});
  operand(operands.reg, at, scale);
}

// ModRM and displacement. A displacement of one byte counts in units of `scale` (disp8*N).
// No base needs a SIB byte: only rsp and r12 would.
void Assembler::operand(int reg, Memory at, int scale) {
  const int low = (reg & 7) << 3 | (number(at.base) & 7);
  if (at.disp % scale == 0 && at.disp / scale >= -128 && at.disp / scale <= 127) {
    byte(0x40 | low);
    byte(at.disp / scale & 0xff);
  } else {
    byte(0x80 | low);
    word(at.disp);
  }
}

void Assembler::load(Zmm to, Memory from) { memory({1, 0, 0x10}, {number(to), 0}, from, kLine); }
void Assembler::store(Memory to, Zmm from) { memory({1, 0, 0x11}, {number(from), 0}, to, kLine); }
void Assembler::broadcast(Zmm to, Memory from) { memory({2, 1, 0x18}, {number(to), 0}, from, kFloat); }

void Assembler::fma_broadcast(Zmm sum, Zmm a, Memory b) {
  memory({2, 1, 0xb8}, {number(sum), number(a)}, b, kFloat, true);
}

void Assembler::add(Zmm to, Zmm a, Memory b) { memory({1, 0, 0x58}, {number(to), number(a)}, b, kLine); }

void Assembler::multiply(Zmm to, Zmm a, Zmm b, WriteMask mask) {
  registers({1, 0, 0x59}, {number(to), number(a)}, b, mask);
}

void Assembler::maximum(Zmm to, Zmm a, Zmm b, WriteMask mask) {
  registers({1, 0, 0x5f}, {number(to), number(a)}, b, mask);
}

void Assembler::minimum(Zmm to, Zmm a, Zmm b, WriteMask mask) {
  registers({1, 0, 0x5d}, {number(to), number(a)}, b, mask);
}

void Assembler::move(Zmm to, Zmm from, WriteMask mask) { registers({1, 0, 0x28}, {number(to), 0}, from, mask); }
void Assembler::zero(Zmm to) { registers({1, 1, 0xef}, {number(to), number(to)}, to); }

void Assembler::less_than(Opmask to, Zmm a, Zmm b) {
  if (!room()) return;
  registers({1, 0, 0xc2}, {number(to), number(a)}, b);
  byte(0x11);  // predicate LT_OQ: less than, ordered, quiet
}

void Assembler::add_immediate(Reg64 to, int32_t value) {
  if (!room()) return;
  byte(0x48 | number(to) >> 3);  // REX.W, and B
  byte(0x81);
  byte(0xc0 | (number(to) & 7));
  word(value);
}

void Assembler::load_mask(Opmask to, Memory from) {
  if (!room()) return;
  byte(0xc4);
  byte(0xc1 | (~number(from.base) >> 3 & 1) << 5);  // B is stored inverted
  byte(0x78);
  byte(0x90);
  operand(number(to), from, 1);
}

void Assembler::prefetch(int code, int hint, Memory at) {
  if (!room()) return;
  if (number(at.base) >= 8) byte(0x41);
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
