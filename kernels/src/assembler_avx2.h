// The AVX2 and FMA instruction forms that emitted kernels are made of.
#pragma once
#include "assembler.h"

namespace pc {

class Avx2Assembler : public Assembler {
 public:
  using Assembler::Assembler;

  // Registers are 0 to 15, of 8 floats.
  void load(int to, Memory from);
  void store(Memory to, int from);
  void broadcast(int to, Memory from);
  void fma(int sum, int factor, int other);     // sum += factor * other
  void fma(int sum, int factor, Memory other);  // sum += factor * [8 floats]
  void add(int to, int a, Memory b);
  void multiply(int to, int a, int b);
  void maximum(int to, int a, int b);  // b where either is NaN
  void minimum(int to, int a, int b);  // b where either is NaN
  void bits_and(int to, int a, int b);
  void zero(int to);
  void less_than(int to, int a, int b);          // all bits of a lane: a < b, none for NaN
  void blend(int to, int no, int yes, int mask);  // `yes` in the lanes whose mask has its highest bit set
  void widen(int to, Memory from);                // 8 signed bytes into 8 integers of 32 bits

 private:
  void vex(Op, int reg, int second, int rm);
  void registers(Op, int reg, int second, int rm);
  void memory(Op, int reg, int second, Memory);
};

}  // namespace pc
