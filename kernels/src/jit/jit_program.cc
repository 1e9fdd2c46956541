// The jit kernel: straight-line code that computes the outer products of a group of up to 30 rows
// and one tile of 16 pixels. The sums stay in registers. Every column of the matrix that has a
// weight in the group is loaded once and followed by one multiply-add per weight, whose weight is a
// broadcast memory operand. The code reads no indices and takes no branches.
//
// Two or three groups are a bundle. Its columns are cut into chunks whose code fits the first-level
// instruction cache, and whose pixels fit the first-level data cache. Every tile of a pass runs
// through the groups of a chunk before the next chunk; the sums wait in memory meanwhile.
//
// The code and weights of all chunks are contiguous. They are larger than the caches, so the code of
// a chunk contains prefetches of the following one, spread over its instructions. A bundle is what
// callers of the program know as a group.
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

// The code of one group over the columns of a chunk.
struct Piece {
  TileCode code;
  const float* weights;
  size_t prefetch_bytes;  // of the next chunk, per tile
};

struct Chunk {
  size_t piece;  // the first one
  const uint8_t* begin;
  size_t size;
};

struct Bundle {
  Range rows;
  size_t groups;
  size_t chunk, chunks;  // the first one, and how many
};

class JitProgram final : public Program {
 public:
  JitProgram(const ProgramSpec& spec, const Isa& isa, std::unique_ptr<Executable> memory, std::vector<Piece> pieces,
             std::vector<Chunk> chunks, std::vector<Bundle> bundles)
      : isa_(isa),
        memory_(std::move(memory)),
        pieces_(std::move(pieces)),
        chunks_(std::move(chunks)),
        bundles_(std::move(bundles)),
        activation_(spec.activation),
        simple_(is_simple(spec.activation.kind)),
        rows_(spec.matrix->rows),
        origin_(spec.y_origin),
        stride_(spec.y_stride),
        x_tile_(spec.x_tile),
        y_tile_(spec.y_tile),
        addend_tile_(spec.addend_tile),
        masks_(spec.tiles, uint16_t{0xffff}) {
    if (spec.clean == nullptr) return;
    clean_ = *spec.clean;
    is_clean_ = true;
    for (size_t t = 0; t < spec.tiles; t++) masks_[t] = clean_.mask(t);
  }

  const char* name() const override { return "jit"; }
  size_t groups() const override { return bundles_.size(); }
  size_t first_row(size_t group) const override { return group < groups() ? bundles_[group].rows.first : rows_; }

  void run(const ProgramImages& images, Range groups, Range tiles) const noexcept override {
    if (tiles.first == tiles.last) return;
    for (size_t b = groups.first; b < groups.last; b++) {
      const size_t passes = divided(tiles.last - tiles.first, std::min(kPassTiles, kMostStates / bundles_[b].groups));
      const auto start = [&](size_t pass) { return tiles.first + group_start(tiles.last - tiles.first, passes, pass); };
      for (size_t pass = 0; pass < passes; pass++) {
        run_pass(images, bundles_[b], {start(pass), start(pass + 1)}, pass + 1 == passes);
      }
      if (is_clean_ && y_tile_ == kLane) clean_tails(images, bundles_[b].rows, tiles);
    }
  }

 private:
  // Tile number `tile`, counted through all images.
  struct Place {
    size_t image, tile;
  };
  Place place(size_t tile) const { return {tile / masks_.size(), tile % masks_.size()}; }
  Place after(Place at) const {
    return at.tile + 1 < masks_.size() ? Place{at.image, at.tile + 1} : Place{at.image + 1, 0};
  }

