#include "support/concurrency.h"

#include <algorithm>
#include <atomic>
#include <chrono>

namespace pc {

size_t concurrency(Parallel& parallel, size_t most) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kPatience = std::chrono::microseconds(50);
  std::atomic<size_t> working{0}, highest{0};
  parallel.each(most, [&](size_t) {
    const size_t now = ++working;
    for (size_t known = highest; known < now && !highest.compare_exchange_weak(known, now);) {
    }
    // Stays for others to arrive.
    for (const auto begun = Clock::now(); working < most && Clock::now() - begun < kPatience;) {
    }
    --working;
  });
  return std::max<size_t>(1, highest);
}

}  // namespace pc
