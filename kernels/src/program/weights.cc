#include "program/weights.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "support/check.h"
#include "support/interning_cache.h"

namespace pc {

Weights::Weights(std::span<const float> values, std::span<const uint8_t> bits, size_t count) : count_(count) {
  require(count < UINT32_MAX, "too many weights");
  require(bits.size() == (count + 7) / 8, "the bits are not one per weight");
  require(count % 8 == 0 || bits.back() >> (count % 8) == 0, "a bit is set beyond the last weight");
  size_t set = 0;
  for (const uint8_t byte : bits) set += static_cast<size_t>(std::popcount(byte));
  require(set == values.size(), "the bits that are set are not as many as the values");
  values_.assign(values.begin(), values.end());
  bits_.assign(bits.begin(), bits.end());
}

namespace {

uint64_t hash_bytes(const void* data, size_t size, uint64_t seed) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  uint64_t hash = seed ^ size * 0x9e3779b97f4a7c15u;
  for (; size > 0;) {
    const size_t step = std::min<size_t>(size, 8);
    uint64_t word = 0;
    std::memcpy(&word, bytes, step);
    hash = std::rotl((hash ^ word) * 0xff51afd7ed558ccdu, 31);
    bytes += step;
    size -= step;
  }
  return hash;
}

bool same_bytes(const void* a, const void* b, size_t size) { return size == 0 || std::memcmp(a, b, size) == 0; }

// The cache is never destroyed: sessions may end after static destructors have run.
InterningCache<const Weights>& cache() {
  static auto* const one = new InterningCache<const Weights>;
  return *one;
}

}  // namespace

std::shared_ptr<const Weights> cached_weights(std::span<const float> values, std::span<const uint8_t> bits,
                                              size_t count) {
  const uint64_t hash = hash_bytes(bits.data(), bits.size(), hash_bytes(values.data(), values.size_bytes(), count));
  const auto same = [&](const Weights& other) {
    return other.count() == count && other.values().size() == values.size() && other.bits().size() == bits.size() &&
           same_bytes(other.values().data(), values.data(), values.size_bytes()) &&
           same_bytes(other.bits().data(), bits.data(), bits.size());
  };
  return cache().find_or_make(hash, same, [&] { return std::make_shared<const Weights>(values, bits, count); });
}

Matrix matrix_of_rows(const Weights& weights, size_t rows, size_t columns_per_group, size_t groups) {
  require(groups > 0 && rows % groups == 0 && times(rows, columns_per_group) == weights.count(), "sizes of weights");
  Matrix matrix{
      .rows = rows, .columns = times(columns_per_group, groups), .ends = {}, .column = {}, .value = {}};
  require(matrix.columns < UINT32_MAX, "too many columns");
  matrix.ends.reserve(rows);
  matrix.column.reserve(weights.values().size());
  matrix.value.assign(weights.values().begin(), weights.values().end());
  const size_t rows_per_group = std::max<size_t>(rows / groups, 1);
  for (size_t r = 0; r < rows; r++) {
    const size_t start = r * columns_per_group;
    const size_t shift = r / rows_per_group * columns_per_group;
    weights.visit(start, start + columns_per_group, matrix.column.size(), [&](size_t index, float) {
      matrix.column.push_back(static_cast<uint32_t>(index - start + shift));
    });
    matrix.ends.push_back(static_cast<uint32_t>(matrix.column.size()));
  }
  return matrix;
}

Matrix matrix_of_columns(const Weights& weights, size_t columns, size_t rows) {
  require(times(rows, columns) == weights.count(), "sizes of weights");
  Matrix matrix{
      .rows = rows, .columns = columns, .ends = std::vector<uint32_t>(rows), .column = {}, .value = {}};
  matrix.column.resize(weights.values().size());
  matrix.value.resize(weights.values().size());
  if (rows == 0) return matrix;
  weights.visit(0, weights.count(), 0, [&](size_t index, float) { matrix.ends[index % rows]++; });
  std::vector<uint32_t> next(rows);
  uint32_t sum = 0;
  for (size_t r = 0; r < rows; r++) {
    next[r] = sum;
    sum += matrix.ends[r];
    matrix.ends[r] = sum;
  }
  weights.visit(0, weights.count(), 0, [&](size_t index, float value) {
    const uint32_t at = next[index % rows]++;
    matrix.column[at] = static_cast<uint32_t>(index / rows);
    matrix.value[at] = value;
  });
  return matrix;
}

}  // namespace pc
