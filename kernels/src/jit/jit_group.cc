// The code of one group of rows for one tile of 16 pixels. The columns of the group are cut into
// pieces, so that code stays in the first-level instruction cache while several tiles run through
// it. Each piece is a C function (TileCode in jit_program.cc, System V calling convention) that
// computes all sums of the group in registers. Between pieces the sums wait in memory, unrounded, so
// results do not depend on the cuts.
//
//   rdi   x: the image, plus the place of the tile
//   rsi   weights of the piece; advanced while they are read, so that displacements fit one byte
//   rdx   y: the result, plus the place of the tile
//   rcx   addend, plus the place of the tile; only read if the layer has one
//   r8    prefetch: the next bytes to prefetch of the following piece
//   r9    TileState: the pixels of the tile, and its sums between pieces
//
//   zmm0 ... zmm(rows - 1)   sums, one row each; rows <= kJitRows
//   zmm(rows) ... zmm31      columns of x, in turn; then the constants of the activation
//   k1                       the pixels as a mask: written if other lanes must be zero
//   k2                       comparison of LeakyRelu
//
// Other registers, flags and the stack are not touched. All zmm registers are caller-saved.
#include "jit/jit_group.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace pc {
namespace {

constexpr size_t kLine = 64;
static_assert(sizeof(TileState) / kLine % 2 == 1);
// Weights within +-512 bytes of rsi have displacements of one byte.
constexpr int32_t kNear = 512;
// Cache lines of pixels that a piece reads at most if tiles share them: 20 KB of a first-level cache
// of 32 KB or more. At 95 % zeros, 3x3 layers became 8 to 18 % faster; 256 to 512 measured the same
// (Emerald Rapids).
constexpr size_t kPieceLines = 320;
// Images of this many tiles leave the cache before their results are read. Results and residuals
// are then prefetched at a distance of kPrefetchTiles.
constexpr size_t kFarTiles = 40;
constexpr int32_t kPrefetchTiles = 2;
// Pixels are prefetched at a distance of one tile.
constexpr size_t kPixelTiles = 1;
// Bytes of code per row and block of columns: vaddps, vmovups and vpxord.
constexpr size_t kBlockBytes = 26;
// Bytes of code per row and piece: vmovups twice. The first and the last piece of a group have
// instead a broadcast with its weight, and vaddps, the activation and vmovups.
constexpr size_t kPieceRowBytes = 20, kGroupRowBytes = 40;
// Bytes of a column's vmovups, and of a weight's vfmadd231ps and its data.
constexpr size_t kColumnBytes = 10, kWeightCode = 7, kWeightBytes = 11;

constexpr int32_t sums_disp(size_t row) {
  return static_cast<int32_t>(offsetof(TileState, sums) + row * kLine);
}

constexpr Reg64 kX = Reg64::rdi, kWeights = Reg64::rsi, kY = Reg64::rdx, kAddend = Reg64::rcx;
constexpr Reg64 kPrefetch = Reg64::r8, kState = Reg64::r9;
constexpr Opmask kPixelMask = Opmask::k1, kCompareMask = Opmask::k2;

}  // namespace

GroupEmitter::GroupEmitter(const ProgramSpec& spec) : spec_(spec), groups_(group_count(spec.matrix->rows, kJitRows)) {}

size_t GroupEmitter::first_weight(size_t group) const {
  const size_t row = first_row(group);
  return row == 0 ? 0 : spec_.matrix->ends[row - 1];
}

// A weight takes 7 bytes of code, 4 bytes of data and a share of the instructions that advance rsi.
// A column takes a load and a prefetch. Each line of the next piece takes a prefetch; at worst the
// next group is as large as this one. A row takes the rest, kPieceRowBytes for each further piece and
// kBlockBytes for each further block.
size_t GroupEmitter::room(size_t group) const {
  const auto own = [&](size_t g) {
    const size_t code = weights_of(g) * 12 + std::min(weights_of(g), spec_.matrix->columns) * 24;
    const size_t pieces = code / spec_.piece_bytes + spec_.matrix->columns / kPieceLines + 2;
    return code + pieces * (kJitRows * kPieceRowBytes + kLine) + (spec_.blocks - 1) * kJitRows * kBlockBytes;
  };
  const size_t next = own(group + 1 < groups_ ? group + 1 : 0);
  return own(group) + (2 * own(group) + next) / 4 + 16384;
}

