// Groups of up to 24 rows in strips of 6: a strip's sums of a tile are in 12 registers of 8 pixels. A column that has several
// weights in the strip is loaded once, into two registers; each weight is broadcast into a register and multiplied with both.
//
// With so few sums, pixels are read 5 times as often as with AVX-512 and must come from the first-level cache. So a group is
// cut by columns into chunks: what a chunk reads for a block of tiles stays there while all strips work on it, and so does
// the code of these strips while they go from block to block.
#include <algorithm>

#include "assembler_avx2.h"
#include "jit_group.h"

namespace pc {
namespace {

constexpr size_t kLine = 64, kVector = 32;
constexpr int kSums = 2 * static_cast<int>(kStripRows);
constexpr int kX = kSums, kWeight = kX + 2;  // two registers of pixels, two of weights in turn
constexpr int32_t kNear = 128;               // weights within +-128 bytes of rsi need one byte of displacement
constexpr int32_t kPartialOnStack = 8;       // the seventh argument, behind the return address
constexpr size_t kFarTiles = 40;             // as in jit_avx512.cc
constexpr int32_t kTilesAhead = 2;
constexpr size_t kBlockLines = 256;          // of pixels, for a block of tiles: half of a cache of 32 KB
constexpr size_t kUsualBlock = 2;            // tiles
constexpr size_t kLeastWeights = 96;         // in a piece: handing 12 sums on costs about as much as 10 weights

// Bytes of code: a lone weight is multiplied with memory, others with what was loaded.
constexpr size_t kLoneBytes = 6 + 2 * 9, kLoadBytes = 2 * 9, kWeightBytes = 6 + 2 * 5;

size_t column_bytes(size_t weights) {
  return weights == 0 ? 0 : weights == 1 ? kLoneBytes : kLoadBytes + weights * kWeightBytes;
}

class Avx2Emitter final : public GroupEmitter {
 public:
  explicit Avx2Emitter(const ProgramSpec& spec);

  size_t room(size_t group) const override;
  uint8_t* emit(size_t group, uint8_t* begin, uint8_t* end, std::vector<Piece>& pieces, Group& made) override;

 private:
  // Part of the matrix that becomes a piece: rows [row, row + rows), columns [from, to).
  struct Part {
    const Columns& columns;
    size_t row, rows, from, to;
    size_t bytes() const;
  };
  void plan(Group&, size_t from, size_t to, size_t weights) const;
  void emit_start(Avx2Assembler&, const Part&, bool is_first);
  void emit_sums(Avx2Assembler&, const Part&, size_t lines, bool is_last);
  void emit_column(Avx2Assembler&, const Part&, size_t column);
  void emit_results(Avx2Assembler&, const Part&);
  void emit_activation(Avx2Assembler&, const Part&);
  void emit_mask(Avx2Assembler&, const Part&);

