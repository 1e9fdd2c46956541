#include "jit/sorted_rows.h"

namespace pc {

// A counting sort.
SortedRows::SortedRows(const Matrix& matrix, Range rows) : rows_(rows), starts_(matrix.columns + 1) {
  const size_t begin = rows.first == 0 ? 0 : matrix.ends[rows.first - 1];
  const size_t end = rows.last == 0 ? 0 : matrix.ends[rows.last - 1];
  entries_.resize(end - begin);
  for (size_t i = begin; i < end; i++) starts_[matrix.column[i] + 1]++;
  for (size_t c = 0; c < matrix.columns; c++) starts_[c + 1] += starts_[c];
  std::vector<uint32_t> next(starts_.begin(), starts_.end() - 1);
  size_t i = begin;
  for (size_t row = rows.first; row < rows.last; row++) {
    for (; i < matrix.ends[row]; i++) {
      entries_[next[matrix.column[i]]++] = {static_cast<uint32_t>(row - rows.first), matrix.value[i]};
    }
  }
}

}  // namespace pc
