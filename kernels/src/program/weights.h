// Sparse weights as a model file stores them, checked: the values that are kept, in the order of
// the dense tensor, and one bit per weight (weight i is bit i % 8 of byte i / 8).
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace pc {

class Weights {
 public:
  // `count` is the number of dense weights. Throws unless there is one bit per weight, no bit after
  // the last weight is set, and as many bits are set as there are values.
  Weights(std::span<const float> values, std::span<const uint8_t> bits, size_t count);

  size_t count() const { return count_; }
  std::span<const float> values() const { return values_; }
  std::span<const uint8_t> bits() const { return bits_; }

  // Calls visit(index in the dense tensor, value) for the kept weights with index in [from, to), in
  // order. `position` is the number of values before `from`.
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

// The weights from the cache, in which equal ones exist once per process. Throws as the constructor
// does.
std::shared_ptr<const Weights> cached_weights(std::span<const float> values, std::span<const uint8_t> bits,
                                              size_t count);

// A sparse matrix in CSR form: row r has the entries [ends[r - 1], ends[r]), columns ascending.
struct Matrix {
  size_t rows = 0, columns = 0;
  std::vector<uint32_t> ends, column;
  std::vector<float> value;
};

// The matrix of weights [rows, columns_per_group] of a grouped convolution. The columns of group g
// start at g * columns_per_group.
Matrix matrix_of_rows(const Weights&, size_t rows, size_t columns_per_group, size_t groups);

// The matrix of weights [columns, rows], the layout of MatMul.
Matrix matrix_of_columns(const Weights&, size_t columns, size_t rows);

}  // namespace pc
