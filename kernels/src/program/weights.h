// Sparse weights as they stand in a model file, checked: the values that are not removed, in the order of the dense
// tensor, and one bit per weight (bit i of the tensor is bit i % 8 of byte i / 8).
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace pc {

class Weights {
 public:
  // `count` weights. Throws unless the bits are exactly as many, none beyond the last, and as many set as values.
  Weights(std::span<const float> values, std::span<const uint8_t> bits, size_t count);

  size_t count() const { return count_; }
  std::span<const float> values() const { return values_; }
  std::span<const uint8_t> bits() const { return bits_; }

  // visit(index of the weight in the dense tensor, value), in order, for indices [from, to); `position` is the number
  // of values before `from`.
  template <typename Visit>
  void visit(size_t from, size_t to, size_t position, Visit&& visit) const {
    for (size_t i = from; i < to;) {
      const size_t end = to < (i | 7) + 1 ? to : (i | 7) + 1;
      unsigned byte = bits_[i / 8] >> (i % 8) & ((1u << (end - i)) - 1);
      for (; byte != 0; byte &= byte - 1) {
        visit(i + static_cast<size_t>(__builtin_ctz(byte)), values_[position++]);
      }
      i = end;
    }
  }

 private:
  size_t count_;
  std::vector<float> values_;
  std::vector<uint8_t> bits_;
};

// Throws as the constructor does. Equal weights are kept once in a process, however many sessions hold them.
std::shared_ptr<const Weights> share_weights(std::span<const float> values, std::span<const uint8_t> bits, size_t count);

// Rows of a sparse matrix: for output r the entries [ends[r - 1], ends[r]), columns ascending.
struct Matrix {
  size_t rows = 0, columns = 0;
  std::vector<uint32_t> ends, column;
  std::vector<float> value;
};

// Weights [rows, columns per group] of a grouped convolution: a row of group g reads columns from g * columns per group on.
Matrix matrix_of_rows(const Weights&, size_t rows, size_t columns_per_group, size_t groups);

// Weights [columns, rows], as MatMul has them.
Matrix matrix_of_columns(const Weights&, size_t columns, size_t rows);

}  // namespace pc
