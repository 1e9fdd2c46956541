#include "operators/matmul.h"

#include <algorithm>
#include <cstring>

#include "operators/plan_cache.h"
#include "support/scratch.h"

namespace pc {
namespace {

// Rows of X that are transposed together. Code and weights come from memory for each block, so
// blocks are large. They are half as large if one pass of the stream kernel cannot take them all,
// so that X stays in a second-level cache of 512 KB.
constexpr size_t kBlock = 128;
constexpr size_t kBatchRows = 1024;     // rows of X per batch
constexpr size_t kShare = 64;           // columns of X that one piece of work transposes
constexpr size_t kTransposedRows = 64;  // rows of the program whose results are transposed together

// The distance between the transposed columns of a block: an odd number of cache lines.
constexpr size_t stride_of(size_t block) { return block + kLane; }

}  // namespace

MatMul::MatMul(const MatMulOptions& options, std::span<const float> values, std::span<const uint8_t> bits,
               std::span<const float> bias)
    : options_(options) {
  constexpr int64_t kMost = 1 << 22;
  const auto in = [](int64_t value) { return value >= 1 && value <= kMost; };
  require(in(options.inputs) && in(options.outputs), "in_features and out_features must be 1 to 4194304");
  require(bias.empty() || bias.size() == static_cast<size_t>(options.outputs), "bias must have one value per output");
  const auto inputs = static_cast<size_t>(options.inputs), outputs = static_cast<size_t>(options.outputs);
  require(times(std::max(inputs, outputs), stride_of(kBlock)) < kMaxFloats, "the matrix is too large");
  if (options_.isa == nullptr) options_.isa = &default_isa();

  auto weights = cached_weights(values, bits, times(inputs, outputs));
  std::vector<float> biases(bias.begin(), bias.end());
  biases.resize(outputs);
  plan_ = cached_plan(MatMulKey{.options = options_, .weights = std::move(weights), .bias = std::move(biases)});
  plan_->start();
}

std::shared_ptr<const MatMulPlan> make_matmul_plan(const MatMulKey& key) {
  const MatMulOptions& options = key.options;
  const auto inputs = static_cast<size_t>(options.inputs), outputs = static_cast<size_t>(options.outputs);
  auto plan = std::make_shared<MatMulPlan>();
  const Matrix matrix =
      options.transposed ? matrix_of_rows(*key.weights, outputs, inputs, 1) : matrix_of_columns(*key.weights, inputs, outputs);
  std::vector<uint32_t> offsets;
  const auto lay = [&](size_t stride) {
    offsets.clear();
    for (size_t k = 0; k < inputs; k++) offsets.push_back(static_cast<uint32_t>(k * stride));
  };
  ProgramSpec spec;
  spec.matrix = &matrix;
  spec.blocks = block_count(matrix, 1);
  spec.bias = key.bias;
  const auto take = [&](size_t rows) {
    plan->block = rows;
    spec.tiles = spec.tiles_per_run = rows / kLane;
    spec.y_stride = stride_of(rows);
  };
  // Emitted code works on one tile at a time and reads contiguous lines best. The stream kernel
  // works on several tiles at a time.
  if (options.kernel_choice != KernelChoice::stream) {
    take(kBlock);
    lay(kLane);
    spec.offsets = offsets;
    spec.x_tile = inputs * kLane;
    plan->program = make_jit_program(spec, *options.isa);
  }
  plan->by_tiles = plan->program != nullptr;
  if (plan->by_tiles) return plan;
  take(options.isa->stream_tiles * kLane < kBlock ? kBlock / 2 : kBlock);
  lay(stride_of(plan->block));
  spec.offsets = offsets;
  spec.x_tile = kLane;
  plan->program = make_stream_program(spec, *options.isa);
  return plan;
}

void MatMul::run(size_t rows, const float* x, float* y, const float* addend, Parallel& parallel) const {
  const auto inputs = static_cast<size_t>(options_.inputs), outputs = static_cast<size_t>(options_.outputs);
  const Isa& isa = *options_.isa;
  const auto plan = plan_->get();
  const Program& program = *plan->program;
  const bool by_tiles = plan->by_tiles;
  const size_t block_rows = plan->block, row_stride = stride_of(block_rows);
  const size_t blocks = divided(rows, block_rows), batch = std::min(blocks, kBatchRows / block_rows);
  const size_t x_block = inputs * row_stride;
  const Scratch x_transposed(x_block * batch);

  for (size_t first = 0; first < blocks; first += batch) {
    const size_t count = std::min(batch, blocks - first);
    const auto height = [&](size_t block) { return std::min(block_rows, rows - (first + block) * block_rows); };

    const size_t in_shares = divided(inputs, kShare);
    parallel.each(count * in_shares, [&](size_t item) {
      const size_t block = item / in_shares, begin = item % in_shares * kShare, end = std::min(inputs, begin + kShare);
      const float* from = x + (first + block) * block_rows * inputs + begin;
      float* to = x_transposed.data() + block * x_block;
      for (size_t m = 0; m < height(block); m += kLane) {
        const size_t there = std::min(kLane, height(block) - m), stride = by_tiles ? kLane : row_stride;
        float* tile = by_tiles ? to + m * inputs + begin * kLane : to + m + begin * row_stride;
        isa.transpose(tile, stride, from + m * inputs, inputs, there, end - begin);
        // Zeros pad the last tile: scratch memory may hold denormals, which are slow, or values
        // that trap.
        for (size_t k = begin; k < end && there < kLane; k++, tile += stride) {
          std::memset(tile + there, 0, (kLane - there) * sizeof(float));
        }
      }
    });

    const size_t groups = program.groups(), together = std::max<size_t>(1, kTransposedRows / divided(outputs, groups));
    const size_t shares = divided(groups, together);
    parallel.each(count * shares, [&](size_t item) {
      const size_t block = item / shares, begin = item % shares * together;
      const size_t end = std::min(groups, begin + together);
      const size_t column = program.first_row(begin), width = program.first_row(end) - column;
      // The buffer stays in the first-level caches until it is transposed. Programs address rows
      // relative to the first row of the layer, hence `origin`.
      alignas(64) float transposed[kTransposedRows * stride_of(kBlock)];
      auto* const origin =
          reinterpret_cast<float*>(reinterpret_cast<uintptr_t>(transposed) - column * row_stride * sizeof(float));
      program.run({.x = x_transposed.data() + block * x_block, .y = origin, .addend = nullptr}, {begin, end},
                  {0, divided(height(block), kLane)});
      const size_t at = (first + block) * block_rows * outputs + column;
      isa.transpose(y + at, outputs, transposed, row_stride, width, height(block));
      if (addend == nullptr && options_.activation.kind == ActivationKind::none) return;
      for (size_t m = 0; m < height(block); m++) {
        float* row = y + at + m * outputs;
        for (size_t n = 0; n < width && addend != nullptr; n++) row[n] += addend[at + m * outputs + n];
        isa.activate(row, width, options_.activation);
      }
    });
  }
}

}  // namespace pc
