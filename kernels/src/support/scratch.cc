#include "support/scratch.h"

#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "support/check.h"

namespace pc {
namespace {

struct Deleter {
  void operator()(float* p) const { std::free(p); }
};

struct Buffer {
  std::unique_ptr<float, Deleter> data;
  size_t bytes;
};

// Buffers that no call uses at the moment.
struct BufferPool {
  static constexpr size_t kMostBuffers = 8, kMostBytes = size_t{256} << 20;
  std::mutex mutex;
  std::vector<Buffer> buffers;
  size_t bytes = 0;
};

// The pool is never destroyed: sessions may end after static destructors have run.
BufferPool& pool() {
  static BufferPool* const one = new BufferPool;
  return *one;
}

}  // namespace

Scratch::Scratch(size_t floats) {
  const size_t wanted = round_up(times(floats == 0 ? 1 : floats, sizeof(float)), 4096);
  {
    const std::lock_guard lock(pool().mutex);
    auto& buffers = pool().buffers;
    size_t best = buffers.size();
    for (size_t i = 0; i < buffers.size(); i++) {
      const bool is_smaller = best == buffers.size() || buffers[i].bytes < buffers[best].bytes;
      if (buffers[i].bytes >= wanted && is_smaller) best = i;
    }
    if (best < buffers.size()) {
      bytes_ = buffers[best].bytes;
      data_ = buffers[best].data.release();
      pool().bytes -= bytes_;
      buffers.erase(buffers.begin() + static_cast<std::ptrdiff_t>(best));
      return;
    }
  }
  data_ = static_cast<float*>(std::aligned_alloc(64, wanted));
  if (data_ == nullptr) throw std::bad_alloc();
  bytes_ = wanted;
}

Scratch::~Scratch() {
  std::unique_ptr<float, Deleter> mine(data_);
  const std::lock_guard lock(pool().mutex);
  auto& buffers = pool().buffers;
  if (bytes_ > BufferPool::kMostBytes) return;
  // The oldest buffers are freed first. The vector never grows past kMostBuffers, so only the first
  // few calls can throw.
  while (!buffers.empty() &&
         (buffers.size() >= BufferPool::kMostBuffers || pool().bytes + bytes_ > BufferPool::kMostBytes)) {
    pool().bytes -= buffers.front().bytes;
    buffers.erase(buffers.begin());
  }
  try {
    buffers.push_back({.data = std::move(mine), .bytes = bytes_});
    pool().bytes += bytes_;
  } catch (const std::bad_alloc&) {
    // The buffer is freed instead.
  }
}

}  // namespace pc
