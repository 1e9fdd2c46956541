#include "support/scratch.h"

#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "support/check.h"

namespace pc {
namespace {

struct Free {
  void operator()(float* p) const { std::free(p); }
};

struct Kept {
  std::unique_ptr<float, Free> data;
  size_t bytes;
};

struct Pool {
  static constexpr size_t kMostBuffers = 8, kMostBytes = size_t{256} << 20;
  std::mutex mutex;
  std::vector<Kept> kept;
  size_t bytes = 0;
};

// Never destroyed: sessions may end after static destructors have run.
Pool& pool() {
  static Pool* const one = new Pool;
  return *one;
}

}  // namespace

Scratch::Scratch(size_t floats) {
  const size_t wanted = round_up(times(floats == 0 ? 1 : floats, sizeof(float)), 4096);
  {
    const std::lock_guard lock(pool().mutex);
    auto& kept = pool().kept;
    size_t best = kept.size();
    for (size_t i = 0; i < kept.size(); i++) {
      if (kept[i].bytes >= wanted && (best == kept.size() || kept[i].bytes < kept[best].bytes)) best = i;
    }
    if (best < kept.size()) {
      bytes_ = kept[best].bytes;
      data_ = kept[best].data.release();
      pool().bytes -= bytes_;
      kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(best));
      return;
    }
  }
  data_ = static_cast<float*>(std::aligned_alloc(64, wanted));
  if (data_ == nullptr) throw std::bad_alloc();
  bytes_ = wanted;
}

Scratch::~Scratch() {
  std::unique_ptr<float, Free> mine(data_);
  const std::lock_guard lock(pool().mutex);
  auto& kept = pool().kept;
  if (bytes_ > Pool::kMostBytes) return;
  // The oldest go first; capacity is never grown past the limit, so this cannot throw after the first few calls.
  while (!kept.empty() && (kept.size() >= Pool::kMostBuffers || pool().bytes + bytes_ > Pool::kMostBytes)) {
    pool().bytes -= kept.front().bytes;
    kept.erase(kept.begin());
  }
  try {
    kept.push_back({std::move(mine), bytes_});
    pool().bytes += bytes_;
  } catch (const std::bad_alloc&) {
    // Not kept, then.
  }
}

}  // namespace pc
