#include "emitted_layer.h"

#include <limits>

namespace test {
namespace {

constexpr float kUntouched = 12345.0f;

// Adds values that are rare in sums: NaN, infinities, and numbers at the ends of the range.
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
  if (random.chance(0.6)) {
    lay_convolution(random);
  } else if (random.chance(0.5)) {
    lay_tiles(random);
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
  // There may be more blocks than columns: some are empty then.
  spec.blocks = random.chance(0.6) ? 1 : draw(random, 2, random.chance(0.2) ? 100 : 5);
  spec.offsets = offsets;
  spec.bias = bias;
  spec.tiles_per_run = draw(random, 1, static_cast<int64_t>(spec.tiles));
  // Layers are small: small pieces cut them as large ones cut large layers.
  if (random.chance(0.7)) spec.piece_bytes = draw(random, 20, 4000);
  spec.addend_origin = spec.y_origin;
  spec.addend_stride = spec.y_stride;
  spec.addend_tile = spec.y_tile;
  // An addend of its own may lie further apart than the results.
  if (in_place || !spec.addend || random.chance(0.5)) return;
  spec.addend_stride += pc::kLane;
  if (spec.addend_tile != pc::kLane) spec.addend_tile += rows * pc::kLane;
  addend = random.normals(spec.addend_origin + rows * spec.addend_stride + spec.tiles * spec.addend_tile);
}

// Taps of a 1x1 or 3x3 convolution on planes with zeros around the pixels. With stride 2, every
// channel has four planes.
void Layer::lay_convolution(Random& random) {
  const bool large = random.chance(0.1);  // from 40 tiles on, results are prefetched
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

// A 1x1 convolution on tile-major images; its results may be planes.
void Layer::lay_tiles(Random& random) {
  planes = pc::Planes(draw(random, 1, 12), draw(random, 1, 12));
  // More channels than a displacement of one byte reaches, at times.
  const size_t channels = draw(random, 1, random.chance(0.1) ? 700 : 90);
  for (size_t c = 0; c < channels; c++) offsets.push_back(static_cast<uint32_t>(pc::tile_major_at(channels, 0, c)));
  spec.tiles = planes.tiles;
  spec.x_tile = channels * pc::kLane;
  x.resize(pc::kHeader + spec.tiles * spec.x_tile);
  const bool is_tile_major = random.chance(0.7);
  spec.y_origin = is_tile_major ? pc::kHeader : planes.origin();
  spec.y_stride = is_tile_major ? pc::kLane : planes.stride;
  spec.y_tile = is_tile_major ? matrix.rows * pc::kLane : pc::kLane;
  y.resize(is_tile_major ? pc::kHeader + spec.tiles * spec.y_tile : planes.image(matrix.rows));
  if (random.chance(0.8)) spec.clean = &planes;
}

// Columns of 16 floats are contiguous; the next tile follows after all columns.
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
  // Kept weights may be zero.
  if (!usual && random.chance(0.1)) std::fill(w.values.begin(), w.values.end(), 0.0f);
  matrix = pc::matrix_of_rows(pc::Weights(w.values, w.bits, w.dense.size()), rows, columns / groups, groups);
}

}  // namespace test
