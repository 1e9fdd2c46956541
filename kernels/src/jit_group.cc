#include "jit_group.h"

#include <algorithm>
#include <cstring>

namespace pc {
namespace {

constexpr size_t kLine = 64;

}  // namespace

// A counting sort over the columns between the first and the last: rows of a grouped convolution only have few.
void Columns::sort(const Matrix& matrix, size_t first_row, size_t last_row) {
  const size_t begin = first_row == 0 ? 0 : matrix.ends[first_row - 1], end = last_row == 0 ? 0 : matrix.ends[last_row - 1];
  const auto first = matrix.column.begin() + static_cast<std::ptrdiff_t>(begin);
  const auto last = matrix.column.begin() + static_cast<std::ptrdiff_t>(end);
  entries_.resize(end - begin);
  starts_.clear();
  first_ = 0;
  if (begin == end) return;
  const auto [least, most] = std::minmax_element(first, last);
  first_ = *least;
  starts_.assign(*most - *least + 2, 0);
  for (size_t i = begin; i < end; i++) starts_[matrix.column[i] - first_ + 1]++;
  for (size_t c = 0; c + 1 < starts_.size(); c++) starts_[c + 1] += starts_[c];
  next_.assign(starts_.begin(), starts_.end() - 1);
  size_t i = begin;
  for (size_t row = first_row; row < last_row; row++) {
    for (; i < matrix.ends[row]; i++) {
      entries_[next_[matrix.column[i] - first_]++] = {static_cast<uint32_t>(row - first_row), matrix.value[i]};
    }
  }
}

size_t GroupEmitter::weight_count(size_t group) const {
  const size_t begin = first_row(group), end = first_row(group + 1);
  return (end == 0 ? 0 : spec_.matrix->ends[end - 1]) - (begin == 0 ? 0 : spec_.matrix->ends[begin - 1]);
}

void GroupEmitter::begin_weights() {
  weights_.clear();
  place_ = 0;
}

Memory GroupEmitter::weight(Assembler& code, float value, int32_t near) {
  if (place_ == near) {
    code.add_to_rsi(2 * near);
    place_ = -near;
  }
  weights_.push_back(value);
  const Memory at{kRsi, place_};
  place_ += static_cast<int32_t>(sizeof(float));
  return at;
}

uint8_t* GroupEmitter::end_piece(Assembler& code, uint8_t* begin, uint8_t* end, std::vector<Piece>& pieces) {
  code.end();
  code.pad_to_line();
  const size_t bytes = weights_.size() * sizeof(float), padded = round_up(bytes, kLine);
  if (code.overflowed() || static_cast<size_t>(end - code.at()) < padded) return nullptr;
  std::memcpy(code.at(), weights_.data(), bytes);
  pieces.push_back({reinterpret_cast<TileCode>(begin), reinterpret_cast<const float*>(code.at())});
  return code.at() + padded;
}

Memory GroupEmitter::x_at(size_t column) const {
  return {kRdi, static_cast<int32_t>(spec_.offsets[column] * sizeof(float))};
}

Memory GroupEmitter::in_row(Base base, size_t row) const {
  return {base, static_cast<int32_t>((spec_.y_origin + row * spec_.y_stride) * sizeof(float))};
}

}  // namespace pc
