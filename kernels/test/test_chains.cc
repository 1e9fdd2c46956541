// Tests random chains against the same convolutions one after the other, to the bit: with every
// kernel and instruction set of this machine, with caches of many sizes (short and long strips), in
// batches and with threads.
//   test_chains [cases] [seed] [first case]
#include <cstring>

#include "operators/chain.h"
#include "support.h"

namespace {

using namespace test;

struct Variant {
  const char* isa;
  pc::KernelChoice kernel;
};
constexpr Variant kVariants[] = {{"baseline", pc::KernelChoice::stream},
                                 {"avx2", pc::KernelChoice::stream},
                                 {"avx512", pc::KernelChoice::stream},
                                 {"avx512", pc::KernelChoice::jit}};
constexpr size_t kGuard = 64;  // floats before and after a result, which must not change
constexpr float kUntouched = 12345.0f;

size_t runs = 0, long_runs = 0, replaced = 0, tile_major = 0;

struct Drawn {
  pc::ChainOptions options;
  std::vector<SparseWeights> weights;
  std::vector<std::vector<float>> biases;
};

// The channels of image `index` of a chain.
int64_t channels_of(const pc::ChainOptions& o, size_t index) {
  return index == 0 ? o.steps.front().channels : o.steps[index - 1].filters;
}

Drawn draw(Random& random) {
  Drawn drawn;
  pc::ChainOptions& o = drawn.options;
  const int64_t width = random.integer(1, random.chance(0.1) ? 70 : 8), narrow = random.integer(1, 8);
  const auto count = static_cast<size_t>(random.integer(1, 7));
  const double zeros[] = {0, 0.5, 0.8, 0.95, 1};
  for (size_t i = 0; i < count; i++) {
    pc::ChainStep step;
    step.source = i == 0 || random.chance(0.15) ? static_cast<size_t>(random.integer(0, static_cast<int64_t>(i))) : i;
    step.channels = i == 0 ? width : channels_of(o, step.source);
    step.filters = random.chance(0.5) ? width : narrow;
    if (random.chance(0.15) && step.channels % 2 == 0 && step.filters % 2 == 0) step.groups = 2;
    for (int64_t& extent : step.kernel) extent = random.chance(0.5) ? 3 : 1;
    step.activation = random_activation(random);
    o.steps.push_back(step);
    std::vector<size_t> possible;
    for (size_t image = 0; image <= i; image++) {
      if (channels_of(o, image) == step.filters) possible.push_back(image);
    }
    if (!possible.empty() && random.chance(0.5)) {
      o.steps.back().residual = possible[random.engine() % possible.size()];
    }
    const auto columns = static_cast<size_t>(step.channels / step.groups * step.kernel[0] * step.kernel[1]);
    const auto filters = static_cast<size_t>(step.filters);
    drawn.weights.push_back(sparse_weights(random, filters, columns, zeros[random.integer(0, 4)]));
    drawn.biases.push_back(random.chance(0.8) ? random.normals(filters) : std::vector<float>{});
  }
  return drawn;
}

// How images are cut into strips: by the size of a cache, or by a number of tiles.
struct Cut {
  size_t cache_bytes, strip_tiles;
  bool may_write_tiles;
};

pc::Chain chain_of(const Drawn& drawn, const Variant& variant, const Cut& cut) {
  pc::ChainOptions o = drawn.options;
  o.isa = pc::find_isa(variant.isa);
  o.kernel_choice = variant.kernel;
  o.cache_bytes = cut.cache_bytes;
  o.strip_tiles = cut.strip_tiles;
  o.may_write_tiles = cut.may_write_tiles;
  std::vector<std::span<const float>> values, biases;
  std::vector<std::span<const uint8_t>> bits;
  for (size_t i = 0; i < o.steps.size(); i++) {
    values.emplace_back(drawn.weights[i].values);
    bits.emplace_back(drawn.weights[i].bits);
    biases.emplace_back(drawn.biases[i]);
  }
  return {o, values, bits, biases};
}

// The blocked images of the last step, from one convolution after the other.
std::vector<float> by_convolutions(const Drawn& drawn, const Variant& variant, size_t images, size_t height,
                                   size_t width, const std::vector<float>& x) {
  std::vector<std::vector<float>> results{x};
  pc::Serial serial;
  for (size_t i = 0; i < drawn.options.steps.size(); i++) {
    const pc::ChainStep& step = drawn.options.steps[i];
    pc::ConvOptions o;
    o.channels = step.channels;
    o.filters = step.filters;
    o.groups = step.groups;
    o.kernel = step.kernel;
    for (size_t axis = 0; axis < 4; axis++) o.pads[axis] = step.kernel[axis % 2] / 2;
    o.activation = step.activation;
    o.addend = step.residual.has_value();
    o.x_blocked = o.y_blocked = true;
    o.isa = pc::find_isa(variant.isa);
    o.kernel_choice = variant.kernel;
    pc::Conv conv(o, drawn.weights[i].values, drawn.weights[i].bits, drawn.biases[i]);
    const auto plan = conv.plan(height, width);
    std::vector<float> y(images == 0 ? pc::kHeader : images * plan->y_image);
    const float* addend = step.residual ? results[*step.residual].data() : nullptr;
    conv.run(*plan, images, results[step.source].data(), y.data(), addend, serial);
    results.push_back(std::move(y));
  }
  return results.back();
}

// Whether every result but the last is read, as chains require.
bool all_read(const pc::ChainOptions& o) {
  for (size_t image = 1; image < o.steps.size(); image++) {
    bool is_read = false;
    for (const pc::ChainStep& step : o.steps) is_read = is_read || step.source == image || step.residual == image;
    if (!is_read) return false;
  }
  return true;
}

void check_case(Random& random) {
  Drawn drawn = draw(random);
  while (!all_read(drawn.options)) drawn = draw(random);
  const int64_t most = random.chance(0.3) ? 60 : 14;
  const auto height = static_cast<size_t>(random.integer(1, most)), width = static_cast<size_t>(random.integer(1, most));
  const auto images = static_cast<size_t>(random.chance(0.1) ? 0 : random.chance(0.7) ? 1 : random.integer(2, 4));
  const auto channels = static_cast<size_t>(drawn.options.steps.front().channels);
  const std::vector<float> x = to_blocked(random.normals(images * channels * height * width), images, channels, height, width);
  const Cut cut{size_t{1} << random.integer(12, 20),
                random.chance(0.3) ? 0 : static_cast<size_t>(random.integer(1, random.chance(0.5) ? 4 : 40)),
                random.chance(0.5)};
  const bool is_x_tile_major = random.chance(0.5);
  const std::vector<float> given = is_x_tile_major ? to_tile_major(x, images, channels, pc::Planes(height, width)) : x;
  for (const Variant& variant : kVariants) {
    if (pc::find_isa(variant.isa) == nullptr) continue;
    const std::vector<float> wanted = by_convolutions(drawn, variant, images, height, width, x);
    pc::Chain chain = chain_of(drawn, variant, cut);
    const auto plan = chain.plan(height, width, is_x_tile_major);
    Threads threads;
    pc::Serial serial;
    for (const size_t shared : {size_t{1}, size_t{3}}) {
      std::vector<float> y(wanted.size() + 2 * kGuard, kUntouched);
      if (shared == 1) {
        chain.run(*plan, images, given.data(), y.data() + kGuard, shared, serial);
      } else {
        chain.run(*plan, images, given.data(), y.data() + kGuard, shared, threads);
      }
      const auto filters = static_cast<size_t>(drawn.options.steps.back().filters);
      const std::vector<float> got = to_planes(y.data() + kGuard, images, filters, plan->planes);
      expect(std::memcmp(got.data(), wanted.data(), wanted.size() * sizeof(float)) == 0, "same bits");
      for (size_t i = 0; i < kGuard; i++) expect(y[i] == kUntouched && y[y.size() - 1 - i] == kUntouched, "guard");
    }
    runs++;
    tile_major += plan->y_form == pc::Form::tile_major || plan->x_form == pc::Form::tile_major ? 1 : 0;
    long_runs += plan->strips.size() > 1 ? 1 : 0;
    replaced += plan->buffers.size() + 1 < plan->steps.size() ? 1 : 0;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto [cases, seed, start] = Cases(argc, argv);
  size_t failures = 0;
  for (uint64_t i = start; i < cases; i++) {
    Random random(seed * 1000033 + i);
    try {
      check_case(random);
    } catch (const Failed& failed) {
      std::printf("case %llu, seed %llu: %s\n", static_cast<unsigned long long>(i),
                  static_cast<unsigned long long>(seed), failed.what);
      if (++failures == 10) break;
    } catch (const std::exception& error) {
      std::printf("case %llu: threw %s\n", static_cast<unsigned long long>(i), error.what());
      if (++failures == 10) break;
    }
  }
  std::printf("%llu chains, %zu runs, %zu in strips, %zu in place of a residual, %zu with tile-major ends, %zu failures\n",
              static_cast<unsigned long long>(cases - start), runs, long_runs, replaced, tile_major, failures);
  return failures == 0 ? 0 : 1;
}
