// Errors and checked arithmetic. Errors inside the library are exceptions of type Failure;
// ort/api.h turns them into an OrtStatus before they reach the C ABI.
#pragma once
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace pc {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws unless the condition holds. Takes a literal, so that passing checks construct no string.
inline void require(bool holds, const char* message) {
  if (!holds) throw Failure(message);
}

// Sizes come from model files, so every product and sum of them is checked.
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

// value / unit, rounded up. For numbers that are known to be small: the sum is not checked.
inline size_t divided(size_t value, size_t unit) { return (value + unit - 1) / unit; }

inline size_t round_up(size_t value, size_t unit) { return plus(value, unit - 1) / unit * unit; }

// The most floats that one image may have in any layout. Offsets into it, plus a plane, then fit 32
// bits.
inline constexpr size_t kMaxFloats = size_t{1} << 31;

}  // namespace pc
