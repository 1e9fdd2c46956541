// A task on a thread of its own, which is joined before the owner of the task is destroyed.
#pragma once
#include <atomic>
#include <functional>
#include <thread>

namespace pc {

class BackgroundTask {
 public:
  BackgroundTask() = default;
  ~BackgroundTask() { wait(); }
  BackgroundTask(const BackgroundTask&) = delete;
  BackgroundTask& operator=(const BackgroundTask&) = delete;

  // Runs the work on a new thread. Does nothing and returns false if all spare cores are busy with
  // such tasks or the system refuses a thread. The task must not be running already; the work must
  // not throw.
  bool start(std::function<void()> work);
  // Returns when the work is done and its thread is joined. Unloading the library is safe then.
  void wait();

 private:
  struct Threads;
  static Threads& threads();

  std::thread thread_;
  std::atomic<bool> done_{false};
};

}  // namespace pc
