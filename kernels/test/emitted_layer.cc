#include "emitted_layer.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "executable.h"

namespace test {
namespace {

constexpr float kUntouched = 12345.0f;
constexpr size_t kLine = 64;
constexpr size_t kMostSteps = 1 << 20;  // instructions per tile; the largest layer here has a tenth of that

// What sums meet seldom: not numbers, and numbers at the ends of the range.
void sprinkle(Random& random, std::vector<float>& floats) {
  using Limits = std::numeric_limits<float>;
  const float special[] = {NAN,  INFINITY, -INFINITY, Limits::max(), Limits::denorm_min(), -Limits::denorm_min(),
                           0.0f, -0.0f,    1e-40f,    Limits::min(), -Limits::max()};
  const double share = random.chance(0.5) ? 0.02 : 0.3;
  for (float& one : floats) {
    if (random.chance(share)) one = special[random.integer(0, 10)];
  }
}

size_t draw(Random& random, int64_t least, int64_t most) { return static_cast<size_t>(random.integer(least, most)); }

}  // namespace

Layer::Layer(Random& random, bool usual) {
  const size_t rows = random.chance(0.5) ? draw(random, 1, 8) : draw(random, 1, 70);
  matrix.rows = rows;
  if (random.chance(0.8)) {
    lay_convolution(random);
  } else {
    lay_multiplication(random);
  }
  const size_t groups = random.chance(0.8) ? 1 : 2, columns = offsets.size();
  draw_matrix(random, columns, columns % groups == 0 && rows % groups == 0 ? groups : 1, usual);
  bias = random.normals(rows);
  x = random.normals(x.size());
  addend = random.normals(y.size());
  if (!usual && random.chance(0.4)) {
    for (auto* floats : {&x, &addend, &bias, &matrix.value}) sprinkle(random, *floats);
  }
  y.assign(y.size(), kUntouched);
  using Kind = pc::ActivationKind;
  constexpr pc::Activation kActivations[] = {
      {Kind::none, 0, 0}, {Kind::relu, 0, 0}, {Kind::clip, -0.3f, 1.5f}, {Kind::leaky_relu, 0.2f, 0},
      {Kind::silu, 0, 0}};
  spec.activation = kActivations[random.integer(0, usual ? 3 : 4)];
  spec.addend = random.chance(0.4);
  in_place = spec.addend && random.chance(0.5);
  if (in_place) y = addend;
  spec.matrix = &matrix;
  spec.offsets = offsets;
  spec.bias = bias;
  spec.tiles_per_run = draw(random, 1, static_cast<int64_t>(spec.tiles));
}

// Taps of a 1x1 or 3x3 convolution on planes with zeros around, for a stride of two on four planes per channel.
void Layer::lay_convolution(Random& random) {
  const bool large = random.chance(0.1);  // from 40 tiles on results are fetched ahead
  planes = pc::Planes(draw(random, 1, large ? 40 : 12), draw(random, 1, large ? 40 : 12));
  const size_t channels = draw(random, 1, large ? 2 : 12), phases = random.chance(0.3) ? 4 : 1;
  const int64_t reach = random.chance(0.5) ? 1 : 0;
  const auto pitch = static_cast<int64_t>(planes.pitch);
  for (size_t c = 0; c < channels; c++) {
    for (int64_t dy = -reach; dy <= reach; dy++) {
      for (int64_t dx = -reach; dx <= reach; dx++) {
        const size_t plane = c * phases + draw(random, 0, static_cast<int64_t>(phases) - 1);
        const auto origin = static_cast<int64_t>(planes.origin() + plane * planes.stride);
        offsets.push_back(static_cast<uint32_t>(origin + dy * pitch + dx));
      }
    }
  }
  x.resize(planes.image(channels * phases));
  y.resize(planes.image(matrix.rows));
  spec.y_origin = planes.origin();
  spec.y_stride = planes.stride;
  spec.tiles = planes.tiles;
  if (random.chance(0.8)) spec.clean = &planes;
}

// Columns of 16 floats one behind the other, and the next tile behind them all.
void Layer::lay_multiplication(Random& random) {
  const size_t columns = draw(random, 1, 90);
  for (size_t c = 0; c < columns; c++) offsets.push_back(static_cast<uint32_t>(c * pc::kLane));
  spec.tiles = draw(random, 1, 8);
  spec.x_tile = columns * pc::kLane;
  spec.y_stride = (spec.tiles + draw(random, 0, 1)) * pc::kLane;
  x.resize(spec.tiles * spec.x_tile);
  y.resize(matrix.rows * spec.y_stride);
}

void Layer::draw_matrix(Random& random, size_t columns, size_t groups, bool usual) {
  const double zeros[] = {0, 0.3, 0.5, 0.8, 0.95, 1};
  const size_t rows = matrix.rows;
  SparseWeights w;
  do {
    w = sparse_weights(random, rows, columns / groups, zeros[random.integer(0, 5)]);
  } while (usual && w.values.empty());
  if (!usual && random.chance(0.1)) std::fill(w.values.begin(), w.values.end(), 0.0f);  // kept all the same
  matrix = pc::matrix_of_rows(pc::Weights(w.values, w.bits, w.dense.size()), rows, columns / groups, groups);
}

// The contract: fused multiply-adds in the order of the columns, starting with the bias; then the addend; then the
// activation. One that takes more than an instruction or two is left to others.
float Layer::result(size_t row, const float* from, const float* added) const {
  float sum = bias[row];
  for (size_t i = row == 0 ? 0 : matrix.ends[row - 1]; i < matrix.ends[row]; i++) {
    sum = std::fma(matrix.value[i], from[offsets[matrix.column[i]]], sum);
  }
  if (added != nullptr) sum = sum + *added;
  const auto [kind, alpha, beta] = spec.activation;
  if (kind == pc::ActivationKind::relu) return sum < 0 ? 0 : sum;
  if (kind == pc::ActivationKind::leaky_relu) return sum < 0 ? sum * alpha : sum;
  if (kind != pc::ActivationKind::clip) return sum;
  return sum < alpha ? alpha : sum > beta ? beta : sum;
}

std::vector<float> Layer::expected() const {
  std::vector<float> to = y;
  const bool cleans = spec.clean != nullptr && pc::is_simple(spec.activation.kind);
  for (size_t row = 0; row < matrix.rows; row++) {
    for (size_t at = 0; at < spec.tiles * pc::kLane; at++) {
      const size_t tile = at / pc::kLane, place = spec.y_origin + row * spec.y_stride + at;
      const bool pixel = !cleans || (planes.mask(tile) >> (at % pc::kLane) & 1) != 0;
      const float* added = spec.addend ? addend.data() + place : nullptr;
      to[place] = pixel ? result(row, x.data() + tile * spec.x_tile + at % pc::kLane, added) : 0;
    }
  }
  return to;
}

LayerCode::LayerCode(const pc::ProgramSpec& spec) {
  Emitter emitter(spec);
  size_t room = 0;
  for (size_t g = 0; g < emitter.groups(); g++) room += emitter.room(g);
  memory.resize(room + kLine);
  const auto start = reinterpret_cast<uintptr_t>(memory.data());
  uint8_t* at = memory.data() + (kLine - start % kLine) % kLine;
  uint8_t* const end = at + room;
  for (size_t g = 0; g < emitter.groups(); g++) {
    groups.push_back(emitter.emit(g, at, end));
    if (groups.back().end == nullptr) throw Fault("the room for code is too small");
    at += groups.back().end - at;
  }
}

// Where code sees what it works on.
struct Places {
  uint64_t x, weights, y, addend, next_code;
};

// The arguments of a group's code for one tile.
static std::array<uint64_t, 6> arguments(const Layer& layer, const Places& places, size_t tile) {
  const uint16_t mask = layer.spec.clean != nullptr ? layer.planes.mask(tile) : uint16_t{0xffff};
  const size_t at = tile * pc::kLane * sizeof(float);
  return {places.x + tile * layer.spec.x_tile * sizeof(float), places.weights, places.y + at,
          layer.spec.addend ? places.addend + at : 0,          places.next_code, mask};
}

void interpret(const Layer& layer, const GroupCode& group, std::span<const uint8_t> code, std::vector<float>& y) {
  // Further apart than any displacement reaches.
  constexpr uint64_t kApart = uint64_t{1} << 40;
  const Places places{kApart, 2 * kApart, 3 * kApart, (layer.in_place ? 3 : 4) * kApart, 5 * kApart};
  const auto bytes = [](const std::vector<float>& floats) { return floats.size() * sizeof(float); };
  const auto weights = static_cast<size_t>(group.end - group.weights);
  std::vector<Region> regions{{"x", places.x, layer.x.data(), bytes(layer.x)},
                              {"weights", places.weights, group.weights, weights},
                              {"y", places.y, y.data(), bytes(y), true}};
  const bool reads_addend = layer.spec.addend && !layer.in_place;
  if (reads_addend) regions.push_back({"addend", places.addend, layer.addend.data(), bytes(layer.addend)});
  Machine machine(code, regions);
  for (size_t tile = 0; tile < layer.spec.tiles; tile++) machine.call(arguments(layer, places, tile), kMostSteps);
}

void execute(const Layer& layer, const GroupCode& group, std::vector<float>& y) {
  const auto size = static_cast<size_t>(group.end - group.begin);
  const auto memory = pc::Executable::reserve(size);
  if (memory == nullptr) throw Fault("there is no memory for code");
  std::memcpy(memory->begin(), group.begin, size);
  if (!memory->seal(size)) throw Fault("memory cannot be made executable");
  const auto address = [](const void* p) { return reinterpret_cast<uint64_t>(p); };
  const Places places{address(layer.x.data()), address(group.weights), address(y.data()),
                      address(layer.in_place ? y.data() : layer.addend.data()), address(group.begin)};
  using Code = void (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
  for (size_t tile = 0; tile < layer.spec.tiles; tile++) {
    const auto a = arguments(layer, places, tile);
    reinterpret_cast<Code>(memory->begin())(a[0], a[1], a[2], a[3], a[4], a[5]);
  }
}

bool same(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

}  // namespace test
