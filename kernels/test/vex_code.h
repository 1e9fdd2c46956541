// Writes the AVX2 and integer instructions that the interpreter supports; for its test.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace test {

// The last operand: a register, or [base + index * scale + disp].
struct Operand {
  bool memory = false;
  int reg = 0, index = -1, scale_bits = 0;
  int32_t disp = 0;
};

inline Operand in_register(int number) { return {false, number, -1, 0, 0}; }
inline Operand in_memory(int base, int32_t disp, int index = -1, int scale_bits = 0) {
  return {true, base, index, scale_bits, disp};
}

struct VexCode {
  std::vector<uint8_t> bytes;

  void byte(int value) { bytes.push_back(static_cast<uint8_t>(value)); }
  void word(int32_t value) {
    for (int shift = 0; shift < 32; shift += 8) byte(static_cast<int>(static_cast<uint32_t>(value) >> shift & 0xff));
  }

  // map 1: 0F, 2: 0F 38, 3: 0F 3A; prefix 0: none, 1: 66. Uses the short VEX prefix if it suffices.
  void vector(int map, int prefix, int opcode, int reg, int second, Operand last) {
    const int index = last.index < 0 ? 0 : last.index, low = (~second & 15) << 3 | 4 | prefix;
    if (map == 1 && last.reg < 8 && index < 8) {
      byte(0xc5);
      byte((~reg & 8) << 4 | low);
    } else {
      byte(0xc4);
      byte((~reg & 8) << 4 | (~index & 8) << 3 | (~last.reg & 8) << 2 | map);
      byte(low);
    }
    byte(opcode);
    operands(reg, last);
  }

  // 64-bit instructions. `reg` is a register, or part of the opcode.
  void integer(int opcode, int reg, Operand last) {
    const int index = last.index < 0 ? 0 : last.index;
    byte(0x48 | (reg & 8) >> 1 | (index & 8) >> 2 | (last.reg & 8) >> 3);
    byte(opcode);
    operands(reg, last);
  }

  void end() {
    for (const int value : {0xc5, 0xf8, 0x77, 0xc3}) byte(value);  // vzeroupper, ret
  }

 private:
  void operands(int reg, Operand last) {
    const int middle = (reg & 7) << 3, low = last.reg & 7;
    if (!last.memory) return byte(0xc0 | middle | low);
    const bool sib = last.index >= 0 || low == 4, near = last.disp >= -128 && last.disp <= 127;
    const int mode = last.disp == 0 && low != 5 ? 0 : near ? 0x40 : 0x80;
    byte(mode | middle | (sib ? 4 : low));
    if (sib) byte(last.scale_bits << 6 | (last.index < 0 ? 4 : last.index & 7) << 3 | low);
    if (mode == 0x40) byte(last.disp & 0xff);
    if (mode == 0x80) word(last.disp);
  }
};

}  // namespace test
