// Work done ahead of its need, on threads that live no longer than the work and its owner.
#pragma once
#include <atomic>
#include <functional>
#include <thread>

namespace pc {

class Ahead {
 public:
  Ahead() = default;
  ~Ahead() { wait(); }
  Ahead(const Ahead&) = delete;
  Ahead& operator=(const Ahead&) = delete;

  // Runs the work on a new thread. False, and nothing is done, where as many are at work as the machine has spare cores for,
  // or the system has no thread to give. Not while it runs already; the work must not throw.
  bool start(std::function<void()> work);
  // Returns when the work is done and its thread is gone: the library may be unloaded, or the process forked, then.
  void wait();

 private:
  struct Threads;
  static Threads& threads();

  std::thread thread_;
  std::atomic<bool> done_{false};
};

}  // namespace pc
