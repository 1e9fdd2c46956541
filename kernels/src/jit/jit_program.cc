// The jit kernel: straight-line code that computes the outer products of a group of up to 30 rows
// and one tile of 16 pixels. The sums stay in registers. Every column of the matrix that has a
// weight in the group is loaded once and followed by one multiply-add per weight, whose weight is a
// broadcast memory operand. The code reads no indices and takes no branches.
//
// The code and weights of all groups are contiguous. They are larger than the caches, so the code
// of a group contains prefetches of the following group, spread over its instructions.
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
                          const uint8_t* prefetch, uint32_t mask);

struct Group {
  TileCode code;
  const float* weights;
  size_t prefetch_bytes;  // of the next group, per tile
  size_t size;            // bytes of code and weights
};

class JitProgram final : public Program {
 public:
  JitProgram(const ProgramSpec& spec, const Isa& isa, std::unique_ptr<Executable> memory, std::vector<Group> groups)
      : isa_(isa),
        memory_(std::move(memory)),
        groups_(std::move(groups)),
        activation_(spec.activation),
        simple_(is_simple(spec.activation.kind)),
        rows_(spec.matrix->rows),
        origin_(spec.y_origin),
        stride_(spec.y_stride),
        x_tile_(spec.x_tile),
        masks_(spec.tiles, uint16_t{0xffff}) {
    if (spec.clean == nullptr) return;
    clean_ = *spec.clean;
    is_clean_ = true;
    for (size_t t = 0; t < spec.tiles; t++) masks_[t] = clean_.mask(t);
  }

  const char* name() const override { return "jit"; }
  size_t groups() const override { return groups_.size(); }

  void run(size_t index, const float* x, float* y, const float* addend, size_t first,
           size_t last) const noexcept override {
    const Group& group = groups_[index];
    const Group& next = groups_[index + 1 < groups_.size() ? index + 1 : 0];
    const auto* const next_code = reinterpret_cast<const uint8_t*>(next.code);
    size_t prefetched = 0;
    for (size_t t = first; t < last; t++) {
      const size_t at = t * kLane;
      group.code(x + t * x_tile_, group.weights, y + at, addend == nullptr ? nullptr : addend + at,
                 next_code + prefetched, masks_[t]);
      prefetched = prefetched + group.prefetch_bytes < next.size ? prefetched + group.prefetch_bytes : 0;
      if (!simple_) activate(index, y + at);
    }
    if (!is_clean_ || (simple_ && last < masks_.size())) return;
    for_rows(index, [&](size_t row) {
      float* plane = y + origin_ + row * stride_;
      if (!simple_) clear_borders(clean_, plane, first, last);
      // The code masked the lanes. Only the floats after the last tile are left.
      if (simple_) std::memset(plane + last * kLane, 0, (clean_.stride - last * kLane) * sizeof(float));
    });
  }

 private:
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
  std::vector<Group> groups_;
  Activation activation_;
  bool simple_;
  size_t rows_, origin_, stride_, x_tile_;
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
  if (furthest >= kReach || spec.y_origin + matrix.rows * spec.y_stride >= kReach) return nullptr;

  const size_t count = group_count(matrix.rows, kJitRows);
  GroupEmitter emitter(spec);
  size_t room = 0;
  for (size_t g = 0; g < count; g++) room += emitter.room(g);
  auto memory = Executable::reserve(room);
  if (memory == nullptr) return nullptr;
  std::vector<Group> groups;
  uint8_t* at = memory->begin();
  for (size_t g = 0; g < count; g++) {
    const EmittedGroup made = emitter.emit(g, at, memory->end());
    if (made.end == nullptr) return nullptr;
    groups.push_back({.code = reinterpret_cast<TileCode>(at),
                      .weights = made.weights,
                      .prefetch_bytes = made.prefetch_bytes,
                      .size = static_cast<size_t>(made.end - at)});
    at = made.end;
  }
  if (!memory->seal(static_cast<size_t>(at - memory->begin()))) return nullptr;
  return std::make_unique<JitProgram>(spec, isa, std::move(memory), std::move(groups));
#else
  static_cast<void>(spec);
  static_cast<void>(isa);
  return nullptr;
#endif
}

}  // namespace pc
