// Tests random layers against a naive reference, with every kernel and instruction set of this
// machine.
//   test_kernels [cases] [seed] [first case]
#include <cstdlib>
#include <cstring>

#include "operators/matmul.h"
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
constexpr double kTolerance = 1e-6;  // of the largest sum of magnitudes
constexpr size_t kGuard = 64;        // floats before and after a result, which must not change

size_t runs = 0, jit_runs = 0, tile_major_runs = 0;

struct Guarded {
  std::vector<float> all;
  explicit Guarded(size_t size) : all(size + 2 * kGuard, 12345.0f) {
    for (size_t i = 0; i < size; i++) all[kGuard + i] = NAN;
  }
  float* data() { return all.data() + kGuard; }
  void check() const {
    for (size_t i = 0; i < kGuard; i++) expect(all[i] == 12345.0f && all[all.size() - 1 - i] == 12345.0f, "guard");
  }
};

void check_plane_zeros(const pc::ConvPlan& plan, size_t filters, const float* image) {
  const pc::Planes& p = plan.y;
  for (size_t i = 0; i < p.lead; i++) expect(image[pc::kHeader + i] == 0, "lead");
  for (size_t f = 0; f < filters; f++)
    for (size_t i = 0; i < p.stride; i++) {
      const bool pixel = i % p.pitch < p.width && i / p.pitch < p.height;
      if (!pixel) expect(image[p.origin() + f * p.stride + i] == 0, "what is no pixel is zero");
    }
}

void convolution(Random& random) {
  pc::ConvOptions o = random_options(random);
  const auto channels = static_cast<size_t>(o.channels), filters = static_cast<size_t>(o.filters);
  const size_t kernel = static_cast<size_t>(o.kernel[0] * o.kernel[1]);
  const double sparsities[] = {0, 0.5, 0.8, 0.95, 1};
  const SparseWeights w = sparse_weights(random, filters, channels / static_cast<size_t>(o.groups) * kernel,
                                         sparsities[random.integer(0, 4)]);
  const int64_t spread = random.chance(0.2) ? 40 : 12;
  const auto height = static_cast<size_t>(least_size(o, 0) + random.integer(0, spread));
  const auto width = static_cast<size_t>(least_size(o, 1) + random.integer(0, spread));
  const auto images = static_cast<size_t>(random.chance(0.1) ? 0 : random.chance(0.7) ? 1 : random.integer(2, 5));
  const std::vector<float> bias = random.chance(0.8) ? random.normals(filters) : std::vector<float>{};
  const std::vector<float> x = random.normals(images * channels * height * width);
  std::vector<float> given = o.x_blocked ? to_blocked(x, images, channels, height, width) : x;
  const bool x_tiles = o.x_blocked && random.chance(0.5), addend_tiles = o.addend && o.y_blocked && random.chance(0.7);
  o.may_write_tiles = o.y_blocked && random.chance(0.7);
  if (x_tiles) given = to_tile_major(given, images, channels, pc::Planes(height, width));

  std::vector<float> addend, given_addend, first_result;
  Reference reference;
  for (const Variant& variant : kVariants) {
    o.isa = pc::find_isa(variant.isa);
    o.kernel_choice = variant.kernel;
    if (o.isa == nullptr) continue;
    pc::Conv conv(o, w.values, w.bits, bias);
    const auto plan = conv.plan(height, width, {.x = x_tiles, .addend = addend_tiles});
    if (variant.kernel == pc::KernelChoice::jit && std::strcmp(plan->program->name(), "jit") == 0) jit_runs++;
    const size_t pixels = plan->out_height * plan->out_width;
    if (reference.value.empty()) {
      if (o.addend) addend = random.normals(images * filters * pixels);
      given_addend = o.y_blocked ? to_blocked(addend, o.addend ? images : 0, filters, plan->out_height, plan->out_width) : addend;
      if (addend_tiles) given_addend = to_tile_major(given_addend, images, filters, plan->y);
      reference = convolve(o, images, height, width, plan->out_height, plan->out_width, x, w.dense, bias, addend);
    }
    const size_t size = images == 0 && o.y_blocked ? pc::kHeader : images * plan->y_image;
    Guarded result(size), again(size);
    pc::Serial serial;
    Threads threads;
    const float* add = o.addend ? given_addend.data() : nullptr;
    conv.run(*plan, images, given.data(), result.data(), add, serial);
    conv.run(*plan, images, given.data(), again.data(), add, threads);
    result.check();
    again.check();
    // The form may differ; what follows looks at planes.
    const auto planes_of = [&](const float* y, size_t count) {
      return o.y_blocked ? to_planes(y, count, filters, plan->y) : std::vector<float>(y, y + count * plan->y_image);
    };
    const std::vector<float> got = planes_of(result.data(), images);
    const auto is_same = [&](const std::vector<float>& other, size_t from, size_t count) {
      return count == 0 || std::memcmp(got.data() + from, other.data(), count * sizeof(float)) == 0;
    };
    expect(is_same(planes_of(again.data(), images), 0, size), "same with threads");
    for (size_t n = 0; n < images && images > 1; n++) {  // the same image alone
      std::vector<float> alone(plan->y_image);
      conv.run(*plan, 1, given.data() + n * plan->x_image, alone.data(),
               add == nullptr ? nullptr : add + n * plan->y_image, serial);
      alone = planes_of(alone.data(), 1);
      if (o.y_blocked) std::memcpy(alone.data(), got.data(), pc::kHeader * sizeof(float));  // it tells the number of images
      expect(is_same(alone, n * plan->y_image, plan->y_image), "same in a batch");
    }
    if (o.addend) {  // in place of the addend
      std::vector<float> shared(given_addend);
      conv.run(*plan, images, given.data(), shared.data(), shared.data(), serial);
      expect(is_same(planes_of(shared.data(), images), 0, size), "same in place");
    }
    if (o.y_blocked) {
      const pc::Header header = pc::read_header(result.data(), images == 0 ? 1 : images, size / std::max<size_t>(images, 1), filters);
      expect(header.images == images && header.height == plan->out_height && header.width == plan->out_width, "header");
      expect(header.form == static_cast<uint32_t>(plan->y_form), "form");
      if (header.form != 0) tile_major_runs++;
    }
    size_t at = 0;
    for (size_t n = 0; n < images; n++) {
      const float* image = got.data() + n * plan->y_image;
      const pc::View y = pc::image_view(o.y_blocked, plan->y, image);
      if (o.y_blocked) check_plane_zeros(*plan, filters, image);
      for (size_t f = 0; f < filters; f++)
        for (size_t row = 0; row < plan->out_height; row++)
          for (size_t column = 0; column < plan->out_width; column++, at++) {
            const double value = static_cast<double>(y.at(f)[row * y.pitch + column]);
            expect(std::abs(value - reference.value[at]) <= kTolerance * std::max(reference.scale, 1e-3), "result");
          }
    }
    // Instruction sets with fused multiply-adds and emitted code agree to the bit: they add in one
    // order.
    if (o.isa != pc::find_isa("baseline") && is_simple(o.activation.kind)) {
      if (first_result.empty()) first_result = got;
      expect(is_same(first_result, 0, size), "same bits");
    }
    runs++;
  }
}

