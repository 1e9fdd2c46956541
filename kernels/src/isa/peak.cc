#include "isa/peak.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <limits>

#include "isa/isa.h"

namespace pc {

#ifdef PC_X86
namespace {

// Independent sums: 8 hide the latency of 2 multiply-adds per cycle that take 4 cycles each (10 for
// 5 cycles, on the oldest processors). The loops are assembly because a compiler might keep sums in
// memory. All registers start with zero: a leftover denormal would be slow.
constexpr int kSums = 12;

__attribute__((target("avx512f"), noinline)) void work512(long rounds) {
  asm volatile(
      "vpxord %%zmm30, %%zmm30, %%zmm30\n vmovaps %%zmm30, %%zmm31\n"
      "vmovaps %%zmm30, %%zmm16\n vmovaps %%zmm30, %%zmm17\n vmovaps %%zmm30, %%zmm18\n vmovaps %%zmm30, %%zmm19\n"
      "vmovaps %%zmm30, %%zmm20\n vmovaps %%zmm30, %%zmm21\n vmovaps %%zmm30, %%zmm22\n vmovaps %%zmm30, %%zmm23\n"
      "vmovaps %%zmm30, %%zmm24\n vmovaps %%zmm30, %%zmm25\n vmovaps %%zmm30, %%zmm26\n vmovaps %%zmm30, %%zmm27\n"
      "1:\n"
      "vfmadd231ps %%zmm30, %%zmm31, %%zmm16\n vfmadd231ps %%zmm30, %%zmm31, %%zmm17\n"
      "vfmadd231ps %%zmm30, %%zmm31, %%zmm18\n vfmadd231ps %%zmm30, %%zmm31, %%zmm19\n"
      "vfmadd231ps %%zmm30, %%zmm31, %%zmm20\n vfmadd231ps %%zmm30, %%zmm31, %%zmm21\n"
      "vfmadd231ps %%zmm30, %%zmm31, %%zmm22\n vfmadd231ps %%zmm30, %%zmm31, %%zmm23\n"
      "vfmadd231ps %%zmm30, %%zmm31, %%zmm24\n vfmadd231ps %%zmm30, %%zmm31, %%zmm25\n"
      "vfmadd231ps %%zmm30, %%zmm31, %%zmm26\n vfmadd231ps %%zmm30, %%zmm31, %%zmm27\n"
      "dec %0\n jnz 1b\n"
      : "+r"(rounds)
      :
      : "cc", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm30",
        "xmm31");
}

__attribute__((target("avx2,fma"), noinline)) void work256(long rounds) {
  asm volatile(
      "vxorps %%ymm12, %%ymm12, %%ymm12\n vmovaps %%ymm12, %%ymm13\n"
      "vmovaps %%ymm12, %%ymm0\n vmovaps %%ymm12, %%ymm1\n vmovaps %%ymm12, %%ymm2\n vmovaps %%ymm12, %%ymm3\n"
      "vmovaps %%ymm12, %%ymm4\n vmovaps %%ymm12, %%ymm5\n vmovaps %%ymm12, %%ymm6\n vmovaps %%ymm12, %%ymm7\n"
      "vmovaps %%ymm12, %%ymm8\n vmovaps %%ymm12, %%ymm9\n vmovaps %%ymm12, %%ymm10\n vmovaps %%ymm12, %%ymm11\n"
      "1:\n"
      "vfmadd231ps %%ymm12, %%ymm13, %%ymm0\n vfmadd231ps %%ymm12, %%ymm13, %%ymm1\n"
      "vfmadd231ps %%ymm12, %%ymm13, %%ymm2\n vfmadd231ps %%ymm12, %%ymm13, %%ymm3\n"
      "vfmadd231ps %%ymm12, %%ymm13, %%ymm4\n vfmadd231ps %%ymm12, %%ymm13, %%ymm5\n"
      "vfmadd231ps %%ymm12, %%ymm13, %%ymm6\n vfmadd231ps %%ymm12, %%ymm13, %%ymm7\n"
      "vfmadd231ps %%ymm12, %%ymm13, %%ymm8\n vfmadd231ps %%ymm12, %%ymm13, %%ymm9\n"
      "vfmadd231ps %%ymm12, %%ymm13, %%ymm10\n vfmadd231ps %%ymm12, %%ymm13, %%ymm11\n"
      "dec %0\n jnz 1b\n"
      "vzeroupper\n"
      : "+r"(rounds)
      :
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13");
}

// A chain of multiplications of integers, each of which waits for the one before. It takes three
// cycles on every processor with AVX2, at every clock: it counts cycles where there are no
// performance counters. Additions would not do: some processors add constants while renaming.
constexpr double kCyclesPerLink = 3;
constexpr int kLinks = 8;

__attribute__((noinline)) void work_chain(long rounds) {
  long link = 1;
  asm volatile(
      "1:\n"
      "imul %1, %1\n imul %1, %1\n imul %1, %1\n imul %1, %1\n"
      "imul %1, %1\n imul %1, %1\n imul %1, %1\n imul %1, %1\n"
      "dec %0\n jnz 1b\n"
      : "+r"(rounds), "+r"(link)
      :
      : "cc");
}

// About a millisecond: long compared with reading the clock, short compared with the time between
// interrupts.
constexpr long kRounds = 200000;

double seconds_of(void (*work)(long)) {
  const auto start = std::chrono::steady_clock::now();
  work(kRounds);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The least seconds of each loop. They run in turns, so that all see the same clock; the least is
// that of a turn without a neighbour.
template <size_t Count>
std::array<double, Count> least_seconds(void (*const (&loops)[Count])(long), int turns) {
  std::array<double, Count> least;
  least.fill(std::numeric_limits<double>::infinity());
  for (int turn = 0; turn < turns; turn++) {
    for (size_t i = 0; i < Count; i++) least[i] = std::min(least[i], seconds_of(loops[i]));
  }
  return least;
}

struct Widest {
  void (*work)(long) = nullptr;  // null without AVX2
  int lanes = 0;
};

Widest widest() {
  if (has_avx512()) return {work512, 16};
  return find_isa("avx2") != nullptr ? Widest{work256, 8} : Widest{};
}

}  // namespace

double fma_peak() {
  const Widest loop = widest();
  if (loop.work == nullptr) return 0;
  const auto [seconds] = least_seconds({loop.work}, 9);
  return 2.0 * loop.lanes * kSums * kRounds / seconds / 1e9;
}

double fma_per_cycle() {
  const Widest loop = widest();
  if (loop.work == nullptr) return 0;
  // More turns than for the peak: a decision depends on it, and the other thread of a core may use
  // half of its multiply-adds for a while.
  const auto [sums, chain] = least_seconds({loop.work, work_chain}, 25);
  return (kSums / sums) * (chain / (kCyclesPerLink * kLinks));
}
#else
double fma_peak() { return 0; }
double fma_per_cycle() { return 0; }
#endif

}  // namespace pc
