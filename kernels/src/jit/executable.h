// Memory for emitted code: writable first, then executable, never both.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace pc {

class Executable {
 public:
  // Null where the operating system has no such memory to give.
  static std::unique_ptr<Executable> reserve(size_t bytes);
  ~Executable();
  Executable(const Executable&) = delete;
  Executable& operator=(const Executable&) = delete;

  uint8_t* begin() const { return begin_; }
  uint8_t* end() const { return begin_ + bytes_; }

  // Gives back what lies behind `used` bytes and makes the rest executable and read-only. False where that is refused.
  bool seal(size_t used);

 private:
  Executable(uint8_t* begin, size_t bytes) : begin_(begin), bytes_(bytes) {}
  uint8_t* begin_;
  size_t bytes_;
};

}  // namespace pc
