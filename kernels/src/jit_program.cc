// The outer-product kernel: straight code for a group of rows and one tile of 16 pixels. The sums stay in registers; every
// column of the matrix that has a weight in the group is loaded once and followed by the multiply-adds of its weights.
// There is no index to read and no branch to take.
//
// Code and weights of all groups lie one behind the other. They are larger than the caches, so while a group works on
// its tiles, instructions spread over its code fetch the next group's.
#include <algorithm>
#include <cstring>
#include <vector>

#include "executable.h"
#include "jit_group.h"
#include "program.h"

namespace pc {
namespace {

#if defined(PC_X86) && !defined(_WIN32)

// Where each piece finds code to fetch: what follows in memory is what is run next, and behind the last group the first.
class Ahead {
 public:
  Ahead(const Group& group, const Group& next, const std::vector<Piece>& pieces)
      : step_(group.ahead), size_(next.bytes), code_(reinterpret_cast<const uint8_t*>(pieces[next.first].code)) {}

  const uint8_t* next() {
    const uint8_t* const at = code_ + fetched_;
    fetched_ = fetched_ + step_ < size_ ? fetched_ + step_ : 0;
    return at;
  }

 private:
  size_t step_, size_, fetched_ = 0;
  const uint8_t* code_;
};

class JitProgram final : public Program {
 public:
  JitProgram(const ProgramSpec& spec, const Isa& isa, std::unique_ptr<Executable> memory, std::vector<Piece> pieces,
             std::vector<Group> groups)
      : isa_(isa),
        memory_(std::move(memory)),
        pieces_(std::move(pieces)),
        groups_(std::move(groups)),
        activation_(spec.activation),
        simple_(is_simple(spec.activation.kind)),
        rows_(spec.matrix->rows),
        origin_(spec.y_origin),
        stride_(spec.y_stride),
        x_tile_(spec.x_tile),
        tiles_(spec.tiles),
        masks_are_bits_(&isa == find_isa("avx512")) {
    if (spec.clean == nullptr) return;
    clean_ = *spec.clean;
    is_clean_ = true;
    for (size_t t = 0; t < spec.tiles; t++) {
      const uint16_t bits = clean_.mask(t);
      if (masks_are_bits_) bit_masks_.push_back(bits);
      else for (size_t i = 0; i < kLane; i++) lane_masks_.push_back((bits >> i & 1) != 0 ? 0xff : 0);
    }
  }

  const char* name() const override { return "jit"; }
  size_t groups() const override { return groups_.size(); }

  void run(size_t index, const float* x, float* y, const float* addend, size_t first,
           size_t last) const noexcept override {
    const Group& group = groups_[index];
    alignas(64) float partial[kPassTiles * kMostStrips * kStripRows * kLane];
    const size_t pass = group.chunks == 1 ? last - first : kPassTiles;
    Ahead ahead(group, groups_[index + 1 < groups_.size() ? index + 1 : 0], pieces_);
    for (size_t begin = first; begin < last; begin += pass) {
      const size_t end = std::min(last, begin + pass);
      for (size_t chunk = 0; chunk < group.chunks; chunk++) {
        const Piece* const pieces = &pieces_[group.first + chunk * group.strips];
        for (size_t block = begin; block < end; block += group.block) {
          const size_t block_end = std::min(end, block + group.block);
          for (size_t strip = 0; strip < group.strips; strip++) {
            for (size_t t = block; t < block_end; t++) {
              const size_t at = t * kLane;
              float* const sums = group.chunks == 1 ? partial : partial + ((t - begin) * kMostStrips + strip) * kStripRows * kLane;
              pieces[strip].code(x + t * x_tile_, pieces[strip].weights, y + at, addend == nullptr ? nullptr : addend + at,
                                 ahead.next(), mask(t), sums);
            }
          }
        }
      }
    }
    if (!simple_) {
      for (size_t t = first; t < last; t++) activate(index, y + t * kLane);
    }
    if (!is_clean_ || (simple_ && last < tiles_)) return;
    for_rows(index, [&](size_t row) {
      float* plane = y + origin_ + row * stride_;
      if (!simple_) clear_borders(clean_, plane, first, last);
      // Lanes were masked by the code: only what lies behind the last tile is left.
      if (simple_) std::memset(plane + last * kLane, 0, (clean_.stride - last * kLane) * sizeof(float));
    });
  }

 private:
  uintptr_t mask(size_t tile) const {
    if (!is_clean_) return 0;
    return masks_are_bits_ ? bit_masks_[tile] : reinterpret_cast<uintptr_t>(lane_masks_.data() + tile * kLane);
  }

  template <typename Visit>
  void for_rows(size_t group, Visit&& visit) const {
    const size_t end = group_start(rows_, groups_.size(), group + 1);
    for (size_t row = group_start(rows_, groups_.size(), group); row < end; row++) visit(row);
  }

  void activate(size_t group, float* tile) const {
    for_rows(group, [&](size_t row) { isa_.activate(tile + origin_ + row * stride_, kLane, activation_); });
  }

  const Isa& isa_;
  std::unique_ptr<Executable> memory_;
  std::vector<Piece> pieces_;
  std::vector<Group> groups_;
  Activation activation_;
  bool simple_;
  size_t rows_, origin_, stride_, x_tile_, tiles_;
  bool masks_are_bits_;
  std::vector<uint16_t> bit_masks_;
  std::vector<uint8_t> lane_masks_;
  Planes clean_;
  bool is_clean_ = false;
};

#endif

}  // namespace

std::unique_ptr<Program> make_jit_program(const ProgramSpec& spec, const Isa& isa) {
#if defined(PC_X86) && !defined(_WIN32)
  auto emitter = &isa == find_isa("avx512") ? make_avx512_emitter(spec)
                 : &isa == find_isa("avx2") ? make_avx2_emitter(spec)
                                            : nullptr;
  if (emitter == nullptr) return nullptr;
  const Matrix& matrix = *spec.matrix;
  // Displacements are 32 bits, in bytes.
  constexpr size_t kReach = size_t{1} << 28;
  const uint32_t furthest = spec.offsets.empty() ? 0 : *std::max_element(spec.offsets.begin(), spec.offsets.end());
  if (furthest >= kReach || spec.y_origin + matrix.rows * spec.y_stride >= kReach) return nullptr;

  size_t room = 0;
  for (size_t g = 0; g < emitter->groups(); g++) room += emitter->room(g);
  auto memory = Executable::reserve(room);
  if (memory == nullptr) return nullptr;
  std::vector<Piece> pieces;
  std::vector<Group> groups;
  uint8_t* at = memory->begin();
  for (size_t g = 0; g < emitter->groups(); g++) {
    groups.emplace_back();
    at = emitter->emit(g, at, memory->end(), pieces, groups.back());
    if (at == nullptr) return nullptr;
  }
  if (!memory->seal(static_cast<size_t>(at - memory->begin()))) return nullptr;
  return std::make_unique<JitProgram>(spec, isa, std::move(memory), std::move(pieces), std::move(groups));
#else
  static_cast<void>(spec);
  static_cast<void>(isa);
  return nullptr;
#endif
}

}  // namespace pc
