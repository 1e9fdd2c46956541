// What is expensive to make and never changes is kept once per process, for as long as anybody holds it.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace pc {

template <typename Thing>
class Shelf {
 public:
  // The thing that `same` accepts, or what `make` returns. The hash only finds candidates: `same` decides.
  template <typename Same, typename Make>
  std::shared_ptr<Thing> find_or_make(uint64_t hash, const Same& same, const Make& make) {
    const std::lock_guard lock(mutex_);
    std::erase_if(known_, [](const auto& entry) { return entry.second.expired(); });
    const auto [first, last] = known_.equal_range(hash);
    for (auto at = first; at != last; ++at) {
      const auto thing = at->second.lock();
      if (thing != nullptr && same(*thing)) return thing;
    }
    std::shared_ptr<Thing> made = make();
    known_.emplace(hash, made);
    return made;
  }

  size_t live() {
    const std::lock_guard lock(mutex_);
    size_t count = 0;
    for (const auto& entry : known_) count += entry.second.expired() ? 0 : 1;
    return count;
  }

 private:
  std::mutex mutex_;
  std::unordered_multimap<uint64_t, std::weak_ptr<Thing>> known_;
};

}  // namespace pc
