// A plan that all equal layers of a process use: made when it is first asked for, or ahead of that on another thread.
#pragma once
#include <memory>
#include <mutex>

#include "support/background_task.h"

namespace pc {

// `make_plan(key)` makes the plan; all that it depends on is in the key.
template <typename Key, typename Plan>
class SharedPlan : public std::enable_shared_from_this<SharedPlan<Key, Plan>> {
 public:
  explicit SharedPlan(Key given) : key(std::move(given)) {}

  // It lives with the plan, so that its weights cannot go and others come to lie at their address.
  const Key key;

  // Begins to make it: on a thread of its own where one is free, else here and now.
  void start() {
    const std::lock_guard lock(mutex_);
    if (started_ || plan_ != nullptr) return;
    started_ = ahead_.start([this] {
      try {
        plan_ = make_plan(key);
      } catch (...) {
        // Whoever asks for the plan tries again, and gets the error.
      }
    });
    if (!started_) plan_ = make_plan(key);
  }

  // Waits for it, or makes it. What making throws passes through, and the next who asks tries again.
  std::shared_ptr<const Plan> get() {
    const std::lock_guard lock(mutex_);
    if (started_) ahead_.wait();
    started_ = false;
    if (plan_ == nullptr) plan_ = make_plan(key);
    return {this->shared_from_this(), plan_.get()};
  }

 private:
  std::mutex mutex_;
  bool started_ = false;
  std::shared_ptr<const Plan> plan_;  // written by the other thread until that is awaited
  Ahead ahead_;
};

}  // namespace pc
