// Interning: equal values that are expensive to make and never change exist once per process, for
// as long as somebody holds them.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace pc {

template <typename Value>
class InterningCache {
 public:
  // Returns the cached value that `same` accepts, otherwise the result of `make`, which it keeps.
  // The hash only finds candidates.
  template <typename Same, typename Make>
  std::shared_ptr<Value> find_or_make(uint64_t hash, const Same& same, const Make& make) {
    const std::lock_guard lock(mutex_);
    std::erase_if(entries_, [](const auto& entry) { return entry.second.expired(); });
    const auto [first, last] = entries_.equal_range(hash);
    for (auto at = first; at != last; ++at) {
      const auto value = at->second.lock();
      if (value != nullptr && same(*value)) return value;
    }
    std::shared_ptr<Value> made = make();
    entries_.emplace(hash, made);
    return made;
  }

  // The number of values that are still held.
  size_t live() {
    const std::lock_guard lock(mutex_);
    size_t count = 0;
    for (const auto& entry : entries_) count += entry.second.expired() ? 0 : 1;
    return count;
  }

 private:
  std::mutex mutex_;
  std::unordered_multimap<uint64_t, std::weak_ptr<Value>> entries_;
};

}  // namespace pc
