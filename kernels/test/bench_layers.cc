// Runs the convolutions of ResNet-50 in sequence, without ONNX Runtime. Prints milliseconds per
// kind of layer, and its share of the peak, counted over kept weights. PEAK is in GFLOP/s; peak.cc
// measures it.
//   bench_layers PEAK [zeros in percent] [rounds] [auto|stream] [cold|hot] [tiles|planes]
// `planes` keeps all images in planes, also where models have tile-major ones.
// `hot` repeats each layer before the next one, so that its weights and pixels stay in the caches.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "support.h"

namespace {

struct Layer {
  std::string name;
  std::unique_ptr<pc::Conv> conv;
  std::shared_ptr<const pc::ConvPlan> plan;
  std::vector<double> times;
  double flops = 0;
};

using Buffer = std::unique_ptr<float, void (*)(void*)>;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

int main(int argc, char** argv) {
  const double peak = argc > 1 ? std::atof(argv[1]) : 100;
  const double zeros = (argc > 2 ? std::atof(argv[2]) : 80) / 100;
  const int rounds = argc > 3 ? std::atoi(argv[3]) : 11;
  const bool stream = argc > 4 && std::strcmp(argv[4], "stream") == 0;
  const bool hot = argc > 5 && std::strcmp(argv[5], "hot") == 0;
  const bool tiles = !stream && !(argc > 6 && std::strcmp(argv[6], "planes") == 0);
  test::Random random(1);
  std::vector<Layer> layers;

  // x is the result of a block or of a 3x3 convolution: tile-major where 1x1 convolutions alone read
  // it. The input of the first block comes from a pool.
  const auto add = [&](int64_t channels, int64_t filters, int64_t kernel, int64_t stride, size_t size, bool addend) {
    pc::ConvOptions o;
    o.channels = channels;
    o.filters = filters;
    o.kernel = {kernel, kernel};
    o.strides = {stride, stride};
    o.pads = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
    o.activation.kind = pc::ActivationKind::relu;
    o.addend = addend;
    o.x_blocked = o.y_blocked = true;
    const bool is_from_pool = channels == 64 && (filters == 64 || !addend) && layers.size() < 3;
    o.may_write_tiles = tiles && (kernel == 3 || filters > channels);
    if (stream) o.kernel_choice = pc::KernelChoice::stream;
    const size_t columns = static_cast<size_t>(channels * kernel * kernel), rows = static_cast<size_t>(filters);
    std::vector<float> values;
    std::vector<uint8_t> bits((rows * columns + 7) / 8);
    for (size_t i = 0; i < rows * columns; i++) {
      if (static_cast<double>(random.engine() >> 11) * 0x1p-53 < zeros) continue;
      values.push_back(0.01f);
      bits[i / 8] = static_cast<uint8_t>(bits[i / 8] | 1u << (i % 8));
    }
    Layer layer;
    layer.conv = std::make_unique<pc::Conv>(o, values, bits, std::vector<float>(rows));
    layer.plan = layer.conv->plan(size, size, {.x = tiles && kernel == 1 && !is_from_pool, .addend = tiles && addend});
    const size_t out = size / static_cast<size_t>(stride);
    layer.flops = 2.0 * static_cast<double>(values.size() * out * out);
    char name[80];
    std::snprintf(name, sizeof name, "%lldx%lld/%lld %4lld->%4lld @%2zu%s", static_cast<long long>(kernel),
                  static_cast<long long>(kernel), static_cast<long long>(stride), static_cast<long long>(channels),
                  static_cast<long long>(filters), out, addend ? " +" : "  ");
    layer.name = name;
    layers.push_back(std::move(layer));
  };
  const double begun = now();
  int64_t channels = 64;
  size_t size = 56;
  const int64_t widths[] = {64, 128, 256, 512}, blocks[] = {3, 4, 6, 3};
  for (size_t stage = 0; stage < 4; stage++)
    for (int64_t block = 0; block < blocks[stage]; block++) {
      const int64_t stride = block == 0 && stage > 0 ? 2 : 1, width = widths[stage];
      add(channels, width, 1, 1, size, false);
      add(width, width, 3, stride, size, false);
      if (block == 0) add(channels, 4 * width, 1, stride, size, false);
      size /= static_cast<size_t>(stride);
      add(width, 4 * width, 1, 1, size, true);
      channels = 4 * width;
    }
  std::printf("made in %.0f ms\n", (now() - begun) * 1e3);

  // Three buffers in turn, as in a network. They hold images of zeros with a header that fits each
  // layer.
  size_t most = 0;
  for (const Layer& layer : layers) most = std::max({most, layer.plan->x_image, layer.plan->y_image});
  std::vector<Buffer> buffers;
  for (int i = 0; i < 3; i++) {
    buffers.emplace_back(static_cast<float*>(std::aligned_alloc(64, most * sizeof(float))), std::free);
    std::fill_n(buffers.back().get(), most, 0.1f);
  }
  pc::Serial serial;
  const auto run = [&](size_t index) {
    Layer& layer = layers[index];
    const double start = now();
    const float* addend = layer.conv->options().addend ? buffers[(index + 2) % 3].get() : nullptr;
    layer.conv->run(*layer.plan, 1, buffers[index % 3].get(), buffers[(index + 1) % 3].get(), addend, serial);
    layer.times.push_back(now() - start);
  };
  const auto count = static_cast<size_t>(rounds);
  for (size_t i = 0; i < count * layers.size(); i++) run(hot ? i / count : i % layers.size());
  struct Sum {
    double time = 0, flops = 0;
    int count = 0;
  };
  std::map<std::string, Sum> kinds;
  std::vector<std::string> order;
  Sum all;
  for (Layer& layer : layers) {
    std::sort(layer.times.begin(), layer.times.end());
    const double time = layer.times[layer.times.size() / 4];
    if (kinds[layer.name].count == 0) order.push_back(layer.name);
    for (Sum* sum : {&kinds[layer.name], &all}) {
      sum->time += time;
      sum->flops += layer.flops;
      sum->count++;
    }
  }
  for (const std::string& name : order) {
    const Sum& sum = kinds[name];
    std::printf("%s  %d x %.3f ms  %5.1f GFLOP/s  %3.0f %%\n", name.c_str(), sum.count, sum.time / sum.count * 1e3,
                sum.flops / sum.time / 1e9, sum.flops / sum.time / 1e9 / peak * 100);
  }
  std::printf("all %.2f ms, %.1f GFLOP/s, %.0f %% of the peak\n", all.time * 1e3, all.flops / all.time / 1e9,
              all.flops / all.time / 1e9 / peak * 100);
}
