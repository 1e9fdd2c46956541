// Errors inside the library are exceptions of this type; they are turned into an OrtStatus before they reach the C ABI.
#pragma once
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace pc {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Takes a literal, so that a check that holds costs no string.
inline void require(bool holds, const char* message) {
  if (!holds) throw Failure(message);
}

// Sizes come from model files: every product and sum of them is checked.
inline size_t times(size_t a, size_t b) {
  size_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) throw Failure("sizes overflow");
  return result;
}

inline size_t plus(size_t a, size_t b) {
  size_t result = 0;
  if (__builtin_add_overflow(a, b, &result)) throw Failure("sizes overflow");
  return result;
}

// How many units it takes; of numbers that are small enough already.
inline size_t divided(size_t value, size_t unit) { return (value + unit - 1) / unit; }

inline size_t round_up(size_t value, size_t unit) { return plus(value, unit - 1) / unit * unit; }

// The most floats one image may have in any layout; offsets into it then fit 32 bits with room for a plane.
inline constexpr size_t kMaxFloats = size_t{1} << 31;

}  // namespace pc
