// The dozen AVX-512 instruction forms that emitted kernels are made of.
#pragma once
#include "assembler.h"

namespace pc {

// k0 means no mask. A masked result keeps the lanes that are off, or has zeros there.
struct Mask {
  int k = 0;
  bool zeroing = false;
};

class Avx512Assembler : public Assembler {
 public:
  using Assembler::Assembler;

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
  void mask_from_r9(int k);

 private:
  void evex(Op, int reg, int second, int rm3, int rm4, bool broadcast, Mask);
  void registers(Op, int reg, int second, int rm, Mask = {});
  void memory(Op, int reg, int second, Memory, int scale, bool broadcast = false);
};

}  // namespace pc
