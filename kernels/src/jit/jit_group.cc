// The code of one group of rows for one tile of 16 pixels. It is a C function (TileCode in
// jit_program.cc, System V calling convention) that computes all sums of the group in registers:
//
//   rdi   x: the image, plus the place of the tile
//   rsi   weights of the group; advanced while they are read, so that displacements fit one byte
//   rdx   y: the result, plus the place of the tile
//   rcx   addend, laid out as y; only read if the layer has one
//   r8    prefetch: the next bytes to prefetch of the following group's code
//   r9d   mask: bit i is set if lane i of the tile is a pixel
//
//   zmm0 ... zmm(rows - 1)   sums, one row each; rows <= kJitRows
//   zmm(rows) ... zmm31      columns of x, in turn; then the constants of the activation
//   k1                       r9d as a mask: written if lanes that are not pixels must be zero
//   k2                       comparison of LeakyRelu
//
// Other registers, flags and the stack are not touched. All zmm registers are caller-saved.
#include "jit/jit_group.h"

#include <algorithm>
#include <cstring>

namespace pc {
namespace {

constexpr size_t kLine = 64;
// Weights within +-512 bytes of rsi have displacements of one byte.
constexpr int32_t kNear = 512;
// Images of this many tiles leave the cache before their results are read. Results and residuals
// are then prefetched at a distance of kPrefetchTiles.
constexpr size_t kFarTiles = 40;
constexpr int32_t kPrefetchTiles = 2;
// Bytes of code per row and block of columns: vaddps, vmovups and vpxord.
constexpr size_t kBlockBytes = 26;

constexpr Reg64 kX = Reg64::rdi, kWeights = Reg64::rsi, kY = Reg64::rdx, kAddend = Reg64::rcx;
constexpr Reg64 kPrefetch = Reg64::r8, kPixels = Reg64::r9;
constexpr Opmask kPixelMask = Opmask::k1, kCompareMask = Opmask::k2;

}  // namespace

GroupEmitter::GroupEmitter(const ProgramSpec& spec) : spec_(spec), groups_(group_count(spec.matrix->rows, kJitRows)) {}

size_t GroupEmitter::first_weight(size_t group) const {
  const size_t row = first_row(group);
  return row == 0 ? 0 : spec_.matrix->ends[row - 1];
}

// A weight takes 7 bytes of code, 4 bytes of data and a share of the instructions that advance rsi.
// A column takes a load. Each line of the next group takes a prefetch; at worst the next group is
// as large as this one. A row takes the rest, and kBlockBytes for each further block.
size_t GroupEmitter::room(size_t group) const {
  const auto own = [&](size_t g) {
    const size_t weights = first_weight(g + 1) - first_weight(g);
    return weights * 12 + std::min(weights, spec_.matrix->columns) * 16 + (spec_.blocks - 1) * kJitRows * kBlockBytes;
  };
  const size_t next = own(group + 1 < groups_ ? group + 1 : 0);
  return own(group) + (2 * own(group) + next) / 4 + 16384;
}

// A counting sort over the columns from the group's first to its last: rows of a grouped
// convolution use few columns of the matrix.
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

// Appends a weight and returns its address. Advances rsi if the address would be out of reach.
Memory GroupEmitter::weight(Assembler& code, float value) {
  if (weight_disp_ == kNear) {
    code.add_immediate(kWeights, 2 * kNear);
    weight_disp_ = -kNear;
  }
  weights_.push_back(value);
  const Memory at{kWeights, weight_disp_};
  weight_disp_ += static_cast<int32_t>(sizeof(float));
  return at;
}

int32_t GroupEmitter::y_disp(size_t row) const {
  return static_cast<int32_t>((spec_.y_origin + row * spec_.y_stride) * sizeof(float));
}

void GroupEmitter::emit_sums(Assembler& code, size_t group, size_t rows, size_t lines) {
  const size_t first = first_row(group), total = entries_.size();
  for (size_t r = 0; r < rows; r++) code.broadcast(zmm(r), weight(code, spec_.bias[first + r]));

  const size_t spare = kZmmRegisters - rows;
  const size_t far = spec_.tiles >= kFarTiles ? rows * (spec_.addend ? 2 : 1) : 0;
  size_t done = 0, line = 0, prefetched = 0, turn = 0;
  // Prefetches are spread evenly: after a share of the weights, the same share of the lines.
  const auto prefetch = [&] {
    for (; line < lines && line * total <= done * lines; line++) {
      code.prefetch_l2({kPrefetch, static_cast<int32_t>(line * kLine)});
    }
    for (; prefetched < far && prefetched * total <= done * far; prefetched++) {
      const int32_t disp = y_disp(first + prefetched % rows) + kPrefetchTiles * static_cast<int32_t>(kLine);
      if (prefetched < rows) {
        code.prefetch_for_write({kY, disp});
      } else {
        code.prefetch_l1({kAddend, disp});
      }
    }
  };
  size_t block = 0;
  for (size_t c = 0; c < column_count_; c++) {
    if (starts_[c] == starts_[c + 1]) continue;
    while (first_column_ + c >= group_start(spec_.matrix->columns, spec_.blocks, block + 1)) {
      end_block(code, first, rows, block++);
    }
    const Zmm x = zmm(rows + turn);
    turn = (turn + 1) % spare;
    code.load(x, {kX, static_cast<int32_t>(spec_.offsets[first_column_ + c] * sizeof(float))});
    for (uint32_t i = starts_[c]; i < starts_[c + 1]; i++, done++) {
      code.fma_broadcast(zmm(entries_[i].row), x, weight(code, entries_[i].weight));
    }
    prefetch();
  }
  while (block + 1 < spec_.blocks) end_block(code, first, rows, block++);
}

// Stores the sum of all blocks so far in y and starts the next block with zero. y may be the
// addend, so the first block adds the addend before it stores.
void GroupEmitter::end_block(Assembler& code, size_t first, size_t rows, size_t block) {
  for (size_t r = 0; r < rows; r++) {
    add_earlier_sums(code, zmm(r), first + r, block);
    code.store({kY, y_disp(first + r)}, zmm(r));
    code.zero(zmm(r));
  }
}

// Adds the earlier blocks of a row; to the first block, the addend.
void GroupEmitter::add_earlier_sums(Assembler& code, Zmm sum, size_t row, size_t block) {
  if (block > 0) {
    code.add(sum, sum, {kY, y_disp(row)});
  } else if (spec_.addend) {
    code.add(sum, sum, {kAddend, y_disp(row)});
  }
}

// The last instruction of the activation also masks lanes that are not pixels; if there is no such
// instruction, a masked move does.
void GroupEmitter::emit_activation(Assembler& code, size_t rows) {
  const Zmm a = zmm(rows), b = zmm(rows + 1);
  const bool clean = spec_.clean != nullptr;
  const WriteMask pixels = clean ? WriteMask{.k = kPixelMask, .zeroing = true} : WriteMask{};
  if (clean) code.move_mask(kPixelMask, kPixels);
  const Activation& activation = spec_.activation;
  const auto each = [&](auto&& emit) {
    for (size_t r = 0; r < rows; r++) emit(zmm(r));
  };
  switch (activation.kind) {
    case ActivationKind::relu:
      code.zero(a);
      return each([&](Zmm sum) { code.maximum(sum, a, sum, pixels); });
    case ActivationKind::clip:
      code.broadcast(a, weight(code, activation.alpha));
      code.broadcast(b, weight(code, activation.beta));
      return each([&](Zmm sum) {
        code.maximum(sum, a, sum);
        code.minimum(sum, b, sum, pixels);
      });
    case ActivationKind::leaky_relu:
      code.zero(a);
      code.broadcast(b, weight(code, activation.alpha));
      each([&](Zmm sum) {
        code.less_than(kCompareMask, sum, a);
        code.multiply(sum, sum, b, {.k = kCompareMask});
      });
      break;
    default:  // none, or one that JitProgram applies to the stored results
      break;
  }
  if (clean && is_simple(activation.kind)) each([&](Zmm sum) { code.move(sum, sum, pixels); });
}

void GroupEmitter::emit_results(Assembler& code, size_t first, size_t rows) {
  for (size_t r = 0; r < rows; r++) add_earlier_sums(code, zmm(r), first + r, spec_.blocks - 1);
  emit_activation(code, rows);
  for (size_t r = 0; r < rows; r++) code.store({kY, y_disp(first + r)}, zmm(r));
  code.end();
}

EmittedGroup GroupEmitter::emit(size_t group, uint8_t* begin, uint8_t* end) {
  const size_t first = first_row(group), rows = first_row(group + 1) - first;
  sort_by_column(group);
  weights_.clear();
  weight_disp_ = 0;
  const size_t following = group + 1 < groups_ ? group + 1 : 0;
  const size_t next_weights = first_weight(following + 1) - first_weight(following);
  // An estimate: 11 bytes per weight, 10 per column with weights, of which the next group has about
  // as many as this one.
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
  return {.weights = reinterpret_cast<const float*>(code.at()),
          .end = code.at() + padded,
          .prefetch_bytes = lines * kLine};
}

}  // namespace pc
