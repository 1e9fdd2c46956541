// The jit kernel: straight-line code that computes the outer products of a group of up to 30 rows
// and one tile of 16 pixels. The sums stay in registers. Every column of the matrix that has a
// weight in the group is loaded once and followed by one multiply-add per weight, whose weight is a
// broadcast memory operand. The code reads no indices and takes no branches.
//
// A group is cut into pieces whose code fits the first-level instruction cache. The tiles of a pass
// run through a piece before the next one; their sums wait in memory meanwhile.
//
// The code and weights of all pieces are contiguous. They are larger than the caches, so the code of
// a piece contains prefetches of the following piece, spread over its instructions.
#include <algorithm>
#include <cstring>
#include <vector>

#include "jit/assembler.h"
#include "jit/executable.h"
#include "jit/jit_group.h"
#include "layout/images.h"
#include "program/program.h"

namespace pc {
namespace {

#if defined(PC_X86) && !defined(_WIN32)

// The emitted function; the head of jit_group.cc describes its arguments.
using TileCode = void (*)(const float* x, const float* weights, float* y, const float* addend,
                          const uint8_t* prefetch, TileState* state);

// Groups that share the pixels of a tile in the first-level cache. At 95 % zeros, two or three made
// ResNet-50 4 % faster than one. With five, more planes of results were written at a time than the
// first-level TLB has entries (Emerald Rapids).
constexpr size_t kGroupsTogether = 3;

struct Piece {
  TileCode code;
  const float* weights;
  size_t prefetch_bytes;  // of the next piece, per tile
  size_t size;            // bytes of code and weights
  size_t code_size;       // bytes of code
};

class JitProgram final : public Program {
 public:
  // The pieces of group g are [starts[g], starts[g + 1]).
  JitProgram(const ProgramSpec& spec, const Isa& isa, std::unique_ptr<Executable> memory, std::vector<Piece> pieces,
             std::vector<size_t> starts)
      : isa_(isa),
        memory_(std::move(memory)),
        pieces_(std::move(pieces)),
        starts_(std::move(starts)),
        activation_(spec.activation),
        simple_(is_simple(spec.activation.kind)),
        rows_(spec.matrix->rows),
        origin_(spec.y_origin),
        stride_(spec.y_stride),
        x_tile_(spec.x_tile),
        piece_bytes_(spec.piece_bytes),
        masks_(spec.tiles, uint16_t{0xffff}) {
    if (spec.clean == nullptr) return;
    clean_ = *spec.clean;
    is_clean_ = true;
    for (size_t t = 0; t < spec.tiles; t++) masks_[t] = clean_.mask(t);
  }

  const char* name() const override { return "jit"; }
  size_t groups() const override { return starts_.size() - 1; }

  void run(const ProgramImages& images, Range groups, Range tiles) const noexcept override {
    if (tiles.first == tiles.last) return;
    for (size_t group = groups.first; group < groups.last;) {
      const size_t end = together(group, groups.last);
      const size_t passes = divided(tiles.last - tiles.first, kPassTiles);
      for (size_t pass = 0; pass < passes; pass++) {
        const auto start = [&](size_t p) { return tiles.first + group_start(tiles.last - tiles.first, passes, p); };
        run_pass(images, {group, end}, {start(pass), start(pass + 1)}, pass + 1 == passes);
      }
      group = end;
    }
    if (!is_clean_) return;
    for (size_t group = groups.first; group < groups.last; group++) clean_tails(group, images, tiles.first, tiles.last);
  }

 private:
  // Tile number `tile`, counted through all images.
  struct Place {
    size_t image, tile;
  };
  Place place(size_t tile) const { return {tile / masks_.size(), tile % masks_.size()}; }

  // The end of the groups from `group` on that a tile runs through one after the other, while its
  // pixels are in the first-level cache: their code fits the first-level instruction cache together.
  size_t together(size_t group, size_t last) const {
    size_t end = group, bytes = 0;
    for (; end < std::min(last, group + kGroupsTogether) && starts_[end + 1] - starts_[end] == 1; end++) {
      bytes += pieces_[starts_[end]].code_size;
      if (bytes > piece_bytes_) break;
    }
    return std::max(end, group + 1);
  }