  Columns columns_[kMostStrips];
  double lines_per_column_ = 1;  // that a tile reads
  int turn_ = 0;                 // of the registers for weights
};

int sum(size_t row, int half) { return static_cast<int>(row) * 2 + half; }

Memory half_of(Memory at, int half) { return {at.base, at.disp + half * static_cast<int32_t>(kVector)}; }

Memory partial(Base base, size_t row) { return {base, static_cast<int32_t>(row * kLine)}; }

// Visits the two registers of each row.
template <typename Visit>
void each_sum(size_t rows, Visit&& visit) {
  for (size_t r = 0; r < rows; r++) {
    for (const int half : {0, 1}) visit(sum(r, half), r, half);
  }
}

// From eight groups on an even number, as with AVX-512.
size_t groups_of(size_t rows) {
  constexpr size_t kRows = kMostStrips * kStripRows;
  const size_t groups = (rows + kRows - 1) / kRows;
  return groups >= 8 ? groups + groups % 2 : groups;
}

Avx2Emitter::Avx2Emitter(const ProgramSpec& spec) : GroupEmitter(spec, groups_of(spec.matrix->rows)) {
  // Taps of one channel share lines: count those of a block of tiles.
  std::vector<uint32_t> lines;
  for (const uint32_t offset : spec.offsets) {
    for (size_t i = 0; i < kUsualBlock; i++) {
      lines.push_back((offset + static_cast<uint32_t>(i * spec.x_tile)) / kLane);
      lines.push_back((offset + static_cast<uint32_t>(i * spec.x_tile) + kLane - 1) / kLane);
    }
  }
  std::sort(lines.begin(), lines.end());
  const auto distinct = static_cast<double>(std::unique(lines.begin(), lines.end()) - lines.begin());
  if (!spec.offsets.empty()) lines_per_column_ = distinct / static_cast<double>(spec.offsets.size() * kUsualBlock);
}

size_t Avx2Emitter::Part::bytes() const {
  size_t sum = 0;
  for (size_t c = from; c < to; c++) sum += column_bytes(columns.of(c).size());
  return sum;
}

// Besides columns and weights (4 bytes each, and what moves rsi), a piece has its start and its end, at most 18 bytes for
// each of the sums, activations and masks less than that again, and fetches: 8 bytes a line of another piece of its size.
size_t Avx2Emitter::room(size_t group) const {
  const auto own = [&](size_t g) { return weight_count(g) * (kLoneBytes + 5) * 2; };
  const size_t pieces = (own(group) / (kLeastWeights * kLoneBytes) + 1) * kMostStrips + spec_.matrix->columns / 32;
  return own(group) + (own(group) + own(following(group))) / 4 + pieces * 2048;
}

// Chunks of as many columns as a block of two tiles may read, but no fewer than give pieces enough to do.
void Avx2Emitter::plan(Group& made, size_t from, size_t to, size_t weights) const {
  const auto columns = static_cast<double>(std::max<size_t>(1, to - from));
  const double in_cache = static_cast<double>(kBlockLines / kUsualBlock) / lines_per_column_;
  const double enough = static_cast<double>(kLeastWeights * made.strips) * columns / static_cast<double>(std::max<size_t>(1, weights));
  const double chunk = std::min(columns, std::max({in_cache, enough, 32.0}));
  made.chunks = static_cast<size_t>(columns / chunk + 0.5);
  const double lines = columns / static_cast<double>(made.chunks) * lines_per_column_;
  made.block = std::clamp<size_t>(static_cast<size_t>(kBlockLines / lines), 1, kPassTiles);
}

void Avx2Emitter::emit_start(Avx2Assembler& code, const Part& part, bool is_first) {
  if (is_first) {
    for (size_t r = 0; r < part.rows; r++) {
      const Memory bias = weight(code, spec_.bias[part.row + r], kNear);
      for (const int half : {0, 1}) code.broadcast(sum(r, half), bias);
    }
    return;
  }
  code.rax_from_stack(kPartialOnStack);
  each_sum(part.rows, [&](int to, size_t r, int half) { code.load(to, half_of(partial(kRax, r), half)); });
}

void Avx2Emitter::emit_column(Avx2Assembler& code, const Part& part, size_t column) {
  const auto entries = part.columns.of(column);
  const Memory x = x_at(column);
  const bool is_lone = entries.size() == 1;
  if (!is_lone) {
    for (const int half : {0, 1}) code.load(kX + half, half_of(x, half));
  }
  for (const auto& [row, value] : entries) {
    const int factor = kWeight + turn_;
    turn_ = 1 - turn_;
    code.broadcast(factor, weight(code, value, kNear));
    for (const int half : {0, 1}) {
      if (is_lone) code.fma(sum(row, half), factor, half_of(x, half));
      else code.fma(sum(row, half), kX + half, factor);
    }
  }
}

void Avx2Emitter::emit_sums(Avx2Assembler& code, const Part& part, size_t lines, bool is_last) {
  const size_t far = is_last && spec_.tiles >= kFarTiles ? part.rows * (spec_.addend ? 2 : 1) : 0;
  const size_t total = part.bytes();
  size_t done = 0, line = 0, fetched = 0;
  for (size_t c = part.from; c < part.to; c++) {
    if (part.columns.of(c).empty()) continue;
    emit_column(code, part, c);
    done += column_bytes(part.columns.of(c).size());
    // Fetches are spread evenly: after a share of the code, the same share of the lines.
    for (; line < lines && line * total <= done * lines; line++) {
      code.prefetch_l2({kR8, static_cast<int32_t>(line * kLine)});
    }
    for (; fetched < far && fetched * total <= done * far; fetched++) {
      Memory at = in_row(fetched < part.rows ? kRdx : kRcx, part.row + fetched % part.rows);
      at.disp += kTilesAhead * static_cast<int32_t>(kLine);
      if (fetched < part.rows) code.prefetch_for_write(at);
      else code.prefetch_l1(at);
    }
  }
}

void Avx2Emitter::emit_mask(Avx2Assembler& code, const Part& part) {
  for (const int half : {0, 1}) code.widen(kX + half, {kR9, half * 8});
  each_sum(part.rows, [&](int to, size_t, int half) { code.bits_and(to, to, kX + half); });
}

void Avx2Emitter::emit_activation(Avx2Assembler& code, const Part& part) {
  const int a = kX, b = kX + 1, c = kWeight, d = kWeight + 1;
  const Activation& activation = spec_.activation;
  const auto each = [&](auto&& emit) { each_sum(part.rows, [&](int to, size_t, int) { emit(to); }); };
  switch (activation.kind) {
    case ActivationKind::relu:
      code.zero(a);
      return each([&](int to) { code.maximum(to, a, to); });
    case ActivationKind::clip:
      code.broadcast(a, weight(code, activation.alpha, kNear));
      code.broadcast(b, weight(code, activation.beta, kNear));
      return each([&](int to) {
        code.maximum(to, a, to);
        code.minimum(to, b, to);
      });
    case ActivationKind::leaky_relu:
      code.zero(a);
      code.broadcast(b, weight(code, activation.alpha, kNear));
      return each([&](int to) {
        code.less_than(c, to, a);
        code.multiply(d, to, b);
        code.blend(to, to, d, c);
      });
    default:  // none, or one that is done afterwards
      return;
  }
}

void Avx2Emitter::emit_results(Avx2Assembler& code, const Part& part) {
  if (spec_.addend) {
    each_sum(part.rows, [&](int to, size_t r, int half) { code.add(to, to, half_of(in_row(kRcx, part.row + r), half)); });
  }
  emit_activation(code, part);
  if (spec_.clean != nullptr && is_simple(spec_.activation.kind)) emit_mask(code, part);
  each_sum(part.rows, [&](int from, size_t r, int half) { code.store(half_of(in_row(kRdx, part.row + r), half), from); });
}

uint8_t* Avx2Emitter::emit(size_t group, uint8_t* const begin, uint8_t* end, std::vector<Piece>& pieces, Group& made) {
  const size_t first = first_row(group), height = rows(group);
  made.first = pieces.size();
  made.strips = (height + kStripRows - 1) / kStripRows;
  const auto strip_row = [&](size_t strip) { return first + group_start(height, made.strips, strip); };
  size_t from = SIZE_MAX, to = 0;
  for (size_t s = 0; s < made.strips; s++) {
    columns_[s].sort(*spec_.matrix, strip_row(s), strip_row(s + 1));
    if (columns_[s].weights() == 0) continue;
    from = std::min(from, columns_[s].first());
    to = std::max(to, columns_[s].last());
  }
  from = std::min(from, to);
  plan(made, from, to, weight_count(group));

  // What follows is about as large: code of 24 bytes and 4 bytes for each weight, and each piece fetches its share of it.
  const size_t tiles = std::max<size_t>(1, made.chunks > 1 ? std::min(spec_.tiles_per_run, kPassTiles) : spec_.tiles_per_run);
  const size_t calls = made.chunks * made.strips * tiles;
  const size_t lines = groups_ > 1 || made.chunks > 1 ? (weight_count(group) * (kLoneBytes + 4) / kLine + calls) / calls : 0;
  made.ahead = lines * kLine;
  uint8_t* at = begin;
  for (size_t chunk = 0; chunk < made.chunks; chunk++) {
    for (size_t s = 0; s < made.strips; s++) {
      const Part part{columns_[s], strip_row(s), strip_row(s + 1) - strip_row(s), from + group_start(to - from, made.chunks, chunk),
                      from + group_start(to - from, made.chunks, chunk + 1)};
      const bool is_first = chunk == 0, is_last = chunk + 1 == made.chunks;
      begin_weights();
      Avx2Assembler code(at, end);
      emit_start(code, part, is_first);
      emit_sums(code, part, lines, is_last);
      if (is_last) {
        emit_results(code, part);
      } else {
        if (is_first) code.rax_from_stack(kPartialOnStack);
        each_sum(part.rows, [&](int sum, size_t r, int half) { code.store(half_of(partial(kRax, r), half), sum); });
      }
      at = end_piece(code, at, end, pieces);
      if (at == nullptr) return nullptr;
    }
  }
  made.bytes = static_cast<size_t>(at - begin);
  return at;
}

}  // namespace

std::unique_ptr<GroupEmitter> make_avx2_emitter(const ProgramSpec& spec) { return std::make_unique<Avx2Emitter>(spec); }

}  // namespace pc
