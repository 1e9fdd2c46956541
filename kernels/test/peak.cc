// Prints how many fused multiply-adds of 16 floats one core does in a second, as GFLOP/s. Nothing where there is no AVX-512.
#include <chrono>
#include <cstdio>

#include "isa.h"

#ifdef PC_X86
namespace {

// Twelve independent sums hide the latency of every core there is. Written out: a compiler might keep sums in memory.
__attribute__((target("avx512f"), noinline)) void work(long rounds) {
  for (long i = 0; i < rounds; i++) {
    asm volatile(
        "vfmadd231ps %%zmm30, %%zmm31, %%zmm16\n vfmadd231ps %%zmm30, %%zmm31, %%zmm17\n"
        "vfmadd231ps %%zmm30, %%zmm31, %%zmm18\n vfmadd231ps %%zmm30, %%zmm31, %%zmm19\n"
        "vfmadd231ps %%zmm30, %%zmm31, %%zmm20\n vfmadd231ps %%zmm30, %%zmm31, %%zmm21\n"
        "vfmadd231ps %%zmm30, %%zmm31, %%zmm22\n vfmadd231ps %%zmm30, %%zmm31, %%zmm23\n"
        "vfmadd231ps %%zmm30, %%zmm31, %%zmm24\n vfmadd231ps %%zmm30, %%zmm31, %%zmm25\n"
        "vfmadd231ps %%zmm30, %%zmm31, %%zmm26\n vfmadd231ps %%zmm30, %%zmm31, %%zmm27\n"
        :
        :
        : "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27");
  }
}

// What the registers hold at first does not matter to speed, unless it is denormal: all are made zero.
__attribute__((target("avx512f"))) void clear() {
  asm volatile("vpxord %%zmm30, %%zmm30, %%zmm30\n vpxord %%zmm31, %%zmm31, %%zmm31" : : : "xmm30", "xmm31");
}

}  // namespace

int main() {
  if (!pc::has_avx512()) return 0;
  double best = 0;
  for (int i = 0; i < 9; i++) {
    constexpr long kRounds = 200000;
    const auto start = std::chrono::steady_clock::now();
    clear();
    work(kRounds);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    const double rate = 2.0 * 16 * 12 * kRounds / time.count() / 1e9;
    if (rate > best) best = rate;
  }
  std::printf("%.1f\n", best);
}
#else
int main() {}
#endif