// The tiles that usually run through a piece before the next one.
size_t GroupEmitter::calls_of_a_pass() const { return std::clamp<size_t>(spec_.tiles_per_run, 1, kPassTiles); }

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

// The columns at which pieces of about even size begin, and the end. A single tile would gain nothing
// from cuts.
std::vector<size_t> GroupEmitter::cut() const {
  const auto code = [&](size_t c) {
    const size_t weights = starts_[c + 1] - starts_[c];
    return weights == 0 ? 0 : kColumnBytes + weights * kWeightCode;
  };
  size_t all = 0;
  for (size_t c = 0; c < column_count_; c++) all += code(c);
  const size_t pieces = calls_of_a_pass() == 1 ? 1 : std::max(divided(all, spec_.piece_bytes), divided(shared_lines(), kPieceLines));
  std::vector<size_t> cuts{0};
  size_t before = 0;
  for (size_t c = 0; c < column_count_ && cuts.size() < pieces; c++) {
    before += code(c);
    if (before * pieces >= all * cuts.size()) cuts.push_back(c + 1);
  }
  if (cuts.back() != column_count_ || cuts.size() == 1) cuts.push_back(column_count_);
  return cuts;
}

// The cache lines of pixels that the group reads for a tile, if the next tile reads most of them
// again: then several columns read each line. Otherwise 0.
size_t GroupEmitter::shared_lines() const {
  std::vector<size_t> lines;
  for (size_t c = 0; c < column_count_; c++) {
    if (starts_[c] == starts_[c + 1]) continue;
    const size_t offset = spec_.offsets[first_column_ + c];
    lines.push_back(offset / kLane);
    if (offset % kLane != 0) lines.push_back(offset / kLane + 1);
  }
  const size_t loads = lines.size();
  std::sort(lines.begin(), lines.end());
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  return 3 * lines.size() < 2 * loads ? lines.size() : 0;
}

// An estimate of the bytes of a piece with these columns.
size_t GroupEmitter::size_of(size_t begin, size_t end, size_t rows) const {
  size_t bytes = rows * kPieceRowBytes;
  for (size_t c = begin; c < end; c++) {
    const size_t weights = starts_[c + 1] - starts_[c];
    bytes += weights == 0 ? 0 : kColumnBytes + weights * kWeightBytes;
  }
  return bytes;
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

int32_t GroupEmitter::addend_disp(size_t row) const {
  return static_cast<int32_t>((spec_.addend_origin + row * spec_.addend_stride) * sizeof(float));
}

void GroupEmitter::emit_sums(Assembler& code, const Range& range, size_t lines) {
  const size_t first = range.first_row, rows = range.rows;
  for (size_t r = 0; r < rows; r++) {
    if (range.is_first) {
      code.broadcast(zmm(r), weight(code, spec_.bias[first + r]));
    } else {
      code.load(zmm(r), {kState, sums_disp(r)});
    }
  }
  const size_t spare = kZmmRegisters - rows;
  const size_t far = spec_.tiles >= kFarTiles && range.is_last ? rows * (spec_.addend ? 2 : 1) : 0;
  const size_t from = column_count_ == 0 ? 0 : starts_[range.begin];
  const size_t total = column_count_ == 0 ? 0 : starts_[range.end] - from;
  size_t done = 0, line = 0, prefetched = 0, turn = 0;
  // Prefetches are spread evenly: after a share of the weights, the same share of the lines.
  const auto prefetch = [&] {
    for (; line < lines && line * total <= done * lines; line++) {
      code.prefetch_l2({kPrefetch, static_cast<int32_t>(line * kLine)});
    }
    for (; prefetched < far && prefetched * total <= done * far; prefetched++) {
      constexpr int32_t kAhead = kPrefetchTiles * static_cast<int32_t>(kLine);
      const size_t row = first + prefetched % rows;
      if (prefetched < rows) {
        code.prefetch_for_write({kY, y_disp(row) + kAhead});
      } else {
        code.prefetch_l1({kAddend, addend_disp(row) + kAhead});
      }
    }
  };
  for (size_t c = range.begin; c < range.end; c++) {
    const size_t column = first_column_ + c;
    // The last tap of a plane reads furthest ahead.
    if (range.reads_first && spec_.taps > 0 && column % spec_.taps == spec_.taps - 1) {
      code.prefetch_l2({kX, static_cast<int32_t>((spec_.offsets[column] + kPixelTiles * spec_.x_tile) * sizeof(float))});
    }
    if (starts_[c] == starts_[c + 1]) continue;
    while (column >= group_start(spec_.matrix->columns, spec_.blocks, block_ + 1)) {
      end_block(code, first, rows, block_++);
    }
    const Zmm x = zmm(rows + turn);
    turn = (turn + 1) % spare;
    code.load(x, {kX, static_cast<int32_t>(spec_.offsets[column] * sizeof(float))});
    for (uint32_t i = starts_[c]; i < starts_[c + 1]; i++, done++) {
      code.fma_broadcast(zmm(entries_[i].row), x, weight(code, entries_[i].weight));
    }
    prefetch();
  }
  if (!range.is_last) {
    for (size_t r = 0; r < rows; r++) code.store({kState, sums_disp(r)}, zmm(r));
    return;
  }
  while (block_ + 1 < spec_.blocks) end_block(code, first, rows, block_++);
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
    code.add(sum, sum, {kAddend, addend_disp(row)});
  }
}

