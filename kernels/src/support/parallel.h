// The interface through which operators hand work to threads. Every piece computes whole outputs,
// so results do not depend on the split.
#pragma once
#include <cstddef>

namespace pc {

// The pieces that `count` equal pieces become so that two or four threads get equal shares.
inline size_t even_pieces(size_t count) { return count <= 4 ? count : (count + 3) / 4 * 4; }

class Parallel {
 public:
  virtual ~Parallel() = default;

  // Calls work(0) ... work(count - 1) in any order, on any thread. Returns when all calls have
  // returned. `work` must not throw.
  template <typename Work>
  void each(size_t count, const Work& work) {
    if (count == 0) return;
    if (count == 1) return work(size_t{0});
    run([](void* self, size_t index) { (*static_cast<const Work*>(self))(index); }, count,
        const_cast<void*>(static_cast<const void*>(&work)));
  }

 protected:
  virtual void run(void (*call)(void*, size_t), size_t count, void* work) = 0;
};

class Serial final : public Parallel {
  void run(void (*call)(void*, size_t), size_t count, void* work) override {
    for (size_t i = 0; i < count; i++) call(work, i);
  }
};

}  // namespace pc
