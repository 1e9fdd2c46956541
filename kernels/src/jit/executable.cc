#include "jit/executable.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace pc {

#if defined(__unix__) || defined(__APPLE__)

namespace {

size_t pages(size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

}  // namespace

std::unique_ptr<Executable> Executable::reserve(size_t bytes) {
  const size_t size = pages(bytes);
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  return std::unique_ptr<Executable>(new Executable(static_cast<uint8_t*>(memory), size));
}

bool Executable::seal(size_t used) {
  const size_t kept = pages(used == 0 ? 1 : used);
  if (kept < bytes_) {
    munmap(begin_ + kept, bytes_ - kept);
    bytes_ = kept;
  }
  return mprotect(begin_, bytes_, PROT_READ | PROT_EXEC) == 0;
}

Executable::~Executable() { munmap(begin_, bytes_); }

#else

std::unique_ptr<Executable> Executable::reserve(size_t) { return nullptr; }
bool Executable::seal(size_t) { return false; }
Executable::~Executable() = default;

#endif

}  // namespace pc
