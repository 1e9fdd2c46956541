#include "jit/jit_group.h"

#include <algorithm>
#include <cstring>

namespace pc {
namespace {

constexpr size_t kLine = 64;
constexpr int kRegisters = 32;
constexpr int32_t kNear = 512;          // weights within +-512 bytes of rsi need one byte of displacement
constexpr size_t kFarTiles = 40;        // images of that many tiles: results leave the cache before they are read
constexpr int32_t kTilesAhead = 2;      // how far ahead results and residuals are fetched then
constexpr size_t kBlockBytes = 26;      // of code per row: a sum added, stored, and zero
constexpr int kMaskRegister = 1, kCompareRegister = 2;

}  // namespace

GroupEmitter::GroupEmitter(const ProgramSpec& spec) : spec_(spec), groups_(group_count(spec.matrix->rows, kJitRows)) {}

size_t GroupEmitter::first_weight(size_t group) const {
  const size_t row = first_row(group);
  return row == 0 ? 0 : spec_.matrix->ends[row - 1];
}

// Per weight 7 bytes of code and 4 of weight, and its share of what moves rsi; per column a load; a prefetch for each
// line of the next group, which at worst is this large again; per row the rest, and 26 bytes for each further block.
size_t GroupEmitter::room(size_t group) const {
  const auto own = [&](size_t g) {
    const size_t weights = first_weight(g + 1) - first_weight(g);
    return weights * 12 + std::min(weights, spec_.matrix->columns) * 16 + (spec_.blocks - 1) * kJitRows * kBlockBytes;
  };
  const size_t next = own(group + 1 < groups_ ? group + 1 : 0);
  return own(group) + (2 * own(group) + next) / 4 + 16384;
}

// A counting sort over the columns between the group's first and last: rows of a grouped convolution only have few.
void GroupEmitter::sort_by_column(size_t group) {
  const Matrix& matrix = *spec_.matrix;
  const size_t begin = first_weight(group), end = first_weight(group + 1);
  const auto first = matrix.column.begin() + static_cast<std::ptrdiff_t>(begin);
  const auto last = matrix.column.begin() + static_cast<std::ptrdiff_t>(end);
  entries_.resize(end - begin);
  first_column_ = 0;
  column_count_ = 0;
  if (begin == end) return;
  const auto [least, most] = std::minmax_element(first, last);
  first_column_ = *least;
  column_count_ = *most - *least + 1;
  starts_.assign(column_count_ + 1, 0);
  for (size_t i = begin; i < end; i++) starts_[matrix.column[i] - first_column_ + 1]++;
  for (size_t c = 0; c < column_count_; c++) starts_[c + 1] += starts_[c];
  next_.assign(starts_.begin(), starts_.end() - 1);
  size_t i = begin;
  for (size_t row = first_row(group); row < first_row(group + 1); row++) {
    for (; i < matrix.ends[row]; i++) {
      const uint32_t to = next_[matrix.column[i] - first_column_]++;
      entries_[to] = {static_cast<uint32_t>(row - first_row(group)), matrix.value[i]};
    }
  }
}

// The next weight in the stream; moves rsi on where it would be out of reach.
Memory GroupEmitter::weight(Assembler& code, float value) {
  if (place_ == kNear) {
    code.add_to_rsi(2 * kNear);
    place_ = -kNear;
  }
  weights_.push_back(value);
  const Memory at{kRsi, place_};
  place_ += static_cast<int32_t>(sizeof(float));
  return at;
}

int32_t GroupEmitter::y_disp(size_t row) const {
  return static_cast<int32_t>((spec_.y_origin + row * spec_.y_stride) * sizeof(float));
}

void GroupEmitter::emit_sums(Assembler& code, size_t group, size_t rows, size_t lines) {
  const size_t first = first_row(group), total = entries_.size();
  for (size_t r = 0; r < rows; r++) code.broadcast(static_cast<int>(r), weight(code, spec_.bias[first + r]));

  const int spare = kRegisters - static_cast<int>(rows);
  const size_t far = spec_.tiles >= kFarTiles ? rows * (spec_.addend ? 2 : 1) : 0;
  size_t done = 0, line = 0, fetched = 0;
  int turn = 0;
  // Fetches are spread evenly: after a share of the weights, the same share of the lines.
  const auto fetch = [&] {
    for (; line < lines && line * total <= done * lines; line++) {
      code.prefetch_l2({kR8, static_cast<int32_t>(line * kLine)});
    }
    for (; fetched < far && fetched * total <= done * far; fetched++) {
      const int32_t disp = y_disp(first + fetched % rows) + kTilesAhead * static_cast<int32_t>(kLine);
      if (fetched < rows) {
        code.prefetch_for_write({kRdx, disp});
      } else {
        code.prefetch_l1({kRcx, disp});
      }
    }
  };
  size_t block = 0;
  for (size_t c = 0; c < column_count_; c++) {
    if (starts_[c] == starts_[c + 1]) continue;
    while (first_column_ + c >= group_start(spec_.matrix->columns, spec_.blocks, block + 1)) end_block(code, first, rows, block++);
    const int x = static_cast<int>(rows) + turn;
    turn = (turn + 1) % spare;
    code.load(x, {kRdi, static_cast<int32_t>(spec_.offsets[first_column_ + c] * sizeof(float))});
    for (uint32_t i = starts_[c]; i < starts_[c + 1]; i++, done++) {
      code.fma_broadcast(static_cast<int>(entries_[i].row), x, weight(code, entries_[i].weight));
    }
    fetch();
  }
  while (block + 1 < spec_.blocks) end_block(code, first, rows, block++);
}

// What blocks so far amount to waits where results go; the addend may lie there too, and so comes first.
void GroupEmitter::end_block(Assembler& code, size_t first, size_t rows, size_t block) {
  for (size_t r = 0; r < rows; r++) {
    const int sum = static_cast<int>(r);
    add_before(code, sum, first + r, block);
    code.store({kRdx, y_disp(first + r)}, sum);
    code.zero(sum);
  }
}

void GroupEmitter::add_before(Assembler& code, int sum, size_t row, size_t block) {
  if (block > 0) {
    code.add(sum, sum, {kRdx, y_disp(row)});
  } else if (spec_.addend) {
    code.add(sum, sum, {kRcx, y_disp(row)});
  }
}

// Masking is part of the activation's last instruction where it has one.
void GroupEmitter::emit_activation(Assembler& code, size_t rows) {
  const int a = static_cast<int>(rows), b = a + 1;
  const bool clean = spec_.clean != nullptr;
  const Mask pixels = clean ? Mask{kMaskRegister, true} : Mask{};
  if (clean) code.mask_from_r9(kMaskRegister);
  const Activation& activation = spec_.activation;
  const auto each = [&](auto&& emit) {
    for (int r = 0; r < a; r++) emit(r);
  };
  switch (activation.kind) {
    case ActivationKind::relu:
      code.zero(a);
      return each([&](int r) { code.maximum(r, a, r, pixels); });
    case ActivationKind::clip:
      code.broadcast(a, weight(code, activation.alpha));
      code.broadcast(b, weight(code, activation.beta));
      return each([&](int r) {
        code.maximum(r, a, r);
        code.minimum(r, b, r, pixels);
      });
    case ActivationKind::leaky_relu:
      code.zero(a);
      code.broadcast(b, weight(code, activation.alpha));
      each([&](int r) {
        code.less_than(kCompareRegister, r, a);
        code.multiply(r, r, b, {kCompareRegister, false});
      });
      break;
    default:  // none, or one that is done afterwards
      break;
  }
  if (clean && is_simple(activation.kind)) each([&](int r) { code.move(r, r, pixels); });
}

void GroupEmitter::emit_results(Assembler& code, size_t first, size_t rows) {
  for (size_t r = 0; r < rows; r++) add_before(code, static_cast<int>(r), first + r, spec_.blocks - 1);
  emit_activation(code, rows);
  for (size_t r = 0; r < rows; r++) code.store({kRdx, y_disp(first + r)}, static_cast<int>(r));
  code.end();
}

EmittedGroup GroupEmitter::emit(size_t group, uint8_t* begin, uint8_t* end) {
  const size_t first = first_row(group), rows = first_row(group + 1) - first;
  sort_by_column(group);
  weights_.clear();
  place_ = 0;
  const size_t following = group + 1 < groups_ ? group + 1 : 0;
  const size_t next_weights = first_weight(following + 1) - first_weight(following);
  // Per weight 11 bytes, per column that occurs 10: about as many as in this group.
  size_t loads = 0;
  for (size_t c = 0; c < column_count_; c++) loads += starts_[c] != starts_[c + 1] ? 1 : 0;
  const size_t next_size = next_weights * 11 + loads * 10 + rows * (40 + (spec_.blocks - 1) * kBlockBytes);
  const size_t tiles = std::max<size_t>(1, spec_.tiles_per_run);
  const size_t lines = groups_ > 1 ? (next_size / kLine + tiles) / tiles : 0;

  Assembler code(begin, end);
  emit_sums(code, group, rows, lines);
  emit_results(code, first, rows);
  code.pad_to_line();
  const size_t bytes = weights_.size() * sizeof(float), padded = round_up(bytes, kLine);
  if (code.overflowed() || static_cast<size_t>(end - code.at()) < padded) return {};
  std::memcpy(code.at(), weights_.data(), bytes);
  return {reinterpret_cast<const float*>(code.at()), code.at() + padded, lines * kLine};
}

}  // namespace pc
