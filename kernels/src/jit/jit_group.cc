// The code of one group of rows for one tile of 16 pixels. The columns of the group are cut into
// pieces, so that code stays in the first-level instruction cache while several tiles run through
// it. Each piece is a C function (TileCode in jit_program.cc, System V calling convention) that
// computes all sums of the group in registers. Between pieces the sums wait in memory, unrounded, so
// results do not depend on the cuts.
//
//   rdi   x: the image, plus the place of the tile; advanced where tiles of channels are contiguous
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
// Cache lines within +-128 of rdi have displacements of one byte.
constexpr int32_t kNearLines = 128 * static_cast<int32_t>(kLine);
// Cache lines of pixels that a piece reads at most if tiles share them: 20 KB of a first-level cache
// of 32 KB or more. At 95 % zeros, 3x3 layers became 8 to 18 % faster; 256 to 512 measured the same
// (Emerald Rapids).
constexpr size_t kChunkLines = 320;
// Images of this many tiles leave the cache before their results are read. Results and residuals
// are then prefetched at a distance of kPrefetchTiles.
constexpr size_t kFarTiles = 40;
constexpr size_t kPrefetchTiles = 2;
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

// Multiply-adds per load of pixels from which on a bundle is a single group: the loads are hidden
// then. Bundles of two made ResNet-50 6 % slower at 60 % zeros (12 multiply-adds per load) and 3 % at
// 80 % (6), and 5 % faster at 90 % (3) and 95 % (1.5; Emerald Rapids).
constexpr size_t kEnoughPerLoad = 5;

// The columns that every group loads, summed.
size_t loads_of(const Matrix& matrix, size_t groups) {
  std::vector<size_t> last_group(matrix.columns, SIZE_MAX);
  size_t loads = 0, i = 0;
  for (size_t g = 0; g < groups; g++) {
    const size_t row = group_start(matrix.rows, groups, g + 1);
    for (const size_t end = row == 0 ? 0 : matrix.ends[row - 1]; i < end; i++) {
      loads += last_group[matrix.column[i]] != g ? 1 : 0;
      last_group[matrix.column[i]] = g;
    }
  }
  return loads;
}

// One or two groups per bundle. Threads share an even number of bundles evenly, so an odd number of
// pairs is made smaller: some bundles then have three groups.
size_t bundle_count(const ProgramSpec& spec, size_t groups) {
  if (spec.matrix->value.size() >= kEnoughPerLoad * loads_of(*spec.matrix, groups)) return groups;
  const size_t pairs = divided(groups, 2);
  return spec.by_groups && pairs > 1 && pairs % 2 == 1 ? pairs - 1 : pairs;
}

constexpr Reg64 kX = Reg64::rdi, kWeights = Reg64::rsi, kY = Reg64::rdx, kAddend = Reg64::rcx;
constexpr Reg64 kPrefetch = Reg64::r8, kState = Reg64::r9;
constexpr Opmask kPixelMask = Opmask::k1, kCompareMask = Opmask::k2;

}  // namespace

GroupEmitter::GroupEmitter(const ProgramSpec& spec)
    : spec_(spec), groups_(group_count(spec.matrix->rows, kJitRows)), bundles_(bundle_count(spec, groups_)) {}

size_t GroupEmitter::weights_of(size_t group) const {
  const auto [first, last] = rows_of(group);
  return (last == 0 ? 0 : spec_.matrix->ends[last - 1]) - (first == 0 ? 0 : spec_.matrix->ends[first - 1]);
}

// A weight takes 7 bytes of code, 4 bytes of data and a share of the instructions that advance rsi.
// A column takes a load and a prefetch. Each line of the next chunk takes a prefetch; at worst the
// next bundle is as large as this one. A row takes the rest, kPieceRowBytes for each further piece
// and kBlockBytes for each further block.
size_t GroupEmitter::room(size_t bundle) const {
  const auto own = [&](size_t one) {
    const auto [first, last] = groups_of(one);
    size_t code = 0;
    for (size_t g = first; g < last; g++) code += weights_of(g) * 12 + std::min(weights_of(g), spec_.matrix->columns) * 24;
    const size_t chunks = code / spec_.piece_bytes + 2 * spec_.matrix->columns / kChunkLines + 2;
    const size_t rows = (last - first) * kJitRows;
    return code + chunks * (rows * kPieceRowBytes + (last - first) * kLine) + spec_.blocks * rows * kBlockBytes;
  };
  const size_t next = own(bundle + 1 < bundles() ? bundle + 1 : 0);
  return own(bundle) + (2 * own(bundle) + next) / 4 + 16384 * kMostTogether;
}

