// The weights of some rows of a matrix by column, the order in which emitted code uses them.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "program/program.h"

namespace pc {

class SortedRows {
 public:
  struct Entry {
    uint32_t row;  // from the first one
    float weight;
  };

  SortedRows(const Matrix&, Range rows);

  size_t first() const { return rows_.first; }
  size_t count() const { return rows_.last - rows_.first; }
  // Of one column, by row.
  std::span<const Entry> column(size_t at) const { return columns({at, at + 1}); }
  // Of some columns, by column.
  std::span<const Entry> columns(Range range) const {
    return std::span(entries_).subspan(starts_[range.first], starts_[range.last] - starts_[range.first]);
  }

 private:
  Range rows_;
  std::vector<uint32_t> starts_;  // per column of the matrix, and the end
  std::vector<Entry> entries_;
};

}  // namespace pc
