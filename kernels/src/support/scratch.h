// Scratch buffers for one call. A pool keeps them for later calls: page faults of new memory would
// cost more than the work that uses the buffers.
#pragma once
#include <cstddef>

namespace pc {

class Scratch {
 public:
  explicit Scratch(size_t floats);  // 64-byte aligned, contents unspecified
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  float* data() const { return data_; }

 private:
  float* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace pc