// The last instruction of the activation also masks lanes that are not pixels; if there is no such
// instruction, a masked move does.
void GroupEmitter::emit_activation(Assembler& code, size_t rows) {
  const Zmm a = zmm(rows), b = zmm(rows + 1);
  const bool clean = spec_.clean != nullptr;
  const WriteMask pixels = clean ? WriteMask{.k = kPixelMask, .zeroing = true} : WriteMask{};
  if (clean) code.load_mask(kPixelMask, {kState, offsetof(TileState, pixels)});
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
}

std::vector<EmittedPiece> GroupEmitter::emit(size_t group, uint8_t* begin, uint8_t* end) {
  const size_t first = first_row(group), rows = first_row(group + 1) - first;
  sort_by_column(group);
  block_ = 0;
  const std::vector<size_t> cuts = cut();
  const size_t pieces = cuts.size() - 1, calls = calls_of_a_pass();
  // The first piece of the next group is estimated as an even share of its weights, with as many
  // loads as the first one here.
  const size_t following = weights_of(group + 1 < groups_ ? group + 1 : 0);
  const size_t own = size_of(0, column_count_, 0);
  const size_t next_first = weights_of(group) == 0 ? following * kWeightBytes : own * following / weights_of(group);
  std::vector<EmittedPiece> made;
  for (size_t p = 0; p < pieces; p++) {
    const bool is_last = p + 1 == pieces;
    const Range range{.begin = cuts[p], .end = cuts[p + 1], .first_row = first, .rows = rows, .is_first = p == 0,
                      .is_last = is_last, .reads_first = group == 0};
    size_t next = is_last ? next_first / pieces + rows * kGroupRowBytes : size_of(cuts[p + 1], cuts[p + 2], rows);
    next += (spec_.blocks - 1) * rows * kBlockBytes / pieces;
    const size_t lines = groups_ > 1 || pieces > 1 ? (next / kLine + calls) / calls : 0;
    weights_.clear();
    weight_disp_ = 0;
    Assembler code(begin, end);
    emit_sums(code, range, lines);
    if (is_last) emit_results(code, first, rows);
    code.end();
    code.pad_to_line();
    const size_t bytes = weights_.size() * sizeof(float), padded = round_up(bytes, kLine);
    if (code.overflowed() || static_cast<size_t>(end - code.at()) < padded) return {};
    std::memcpy(code.at(), weights_.data(), bytes);
    made.push_back({.begin = begin,
                    .weights = reinterpret_cast<const float*>(code.at()),
                    .end = code.at() + padded,
                    .prefetch_bytes = lines * kLine});
    begin = code.at() + padded;
  }
  return made;
}

}  // namespace pc
