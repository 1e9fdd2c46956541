// Memory for emitted code (W^X): writable first, then executable, never both.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace pc {

class Executable {
 public:
  // Returns null if the operating system refuses the memory.
  static std::unique_ptr<Executable> reserve(size_t bytes);
  ~Executable();
  Executable(const Executable&) = delete;
  Executable& operator=(const Executable&) = delete;

  uint8_t* begin() const { return begin_; }
  uint8_t* end() const { return begin_ + bytes_; }

  // Releases the pages after the first `used` bytes and makes the rest executable and read-only.
  // Returns false if the operating system refuses that.
  bool seal(size_t used);

 private:
  Executable(uint8_t* begin, size_t bytes) : begin_(begin), bytes_(bytes) {}
  uint8_t* begin_;
  size_t bytes_;
};

}  // namespace pc
