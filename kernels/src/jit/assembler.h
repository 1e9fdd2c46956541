// A minimal assembler: writes the AVX-512 instruction forms that emitted kernels consist of.
// test/test_assembler.cc compares every form with a disassembler.
#pragma once
#include <cstddef>
#include <cstdint>

namespace pc {

// Each kind of register has its own type, so that a vector, a mask and an address cannot be
// confused. The values are the numbers that the encoding uses.
enum class Zmm : uint8_t {};  // 0 to 31
enum class Opmask : uint8_t { k0, k1, k2, k3, k4, k5, k6, k7 };
enum class Reg64 : uint8_t { rcx = 1, rdx = 2, rsi = 6, rdi = 7, r8 = 8, r9 = 9 };

inline constexpr int kZmmRegisters = 32;

constexpr Zmm zmm(size_t number) { return static_cast<Zmm>(number); }

// [base + disp]
struct Memory {
  Reg64 base;
  int32_t disp;
};

// Write mask of a result: lanes whose bit is 0 keep their value, or become zero with `zeroing`
// ({z}). k0 encodes "no mask".
struct WriteMask {
  Opmask k = Opmask::k0;
  bool zeroing = false;
};

class Assembler {
 public:
  Assembler(uint8_t* begin, uint8_t* end) : at_(begin), end_(end) {}

  uint8_t* at() const { return at_; }
  // Whether an instruction did not fit. Nothing is written from then on, so callers check once, at
  // the end.
  bool overflowed() const { return overflowed_; }

  // One instruction form each. `to` and `sum` are written; fma_broadcast computes sum += a * b. If
  // either operand is NaN, maximum and minimum return b, and less_than is false.
  void load(Zmm to, Memory from);                       // vmovups zmm, [m512]
  void store(Memory to, Zmm from);                      // vmovups [m512], zmm
  void broadcast(Zmm to, Memory from);                  // vbroadcastss zmm, [m32]
  void fma_broadcast(Zmm sum, Zmm a, Memory b);         // vfmadd231ps zmm, zmm, [m32]{1to16}
  void add(Zmm to, Zmm a, Memory b);                    // vaddps zmm, zmm, [m512]
  void multiply(Zmm to, Zmm a, Zmm b, WriteMask = {});  // vmulps zmm{k}{z}, zmm, zmm
  void maximum(Zmm to, Zmm a, Zmm b, WriteMask = {});   // vmaxps zmm{k}{z}, zmm, zmm
  void minimum(Zmm to, Zmm a, Zmm b, WriteMask = {});   // vminps zmm{k}{z}, zmm, zmm
  void move(Zmm to, Zmm from, WriteMask);               // vmovaps zmm{k}{z}, zmm
  void zero(Zmm to);                                    // vpxord zmm, zmm, zmm
  void less_than(Opmask to, Zmm a, Zmm b);              // vcmplt_oqps k, zmm, zmm
  void load_mask(Opmask to, Memory from);               // kmovw k, [m16]
  void add_immediate(Reg64 to, int32_t value);          // add r64, imm32
  void prefetch_l1(Memory);                             // prefetcht0 [m8]
  void prefetch_l2(Memory);                             // prefetcht1 [m8]
  void prefetch_for_write(Memory);                      // prefetchw [m8]
  void end();                                           // vzeroupper; ret
  void pad_to_line();                                   // int3, up to a multiple of 64 bytes

 private:
  // An opcode: its map (1: 0F, 2: 0F 38), its mandatory prefix (0: none, 1: 66) and its byte.
  struct Op {
    int map, prefix, code;
  };
  // The operands of an EVEX instruction as register numbers; `second` is 0 where there is none.
  struct Operands {
    int reg, second;
  };
  static constexpr int number(Zmm one) { return static_cast<int>(one); }
  static constexpr int number(Opmask one) { return static_cast<int>(one); }
  static constexpr int number(Reg64 one) { return static_cast<int>(one); }

  bool room();
  void byte(int value) { *at_++ = static_cast<uint8_t>(value); }
  void word(int32_t value);
  void evex(Op, Operands, int rm3, int rm4, bool broadcast, WriteMask);
  void registers(Op, Operands, Zmm last, WriteMask = {});
  void memory(Op, Operands, Memory, int scale, bool broadcast = false);
  void operand(int reg, Memory, int scale);
  void prefetch(int code, int hint, Memory);

  uint8_t *at_, *end_;
  bool overflowed_ = false;
};

}  // namespace pc