  void run_pass(const ProgramImages& images, Range groups, Range tiles, bool is_last) const noexcept {
    TileState states[kPassTiles];
    for (size_t i = tiles.first; i < tiles.last; i++) states[i - tiles.first].pixels = masks_[place(i).tile];
    const size_t begin = starts_[groups.first], end = starts_[groups.last];
    // Several groups are one piece each; otherwise the pieces of a group take turns.
    const size_t step = groups.last - groups.first > 1 ? end - begin : 1;
    for (size_t p = begin; p < end; p += step) {
      // What runs next: the following pieces, or the first ones here for the next pass.
      const bool ends = p + step == end;
      const Piece& next = pieces_[ends && !is_last ? begin : p + step < pieces_.size() ? p + step : 0];
      const auto* const next_code = reinterpret_cast<const uint8_t*>(next.code);
      size_t prefetched = 0;
      for (size_t i = tiles.first; i < tiles.last; i++) {
        const auto [image, tile] = place(i);
        const float* const x = images.x + image * images.x_image + tile * x_tile_;
        float* const y = images.y + image * images.y_image + tile * kLane;
        const float* const addend = images.addend == nullptr ? nullptr : images.addend + image * images.y_image + tile * kLane;
        for (size_t q = p; q < p + step; q++) {
          const Piece& piece = pieces_[q];
          piece.code(x, piece.weights, y, addend, next_code + prefetched, &states[i - tiles.first]);
          prefetched = prefetched + piece.prefetch_bytes < next.size * step ? prefetched + piece.prefetch_bytes : 0;
        }
        if (ends && !simple_) activate(groups, y);
      }
    }
  }

  // The code masked the lanes of tiles. The floats after the last tile of an image are left, and the
  // lanes of activations that the code does not know.
  void clean_tails(size_t group, const ProgramImages& images, size_t first, size_t last) const {
    const size_t tiles = masks_.size();
    for (size_t at = first; at < last;) {
      const auto [image, tile] = place(at);
      const size_t end = std::min(tiles, tile + last - at);
      at += end - tile;
      if (simple_ && end < tiles) continue;
      for_rows(group, [&](size_t row) {
        float* const plane = images.y + image * images.y_image + origin_ + row * stride_;
        if (!simple_) clear_borders(clean_, plane, tile, end);
        if (simple_) std::memset(plane + end * kLane, 0, (clean_.stride - end * kLane) * sizeof(float));
      });
    }
  }

  template <typename Visit>
  void for_rows(size_t group, Visit&& visit) const {
    const size_t end = group_start(rows_, groups(), group + 1);
    for (size_t row = group_start(rows_, groups(), group); row < end; row++) visit(row);
  }

  void activate(Range groups, float* tile) const {
    for (size_t group = groups.first; group < groups.last; group++) {
      for_rows(group, [&](size_t row) { isa_.activate(tile + origin_ + row * stride_, kLane, activation_); });
    }
  }

  const Isa& isa_;
  std::unique_ptr<Executable> memory_;
  std::vector<Piece> pieces_;
  std::vector<size_t> starts_;
  Activation activation_;
  bool simple_;
  size_t rows_, origin_, stride_, x_tile_, piece_bytes_;
  std::vector<uint16_t> masks_;
  Planes clean_;
  bool is_clean_ = false;
};

#endif

}  // namespace

std::unique_ptr<Program> make_jit_program(const ProgramSpec& spec, const Isa& isa) {
#if defined(PC_X86) && !defined(_WIN32)
  if (!has_avx512() || &isa != find_isa("avx512")) return nullptr;
  const Matrix& matrix = *spec.matrix;
  // Displacements are signed 32-bit numbers of bytes.
  constexpr size_t kReach = size_t{1} << 28;
  const uint32_t furthest = spec.offsets.empty() ? 0 : *std::max_element(spec.offsets.begin(), spec.offsets.end());
  if (furthest >= kReach || spec.y_origin + matrix.rows * spec.y_stride >= kReach ||
      spec.addend_origin + matrix.rows * spec.addend_stride >= kReach) {
    return nullptr;
  }

  const size_t count = group_count(matrix.rows, kJitRows);
  GroupEmitter emitter(spec);
  size_t room = 0;
  for (size_t g = 0; g < count; g++) room += emitter.room(g);
  auto memory = Executable::reserve(room);
  if (memory == nullptr) return nullptr;
  std::vector<Piece> pieces;
  std::vector<size_t> starts{0};
  uint8_t* at = memory->begin();
  for (size_t g = 0; g < count; g++) {
    const std::vector<EmittedPiece> made = emitter.emit(g, at, memory->end());
    if (made.empty()) return nullptr;
    for (const EmittedPiece& one : made) {
      pieces.push_back({.code = reinterpret_cast<TileCode>(reinterpret_cast<uintptr_t>(one.begin)),
                        .weights = one.weights,
                        .prefetch_bytes = one.prefetch_bytes,
                        .size = static_cast<size_t>(one.end - one.begin),
                        .code_size = static_cast<size_t>(reinterpret_cast<const uint8_t*>(one.weights) - one.begin)});
    }
    starts.push_back(pieces.size());
    at = memory->begin() + (made.back().end - memory->begin());
  }
  if (!memory->seal(static_cast<size_t>(at - memory->begin()))) return nullptr;
  return std::make_unique<JitProgram>(spec, isa, std::move(memory), std::move(pieces), std::move(starts));
#else
  static_cast<void>(spec);
  static_cast<void>(isa);
  return nullptr;
#endif
}

}  // namespace pc
