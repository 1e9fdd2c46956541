#include "emitted_code.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "jit/executable.h"

namespace test {
namespace {

constexpr size_t kLine = 64;
// Instructions per tile. The largest layer of the tests has a tenth of this.
constexpr size_t kMostSteps = 1 << 20;

float activated_simply(float sum, pc::Activation activation) {
  const auto [kind, alpha, beta] = activation;
  if (kind == pc::ActivationKind::relu) return sum < 0 ? 0 : sum;
  if (kind == pc::ActivationKind::leaky_relu) return sum < 0 ? sum * alpha : sum;
  if (kind != pc::ActivationKind::clip) return sum;
  return sum < alpha ? alpha : sum > beta ? beta : sum;
}

uint16_t mask(const pc::ProgramSpec& spec, size_t tile) {
  return spec.clean != nullptr ? spec.clean->mask(tile) : uint16_t{0xffff};
}

// The addresses that the code gets.
struct Places {
  uint64_t x, weights, y, addend, next_code, state;
};

// The arguments of the code of a piece, for one tile.
std::array<uint64_t, 6> arguments(const pc::ProgramSpec& spec, const Places& places, size_t tile) {
  const auto at = [&](uint64_t image, size_t step) { return image + tile * step * sizeof(float); };
  return {at(places.x, spec.x_tile),
          places.weights,
          at(places.y, spec.y_tile),
          spec.addend ? at(places.addend, spec.addend_tile) : 0,
          places.next_code,
          places.state};
}

}  // namespace

LayerCode::LayerCode(const pc::ProgramSpec& spec) {
  Emitter emitter(spec);
  size_t room = 0;
  for (size_t b = 0; b < emitter.bundles(); b++) room += emitter.room(b);
  memory.resize(room + kLine);
  const auto start = reinterpret_cast<uintptr_t>(memory.data());
  uint8_t* at = memory.data() + (kLine - start % kLine) % kLine;
  uint8_t* const end = at + room;
  for (size_t b = 0; b < emitter.bundles(); b++) {
    const std::vector<GroupCode> made = emitter.emit(b, at, end);
    if (made.empty()) throw Fault("the room for code is too small");
    groups.insert(groups.end(), made.begin(), made.end());
  }
}

size_t place(const pc::ProgramSpec& spec, size_t row, size_t lane) {
  return spec.y_origin + row * spec.y_stride + lane / pc::kLane * spec.y_tile + lane % pc::kLane;
}

float promised(const pc::ProgramSpec& spec, const Images& images, size_t row, size_t lane) {
  const size_t tile = lane / pc::kLane, within = lane % pc::kLane;
  const bool simple = pc::is_simple(spec.activation.kind);
  if (simple && (mask(spec, tile) >> within & 1) == 0) return 0;
  const pc::Matrix& matrix = *spec.matrix;
  const size_t from = tile * spec.x_tile + within;
  float sum = 0;
  size_t i = row == 0 ? 0 : matrix.ends[row - 1];
  for (size_t block = 0; block < spec.blocks; block++) {
    float part = block == 0 ? spec.bias[row] : 0;
    for (; i < matrix.ends[row] && matrix.column[i] < matrix.columns * (block + 1) / spec.blocks; i++) {
      part = std::fma(matrix.value[i], images.x[spec.offsets[matrix.column[i]] + from], part);
    }
    if (block == 0 && spec.addend) part = part + images.addend[spec.addend_origin + row * spec.addend_stride + tile * spec.addend_tile + within];
    sum = block == 0 ? part : part + sum;
  }
  return simple ? activated_simply(sum, spec.activation) : sum;
}

pc::TileState state_before(const pc::ProgramSpec& spec, size_t tile) {
  pc::TileState state;
  state.pixels = mask(spec, tile);
  for (auto& row : state.sums) std::fill(std::begin(row), std::end(row), NAN);
  return state;
}

void interpret(const pc::ProgramSpec& spec, const Images& images, size_t tile, const PieceCode& piece,
               std::span<const uint8_t> code, pc::TileState& state) {
  // The regions are further apart than any displacement reaches.
  constexpr uint64_t kApart = uint64_t{1} << 40;
  const bool in_place = images.addend.data() == images.y.data();
  const Places places{kApart, 2 * kApart, 3 * kApart, (in_place ? 3 : 4) * kApart, 5 * kApart, 6 * kApart};
  const auto weights = static_cast<size_t>(piece.end - piece.weights);
  const Region regions[] = {{"x", places.x, images.x.data(), images.x.size_bytes()},
                            {"weights", places.weights, piece.weights, weights},
                            {"y", places.y, images.y.data(), images.y.size_bytes(), true},
                            {"state", places.state, &state, sizeof state, true},
                            {"addend", places.addend, images.addend.data(), images.addend.size_bytes()}};
  const size_t count = in_place || !spec.addend ? 4 : 5;
  Machine(code, std::span(regions, count)).call(arguments(spec, places, tile), kMostSteps);
}

void execute(const pc::ProgramSpec& spec, const Images& images, const GroupCode& group) {
  std::vector<std::unique_ptr<pc::Executable>> memory;
  for (const PieceCode& piece : group.pieces) {
    const auto size = static_cast<size_t>(piece.end - piece.begin);
    memory.push_back(pc::Executable::reserve(size));
    if (memory.back() == nullptr) throw Fault("there is no memory for code");
    std::memcpy(memory.back()->begin(), piece.begin, size);
    if (!memory.back()->seal(size)) throw Fault("memory cannot be made executable");
  }
  const auto address = [](const void* p) { return reinterpret_cast<uint64_t>(p); };
  using Code = void (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
  for (size_t tile = 0; tile < spec.tiles; tile++) {
    pc::TileState state = state_before(spec, tile);
    for (size_t p = 0; p < group.pieces.size(); p++) {
      const PieceCode& piece = group.pieces[p];
      const Places places{address(images.x.data()),      address(piece.weights), address(images.y.data()),
                          address(images.addend.data()), address(piece.begin),   address(&state)};
      const auto a = arguments(spec, places, tile);
      reinterpret_cast<Code>(memory[p]->begin())(a[0], a[1], a[2], a[3], a[4], a[5]);
    }
  }
}

bool same(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

}  // namespace test
