// Prints how many fused multiply-adds of 16 floats one core does in a second, as GFLOP/s. Nothing where there is no AVX-512.
#include <chrono>
#include <cstdio>

#include "isa.h"

#ifdef PC_X86
namespace {

using Vector = float __attribute__((vector_size(64)));

__attribute__((target("avx512f"), noinline)) float work(long rounds) {
  Vector sums[16], factor = Vector{} + 0.999f, term = Vector{} + 0.001f;
  for (auto& sum : sums) sum = Vector{} + 1.0f;
  asm volatile("" : "+v"(factor), "+v"(term));
  for (long i = 0; i < rounds; i++) {
#pragma GCC unroll 16
    for (auto& sum : sums) asm volatile("vfmadd132ps %1, %2, %0" : "+v"(sum) : "v"(factor), "v"(term));
  }
  Vector total{};
  for (const auto& sum : sums) total += sum;
  return total[0];
}

}  // namespace

int main() {
  if (!pc::has_avx512()) return 0;
  double best = 0;
  for (int i = 0; i < 9; i++) {
    constexpr long kRounds = 200000;
    const auto start = std::chrono::steady_clock::now();
    volatile float sink = work(kRounds);
    static_cast<void>(sink);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    const double rate = 2.0 * 16 * 16 * kRounds / time.count() / 1e9;
    if (rate > best) best = rate;
  }
  std::printf("%.1f\n", best);
}
#else
int main() {}
#endif