// How often a chunk of so many groups runs before the next one, usually.
size_t GroupEmitter::calls_of_a_chunk(size_t groups) const {
  return std::clamp<size_t>(spec_.tiles_per_run, 1, kPassTiles) * groups;
}

// The columns at which chunks with about as much code begin, and the end. For a single tile, cuts
// gain nothing.
std::vector<size_t> GroupEmitter::cut(const std::vector<SortedRows>& groups) const {
  const size_t columns = spec_.matrix->columns;
  std::vector<size_t> code(columns);
  size_t all = 0;
  for (const SortedRows& group : groups) {
    for (size_t c = 0; c < columns; c++) {
      const size_t weights = group.column(c).size();
      code[c] += weights == 0 ? 0 : kColumnBytes + weights * kWeightCode;
    }
  }
  for (const size_t bytes : code) all += bytes;
  const size_t chunks =
      spec_.tiles_per_run <= 1 ? 1 : std::max(divided(all, spec_.piece_bytes), divided(lines_of_pixels(groups), kChunkLines));
  std::vector<size_t> cuts{0};
  size_t before = 0;
  for (size_t c = 0; c < columns && cuts.size() < chunks; c++) {
    before += code[c];
    if (before * chunks >= all * cuts.size()) cuts.push_back(c + 1);
  }
  if (cuts.back() != columns) cuts.push_back(columns);
  return cuts;
}

