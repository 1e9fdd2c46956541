#include "support/background_task.h"

#include <algorithm>
#include <mutex>
#include <system_error>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace pc {
namespace {

// Emission writes much and computes little: more threads would only wait for memory.
constexpr unsigned kMostThreads = 7;

// One core is left to the thread that creates the session.
size_t most_threads() {
  static const size_t most = std::min(kMostThreads, std::max(1u, std::thread::hardware_concurrency()) - 1);
  return most;
}

}  // namespace

// Threads are started and joined under one lock. Work never takes that lock, so joining cannot
// deadlock.
struct BackgroundTask::Threads {
  std::mutex mutex;
  std::vector<BackgroundTask*> running;

  void join(BackgroundTask* one) {
    one->thread_.join();
    running.erase(std::find(running.begin(), running.end(), one));
  }

  void join_done() {
    const std::vector<BackgroundTask*> all = running;
    for (BackgroundTask* one : all) {
      if (one->done_) join(one);
    }
  }

  // A forked child has only the thread that called fork. All tasks must therefore end before the
  // fork: nothing would complete them in the child.
  static void before_fork() {
    threads().mutex.lock();
    while (!threads().running.empty()) threads().join(threads().running.back());
  }
  static void after_fork() { threads().mutex.unlock(); }
};

// The object is never destroyed: sessions may end after static destructors have run.
BackgroundTask::Threads& BackgroundTask::threads() {
  static Threads* const one = [] {
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork(Threads::before_fork, Threads::after_fork, Threads::after_fork);
#endif
    return new Threads;
  }();
  return *one;
}

bool BackgroundTask::start(std::function<void()> work) {
  const std::lock_guard lock(threads().mutex);
  threads().join_done();
  auto& running = threads().running;
  if (running.size() >= most_threads()) return false;
  running.push_back(this);
  done_ = false;
  try {
    thread_ = std::thread([this, work = std::move(work)] {
      work();
      done_ = true;
    });
  } catch (const std::system_error&) {
    running.pop_back();
    return false;
  }
  return true;
}

void BackgroundTask::wait() {
  const std::lock_guard lock(threads().mutex);
  if (thread_.joinable()) threads().join(this);
}

}  // namespace pc