  void run_pass(const ProgramImages& images, const Bundle& bundle, Range tiles, bool is_last) const noexcept {
    TileState states[kMostStates];
    const auto state = [&](size_t tile, size_t group) { return states + (tile - tiles.first) * bundle.groups + group; };
    Place first = place(tiles.first);
    for (size_t i = tiles.first; i < tiles.last; i++, first = after(first)) {
      for (size_t g = 0; g < bundle.groups; g++) state(i, g)->pixels = masks_[first.tile];
    }
    for (size_t c = bundle.chunk; c < bundle.chunk + bundle.chunks; c++) {
      const bool ends = c + 1 == bundle.chunk + bundle.chunks;
      // What runs next: the following chunk, or the first one here for the next pass.
      const Chunk& next = chunks_[ends && !is_last ? bundle.chunk : c + 1 < chunks_.size() ? c + 1 : 0];
      size_t prefetched = 0;
      Place at = place(tiles.first);
      for (size_t i = tiles.first; i < tiles.last; i++, at = after(at)) {
        const auto [image, tile] = at;
        const float* const x = images.x + image * images.x_image + tile * x_tile_;
        float* const y = images.y + image * images.y_image + tile * y_tile_;
        const float* const addend =
            images.addend == nullptr ? nullptr : images.addend + image * images.y_image + tile * addend_tile_;
        for (size_t g = 0; g < bundle.groups; g++) {
          const Piece& piece = pieces_[chunks_[c].piece + g];
          piece.code(x, piece.weights, y, addend, next.begin + prefetched, state(i, g));
          prefetched = prefetched + piece.prefetch_bytes < next.size ? prefetched + piece.prefetch_bytes : 0;
        }
        if (ends && !simple_) activate(bundle.rows, y, masks_[tile]);
      }
    }
  }

  // Lanes of tiles are masked. The floats after the last tile of each plane are left.
  void clean_tails(const ProgramImages& images, Range rows, Range tiles) const {
    const size_t count = masks_.size();
    for (size_t at = tiles.first; at < tiles.last;) {
      const auto [image, tile] = place(at);
      const size_t end = std::min(count, tile + tiles.last - at);
      at += end - tile;
      if (end < count) continue;
      for (size_t row = rows.first; row < rows.last; row++) {
        float* const plane = images.y + image * images.y_image + origin_ + row * stride_;
        std::memset(plane + end * kLane, 0, (clean_.stride - end * kLane) * sizeof(float));
      }
    }
  }

  void activate(Range rows, float* tile, uint16_t pixels) const {
    for (size_t row = rows.first; row < rows.last; row++) {
      float* const at = tile + origin_ + row * stride_;
      isa_.activate(at, kLane, activation_);
      if (!is_clean_) continue;
      for (unsigned others = ~static_cast<unsigned>(pixels) & 0xffff; others != 0; others &= others - 1) {
        at[__builtin_ctz(others)] = 0;
      }
    }
  }

  const Isa& isa_;
  std::unique_ptr<Executable> memory_;
  std::vector<Piece> pieces_;
  std::vector<Chunk> chunks_;
  std::vector<Bundle> bundles_;
  Activation activation_;
  bool simple_;
  size_t rows_, origin_, stride_, x_tile_, y_tile_, addend_tile_;
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

  GroupEmitter emitter(spec);
  size_t room = 0;
  for (size_t b = 0; b < emitter.bundles(); b++) room += emitter.room(b);
  auto memory = Executable::reserve(room);
  if (memory == nullptr) return nullptr;
  std::vector<Piece> pieces;
  std::vector<Chunk> chunks;
  std::vector<Bundle> bundles;
  uint8_t* at = memory->begin();
  for (size_t b = 0; b < emitter.bundles(); b++) {
    const auto [made, count] = emitter.emit(b, at, memory->end());
    if (made.empty()) return nullptr;
    const auto [first, last] = emitter.groups_of(b);
    const size_t groups = last - first;
    bundles.push_back({.rows = {emitter.rows_of(first).first, emitter.rows_of(last - 1).last},
                       .groups = groups,
                       .chunk = chunks.size(),
                       .chunks = count});
    for (size_t p = 0; p < made.size(); p++) {
      const EmittedPiece& one = made[p];
      if (p % groups == 0) {
        const auto size = static_cast<size_t>(made[p + groups - 1].end - one.begin);
        chunks.push_back({.piece = pieces.size(), .begin = one.begin, .size = size});
      }
      pieces.push_back({.code = reinterpret_cast<TileCode>(reinterpret_cast<uintptr_t>(one.begin)),
                        .weights = one.weights,
                        .prefetch_bytes = one.prefetch_bytes});
    }
    at = memory->begin() + (made.back().end - memory->begin());
  }
  if (!memory->seal(static_cast<size_t>(at - memory->begin()))) return nullptr;
  return std::make_unique<JitProgram>(spec, isa, std::move(memory), std::move(pieces), std::move(chunks), std::move(bundles));
#else
  static_cast<void>(spec);
  static_cast<void>(isa);
  return nullptr;
#endif
}

}  // namespace pc