// The cache lines of pixels that the groups read for a tile, if they are read again soon: by another
// group, or for the next tile where several columns read each line. Otherwise 0.
size_t GroupEmitter::lines_of_pixels(const std::vector<SortedRows>& groups) const {
  std::vector<size_t> lines;
  for (size_t c = 0; c < spec_.matrix->columns; c++) {
    const auto reads = [&](const SortedRows& group) { return !group.column(c).empty(); };
    if (std::none_of(groups.begin(), groups.end(), reads)) continue;
    const size_t offset = spec_.offsets[c];
    lines.push_back(offset / kLane);
    if (offset % kLane != 0) lines.push_back(offset / kLane + 1);
  }
  const size_t loads = lines.size();
  std::sort(lines.begin(), lines.end());
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  return groups.size() > 1 || 3 * lines.size() < 2 * loads ? lines.size() : 0;
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

// The address of a column. Tiles of one channel after the other are near each other: rdi follows
// them, so that displacements fit one byte.
Memory GroupEmitter::pixels(Assembler& code, size_t column) {
  auto disp = static_cast<int32_t>(spec_.offsets[column] * sizeof(float)) - x_disp_;
  if (spec_.x_tile != kLane && (disp < -kNearLines || disp >= kNearLines)) {
    const int32_t step = disp + kNearLines;
    code.add_immediate(kX, step);
    x_disp_ += step;
    disp -= step;
  }
  return {kX, disp};
}

int32_t GroupEmitter::y_disp(size_t row) const {
  return static_cast<int32_t>((spec_.y_origin + row * spec_.y_stride) * sizeof(float));
}

int32_t GroupEmitter::addend_disp(size_t row) const {
  return static_cast<int32_t>((spec_.addend_origin + row * spec_.addend_stride) * sizeof(float));
}

void GroupEmitter::emit_sums(Assembler& code, const SortedRows& group, const Part& part, size_t lines) {
  const size_t first = group.first(), rows = group.count();
  for (size_t r = 0; r < rows; r++) {
    if (part.is_first) {
      code.broadcast(zmm(r), weight(code, spec_.bias[first + r]));
    } else {
      code.load(zmm(r), {kState, sums_disp(r)});
    }
  }
  const size_t spare = kZmmRegisters - rows;
  const size_t far = spec_.tiles >= kFarTiles && part.is_last ? rows * (spec_.addend ? 2 : 1) : 0;
  const size_t total = group.columns(part.columns).size();
  size_t done = 0, line = 0, prefetched = 0, turn = 0;
  // Prefetches are spread evenly: after a share of the weights, the same share of the lines.
  const auto prefetch = [&] {
    for (; line < lines && line * total <= done * lines; line++) {
      code.prefetch_l2({kPrefetch, static_cast<int32_t>(line * kLine)});
    }
    for (; prefetched < far && prefetched * total <= done * far; prefetched++) {
      const auto ahead = [](size_t tile) { return static_cast<int32_t>(kPrefetchTiles * tile * sizeof(float)); };
      const size_t row = first + prefetched % rows;
      if (prefetched < rows) {
        code.prefetch_for_write({kY, y_disp(row) + ahead(spec_.y_tile)});
      } else {
        code.prefetch_l1({kAddend, addend_disp(row) + ahead(spec_.addend_tile)});
      }
    }
  };
  const auto block_end = [&](size_t block) { return group_start(spec_.matrix->columns, spec_.blocks, block + 1); };
  size_t block = 0;
  for (; block + 1 < spec_.blocks && block_end(block) <= part.columns.first; block++) {
    if (part.is_first) end_block(code, group, block);  // it has no columns
  }
  for (size_t c = part.columns.first; c < part.columns.last; c++) {
    // The last tap of a plane reads furthest ahead.
    if (part.reads_first && spec_.taps > 0 && c % spec_.taps == spec_.taps - 1) {
      const auto next = static_cast<int32_t>((spec_.offsets[c] + kPixelTiles * spec_.x_tile) * sizeof(float));
      code.prefetch_l2({kX, next - x_disp_});
    }
    const auto entries = group.column(c);
    if (!entries.empty()) {
      const Zmm x = zmm(rows + turn);
      turn = (turn + 1) % spare;
      code.load(x, pixels(code, c));
      for (const auto& [row, value] : entries) code.fma_broadcast(zmm(row), x, weight(code, value));
      done += entries.size();
      prefetch();
    }
    // The last block ends with the results.
    for (; block + 1 < spec_.blocks && c + 1 == block_end(block); block++) end_block(code, group, block);
  }
  if (part.is_last) return;
  for (size_t r = 0; r < rows; r++) code.store({kState, sums_disp(r)}, zmm(r));
}

// Stores the sum of all blocks so far in y and starts the next block with zero. y may be the
// addend, so the first block adds the addend before it stores.
void GroupEmitter::end_block(Assembler& code, const SortedRows& group, size_t block) {
  for (size_t r = 0; r < group.count(); r++) {
    const size_t row = group.first() + r;
    add_earlier_sums(code, zmm(r), row, block);
    code.store({kY, y_disp(row)}, zmm(r));
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

void GroupEmitter::emit_results(Assembler& code, const SortedRows& group) {
  const size_t first = group.first(), rows = group.count();
  for (size_t r = 0; r < rows; r++) add_earlier_sums(code, zmm(r), first + r, spec_.blocks - 1);
  emit_activation(code, rows);
  for (size_t r = 0; r < rows; r++) code.store({kY, y_disp(first + r)}, zmm(r));
}

EmittedBundle GroupEmitter::emit(size_t bundle, uint8_t* begin, uint8_t* end) {
  const Range groups = groups_of(bundle);
  std::vector<SortedRows> sorted;
  for (size_t g = groups.first; g < groups.last; g++) sorted.emplace_back(*spec_.matrix, rows_of(g));
  const std::vector<size_t> cuts = cut(sorted);
  const size_t chunks = cuts.size() - 1, calls = calls_of_a_chunk(sorted.size());
  // The bytes of the next chunk are estimated: an even share of the bundle, or of the next one.
  const auto size_of = [&](size_t one) {
    const auto [first, last] = groups_of(one);
    size_t bytes = 0;
    for (size_t g = first; g < last; g++) {
      const size_t weights = weights_of(g), rows = rows_of(g).last - rows_of(g).first;
      bytes += weights * kWeightBytes + std::min(weights, spec_.matrix->columns) * kColumnBytes;
      bytes += rows * (kGroupRowBytes + (spec_.blocks - 1) * kBlockBytes + (chunks - 1) * kPieceRowBytes);
    }
    return bytes / chunks;
  };
  const size_t own = size_of(bundle), following = size_of(bundle + 1 < bundles() ? bundle + 1 : 0);
  EmittedBundle made;
  for (size_t k = 0; k < chunks; k++) {
    const size_t next = k + 1 < chunks ? own : following;
    const size_t lines = bundles() > 1 || chunks > 1 ? (next / kLine + calls) / calls : 0;
    for (size_t g = 0; g < sorted.size(); g++) {
      const Part part{.columns = {cuts[k], cuts[k + 1]},
                      .is_first = k == 0,
                      .is_last = k + 1 == chunks,
                      .reads_first = groups.first + g == 0};
      weights_.clear();
      weight_disp_ = 0;
      x_disp_ = 0;
      Assembler code(begin, end);
      emit_sums(code, sorted[g], part, lines);
      if (part.is_last) emit_results(code, sorted[g]);
      code.end();
      code.pad_to_line();
      const size_t bytes = weights_.size() * sizeof(float), padded = round_up(bytes, kLine);
      if (code.overflowed() || static_cast<size_t>(end - code.at()) < padded) return {};
      std::memcpy(code.at(), weights_.data(), bytes);
      made.pieces.push_back({.begin = begin,
                             .weights = reinterpret_cast<const float*>(code.at()),
                             .end = code.at() + padded,
                             .prefetch_bytes = lines * kLine});
      begin = code.at() + padded;
    }
  }
  made.chunks = chunks;
  return made;
}

}  // namespace pc
