#include "assembler.h"

#include <initializer_list>

namespace pc {
namespace {

constexpr int kLongest = 16;  // no instruction is longer
constexpr int kLine = 64;

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

void Assembler::add_to_rsi(int32_t value) {
  if (!room()) return;
  byte(0x48);
  byte(0x81);
  byte(0xc0 | kRsi);
  word(value);
}

void Assembler::rax_from_stack(int32_t disp) {  // mov rax, [rsp + disp]
  if (!room()) return;
  for (const int value : {0x48, 0x8b, 0x84, 0x24}) byte(value);
  word(disp);
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