void multiplication(Random& random) {
  pc::MatMulOptions o;
  const bool large = random.chance(0.02);  // sums of several blocks
  o.inputs = large ? random.integer(2300, 7000) : random.integer(1, 90);
  o.outputs = random.integer(1, 90);
  o.transposed = random.chance(0.5);
  o.activation = random_activation(random);
  const auto inputs = static_cast<size_t>(o.inputs), outputs = static_cast<size_t>(o.outputs);
  const double sparsities[] = {0, 0.5, 0.8, 0.95, 1};
  const SparseWeights w = sparse_weights(random, o.transposed ? outputs : inputs, o.transposed ? inputs : outputs,
                                         sparsities[random.integer(0, 4)]);
  const int64_t most_rows = large ? 20 : random.chance(0.1) ? 1500 : 200;
  const auto rows = static_cast<size_t>(random.chance(0.1) ? 0 : random.integer(1, most_rows));
  const std::vector<float> x = random.normals(rows * inputs);
  const std::vector<float> bias = random.chance(0.8) ? random.normals(outputs) : std::vector<float>{};
  const std::vector<float> addend = random.chance(0.3) ? random.normals(rows * outputs) : std::vector<float>{};
  for (const Variant& variant : kVariants) {
    o.isa = pc::find_isa(variant.isa);
    o.kernel_choice = variant.kernel;
    if (o.isa == nullptr) continue;
    const pc::MatMul matmul(o, w.values, w.bits, bias);
    Guarded result(rows * outputs), again(rows * outputs);
    pc::Serial serial;
    Threads threads;
    const float* add = addend.empty() ? nullptr : addend.data();
    matmul.run(rows, x.data(), result.data(), add, serial);
    matmul.run(rows, x.data(), again.data(), add, threads);
    result.check();
    expect(std::memcmp(result.all.data(), again.all.data(), result.all.size() * sizeof(float)) == 0, "same with threads");
    if (rows > 1) {  // a row alone
      const size_t at = random.engine() % rows;
      std::vector<float> alone(outputs);
      matmul.run(1, x.data() + at * inputs, alone.data(), add == nullptr ? nullptr : add + at * outputs, serial);
      const float* together = result.data() + at * outputs;
      expect(std::memcmp(together, alone.data(), outputs * sizeof(float)) == 0, "same in a batch");
    }
    for (size_t m = 0; m < rows; m++)
      for (size_t n = 0; n < outputs; n++) {
        double sum = bias.empty() ? 0 : static_cast<double>(bias[n]), size = std::abs(sum);
        for (size_t k = 0; k < inputs; k++) {
          const float weight = w.dense[o.transposed ? n * inputs + k : k * outputs + n];
          sum += static_cast<double>(weight) * static_cast<double>(x[m * inputs + k]);
          size += std::abs(static_cast<double>(weight) * static_cast<double>(x[m * inputs + k]));
        }
        if (!addend.empty()) sum += static_cast<double>(addend[m * outputs + n]);
        const double error = std::abs(static_cast<double>(result.data()[m * outputs + n]) - activated(sum, o.activation));
        expect(error <= kTolerance * std::max(size + 1, std::abs(sum)), "result");
      }
    runs++;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto [cases, seed, start] = Cases(argc, argv);
  size_t failures = 0;
  for (uint64_t i = start; i < cases; i++) {
    Random random(seed * 1000003 + i);
    try {
      if (i % 5 == 4) {
        multiplication(random);
      } else {
        convolution(random);
      }
    } catch (const Failed& failed) {
      std::printf("case %llu, seed %llu: %s\n", static_cast<unsigned long long>(i),
                  static_cast<unsigned long long>(seed), failed.what);
      if (++failures == 10) break;
    } catch (const std::exception& error) {
      std::printf("case %llu: threw %s\n", static_cast<unsigned long long>(i), error.what());
      if (++failures == 10) break;
    }
  }
  std::printf("%llu cases, %zu runs, %zu by emitted code, %zu with tile-major results, %zu failures\n",
              static_cast<unsigned long long>(cases - start), runs, jit_runs, tile_major_runs, failures);
  return failures == 0 ? 0 : 1;
}
