// A plan that all equal layers of a process share. It is made when it is first needed, or before
// that on another thread.
#pragma once
#include <memory>
#include <mutex>

#include "support/background_task.h"

namespace pc {

template <typename Key, typename Plan>
class SharedPlan : public std::enable_shared_from_this<SharedPlan<Key, Plan>> {
 public:
  // Makes the plan; may throw. The key holds everything that the plan depends on.
  using Make = std::shared_ptr<const Plan> (*)(const Key&);

  SharedPlan(Key given, Make make) : key(std::move(given)), make_(make) {}

  // The key lives as long as the plan: its weights are compared by address, which must not be
  // reused.
  const Key key;

  // Starts to make the plan: on another thread if one is free, otherwise on this one.
  void start() {
    const std::lock_guard lock(mutex_);
    if (started_ || plan_ != nullptr) return;
    started_ = task_.start([this] {
      try {
        plan_ = make_(key);
      } catch (...) {
        // get() tries again and throws then.
      }
    });
    if (!started_) plan_ = make_(key);
  }

  // Waits for the plan, or makes it. If that throws, the next call tries again.
  std::shared_ptr<const Plan> get() {
    const std::lock_guard lock(mutex_);
    if (started_) task_.wait();
    started_ = false;
    if (plan_ == nullptr) plan_ = make_(key);
    return {this->shared_from_this(), plan_.get()};
  }

 private:
  const Make make_;
  std::mutex mutex_;
  bool started_ = false;
  std::shared_ptr<const Plan> plan_;  // written by the background task until wait() returns
  BackgroundTask task_;
};

}  // namespace pc
