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

// Emission writes much and computes little: more threads than these would wait for memory.
constexpr unsigned kMostThreads = 7;

// The thread that creates the session works too.
size_t most_threads() {
  static const size_t most = std::min(kMostThreads, std::max(1u, std::thread::hardware_concurrency()) - 1);
  return most;
}

}  // namespace

// Threads are started and joined under one lock. Work never takes it, so whoever joins gets on.
struct Ahead::Threads {
  std::mutex mutex;
  std::vector<Ahead*> running;

  void join(Ahead* one) {
    one->thread_.join();
    running.erase(std::find(running.begin(), running.end(), one));
  }

  void join_done() {
    const std::vector<Ahead*> all = running;
    for (Ahead* one : all) {
      if (one->done_) join(one);
    }
  }

  // A child has only the thread that forked: what others are doing must be done before, or it never will be there.
  static void before_fork() {
    threads().mutex.lock();
    while (!threads().running.empty()) threads().join(threads().running.back());
  }
  static void after_fork() { threads().mutex.unlock(); }
};

// Never destroyed: sessions may end after static destructors have run.
Ahead::Threads& Ahead::threads() {
  static Threads* const one = [] {
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork(Threads::before_fork, Threads::after_fork, Threads::after_fork);
#endif
    return new Threads;
  }();
  return *one;
}

bool Ahead::start(std::function<void()> work) {
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

void Ahead::wait() {
  const std::lock_guard lock(threads().mutex);
  if (thread_.joinable()) threads().join(this);
}

}  // namespace pc
