// Groups of up to 30 rows: the sums of a tile in registers, one load per column, the weight as broadcast operand.
#include <algorithm>

#include "assembler_avx512.h"
#include "jit_group.h"

namespace pc {
namespace {

constexpr size_t kLine = 64;
constexpr int kRegisters = 32;
constexpr int32_t kNear = 512;          // weights within +-512 bytes of rsi need one byte of displacement
constexpr size_t kFarTiles = 40;        // images of that many tiles: results leave the cache before they are read
constexpr int32_t kTilesAhead = 2;      // how far ahead results and residuals are fetched then
constexpr int kMaskRegister = 1, kCompareRegister = 2;

class Avx512Emitter final : public GroupEmitter {
 public:
  explicit Avx512Emitter(const ProgramSpec& spec) : GroupEmitter(spec, group_count(spec.matrix->rows)) {}

  size_t room(size_t group) const override;
  uint8_t* emit(size_t group, uint8_t* begin, uint8_t* end, std::vector<Piece>& pieces, Group& made) override;

 private:
  void emit_sums(Avx512Assembler&, size_t group, size_t rows, size_t lines);
  void emit_results(Avx512Assembler&, size_t first, size_t rows);
  void emit_activation(Avx512Assembler&, size_t rows);

  Columns columns_;
};

// Per weight 7 bytes of code and 4 of weight, and its share of what moves rsi; per column a load; a prefetch for each
// line of the next group, which at worst is this large again; per row the rest.
size_t Avx512Emitter::room(size_t group) const {
  const auto own = [&](size_t g) {
    const size_t weights = weight_count(g);
    return weights * 12 + std::min(weights, spec_.matrix->columns) * 16;
  };
  const size_t next = own(following(group));
  return own(group) + (2 * own(group) + next) / 4 + 16384;
}

void Avx512Emitter::emit_sums(Avx512Assembler& code, size_t group, size_t rows, size_t lines) {
  const size_t first = first_row(group), total = columns_.weights();
  for (size_t r = 0; r < rows; r++) code.broadcast(static_cast<int>(r), weight(code, spec_.bias[first + r], kNear));

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
      Memory at = in_row(fetched < rows ? kRdx : kRcx, first + fetched % rows);
      at.disp += kTilesAhead * static_cast<int32_t>(kLine);
      if (fetched < rows) {
        code.prefetch_for_write(at);
      } else {
        code.prefetch_l1(at);
      }
    }
  };
  for (size_t c = columns_.first(); c < columns_.last(); c++) {
    const auto entries = columns_.of(c);
    if (entries.empty()) continue;
    const int x = static_cast<int>(rows) + turn;
    turn = (turn + 1) % spare;
    code.load(x, x_at(c));
    for (const auto& [row, value] : entries) code.fma_broadcast(static_cast<int>(row), x, weight(code, value, kNear));
    done += entries.size();
    fetch();
  }
}

// Masking is part of the activation's last instruction where it has one.
void Avx512Emitter::emit_activation(Avx512Assembler& code, size_t rows) {
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
      code.broadcast(a, weight(code, activation.alpha, kNear));
      code.broadcast(b, weight(code, activation.beta, kNear));
      return each([&](int r) {
        code.maximum(r, a, r);
        code.minimum(r, b, r, pixels);
      });
    case ActivationKind::leaky_relu:
      code.zero(a);
      code.broadcast(b, weight(code, activation.alpha, kNear));
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

void Avx512Emitter::emit_results(Avx512Assembler& code, size_t first, size_t rows) {
  if (spec_.addend) {
    for (size_t r = 0; r < rows; r++) {
      code.add(static_cast<int>(r), static_cast<int>(r), in_row(kRcx, first + r));
    }
  }
  emit_activation(code, rows);
  for (size_t r = 0; r < rows; r++) code.store(in_row(kRdx, first + r), static_cast<int>(r));
}

uint8_t* Avx512Emitter::emit(size_t group, uint8_t* begin, uint8_t* end, std::vector<Piece>& pieces, Group& made) {
  const size_t first = first_row(group), height = rows(group);
  columns_.sort(*spec_.matrix, first, first + height);
  begin_weights();
  // Per weight 11 bytes, per column that occurs 10: about as many as in this group.
  size_t loads = 0;
  for (size_t c = columns_.first(); c < columns_.last(); c++) loads += columns_.of(c).empty() ? 0 : 1;
  const size_t next_size = weight_count(following(group)) * 11 + loads * 10 + height * 40;
  const size_t tiles = std::max<size_t>(1, spec_.tiles_per_run);
  const size_t lines = groups_ > 1 ? (next_size / kLine + tiles) / tiles : 0;

  Avx512Assembler code(begin, end);
  emit_sums(code, group, height, lines);
  emit_results(code, first, height);
  made.first = pieces.size();
  made.ahead = lines * kLine;
  uint8_t* const behind = end_piece(code, begin, end, pieces);
  made.bytes = static_cast<size_t>(behind - begin);
  return behind;
}

}  // namespace

std::unique_ptr<GroupEmitter> make_avx512_emitter(const ProgramSpec& spec) {
  return std::make_unique<Avx512Emitter>(spec);
}

}  // namespace pc
