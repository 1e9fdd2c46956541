// Tests the operators between sparse layers against naive references, on every instruction set of
// the machine. Then tests mutated attributes, which must be refused or computed within bounds.
//   test_planes [cases] [seed] [first case]
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>

#include "operators/depthwise.h"
#include "operators/planewise.h"
#include "operators/pool.h"
#include "support.h"

namespace {

using namespace test;

constexpr double kTolerance = 1e-6;  // of the largest sum of magnitudes
constexpr size_t kMostFloats = 1 << 21;
size_t runs = 0, refused = 0;

// Images in NCHW and their size.
struct Batch {
  size_t images, channels, height, width;
  std::vector<float> data;

  size_t index(size_t n, size_t c, size_t y, size_t x) const { return ((n * channels + c) * height + y) * width + x; }
  std::vector<float> blocked() const { return to_blocked(data, images, channels, height, width); }
};

Batch random_batch(Random& random, size_t least_height, size_t least_width) {
  const int64_t spread = random.chance(0.2) ? 60 : 12;
  Batch b{static_cast<size_t>(random.chance(0.1) ? 0 : random.chance(0.6) ? 1 : random.integer(2, 4)),
          static_cast<size_t>(random.integer(1, random.chance(0.2) ? 40 : 10)),
          least_height + static_cast<size_t>(random.integer(0, spread)),
          least_width + static_cast<size_t>(random.integer(0, spread)), {}};
  b.data = random.normals(b.images * b.channels * b.height * b.width);
  return b;
}

// The buffer has the exact size, so that a sanitizer notices every float beyond it. It holds NaN
// until it is written.
std::vector<float> room(const pc::Planes& planes, size_t images, size_t channels) {
  return std::vector<float>(images == 0 ? pc::kHeader : images * planes.image(channels), NAN);
}

using Wanted = std::function<double(size_t n, size_t c, size_t y, size_t x)>;

// Checks the header, the zeros of the layout, and every pixel.
void check(const std::vector<float>& data, const pc::Planes& p, size_t images, size_t channels, double scale,
           const Wanted& wanted) {
  const pc::Header header =
      pc::read_header(data.data(), std::max<size_t>(images, 1), data.size() / std::max<size_t>(images, 1), channels);
  expect(header.images == images && header.height == p.height && header.width == p.width, "header");
  for (size_t n = 0; n < images; n++) {
    const float* image = data.data() + n * p.image(channels);
    for (size_t i = 0; i < p.lead; i++) expect(image[pc::kHeader + i] == 0, "lead");
    for (size_t c = 0; c < channels; c++) {
      for (size_t i = 0; i < p.stride; i++) {
        const size_t y = i / p.pitch, x = i % p.pitch;
        const double value = static_cast<double>(image[p.origin() + c * p.stride + i]);
        if (y >= p.height || x >= p.width) {
          expect(value == 0, "what is no pixel is zero");
          continue;
        }
        const double right = wanted(n, c, y, x);
        const bool same = value == right || (std::isnan(value) && std::isnan(right));
        expect(same || std::abs(value - right) <= kTolerance * scale, "result");
      }
    }
  }
  runs++;
}

// Calls `run` on every instruction set, serially and with threads. Results must agree to the bit.
template <typename Run>
void on_all_sets(std::vector<float>& y, const Run& run) {
  for (const char* name : {"baseline", "avx2", "avx512"}) {
    const pc::Isa* isa = pc::find_isa(name);
    if (isa == nullptr) continue;
    pc::Serial serial;
    Threads threads;
    std::vector<float> again(y);
    run(*isa, y.data(), serial);
    run(*isa, again.data(), threads);
    expect(std::memcmp(y.data(), again.data(), y.size() * sizeof(float)) == 0, "same with threads");
  }
}

pc::Window random_window(Random& random, bool pads_below_kernel) {
  pc::Window w;
  const bool usual = random.chance(0.5);
  for (size_t i = 0; i < 2; i++) {
    w.kernel[i] = usual ? random.integer(1, 2) * 2 + 1 : random.integer(1, 6);
    w.strides[i] = usual ? random.integer(1, 2) : random.integer(1, 4);
    w.dilations[i] = usual ? 1 : random.integer(1, 3);
    const int64_t most = pads_below_kernel ? w.kernel[i] - 1 : 6;
    w.pads[i] = usual ? w.kernel[i] / 2 : random.integer(0, most);
    w.pads[i + 2] = usual ? w.kernel[i] / 2 : random.integer(0, most);
  }
  return w;
}

size_t least_size(const pc::Window& w, size_t axis) {
  return static_cast<size_t>(
      std::max<int64_t>(1, (w.kernel[axis] - 1) * w.dilations[axis] + 1 - w.pads[axis] - w.pads[axis + 2]));
}

// Calls visit(kernel row, kernel column, y, x) for all taps of an output.
template <typename Visit>
void taps(const pc::Window& w, size_t y, size_t x, const Visit& visit) {
  for (int64_t i = 0; i < w.kernel[0]; i++) {
    for (int64_t j = 0; j < w.kernel[1]; j++) {
      visit(i, j, static_cast<int64_t>(y) * w.strides[0] + i * w.dilations[0] - w.pads[0],
            static_cast<int64_t>(x) * w.strides[1] + j * w.dilations[1] - w.pads[1]);
    }
  }
}

void pooling(Random& random) {
  pc::PoolOptions o;
  o.window = random_window(random, true);
  o.window.ceil = random.chance(0.3);
  o.mean = random.chance(0.5);
  o.count_padding = o.mean && random.chance(0.5);
  const pc::Window& w = o.window;
  Batch x = random_batch(random, least_size(w, 0), least_size(w, 1));
  const bool infinite = random.chance(0.1);
  if (infinite && !o.mean) std::fill(x.data.begin(), x.data.end(), -INFINITY);
  if (!x.data.empty() && random.chance(0.1)) x.data[random.engine() % x.data.size()] = NAN;
  const pc::Planes planes(x.height, x.width);
  const pc::Planes result = pc::WindowPool(o).result(planes);
  const auto height = static_cast<int64_t>(x.height), width = static_cast<int64_t>(x.width);
  const std::vector<float> given = x.blocked();
  std::vector<float> y = room(result, x.images, x.channels);
  on_all_sets(y, [&](const pc::Isa& isa, float* to, pc::Parallel& parallel) {
    pc::WindowPool(o, isa).run(planes, result, x.images, x.channels, given.data(), to, parallel);
  });
  check(y, result, x.images, x.channels, 6, [&](size_t n, size_t c, size_t row, size_t column) {
    double sum = 0, most = -INFINITY;
    size_t inside = 0, counted = 0;
    bool is_padded = false;
    taps(w, row, column, [&](int64_t, int64_t, int64_t iy, int64_t ix) {
      counted += iy >= -w.pads[0] && ix >= -w.pads[1] && iy < height + w.pads[2] && ix < width + w.pads[3];
      is_padded |= ix < 0 || ix >= width;
      if (iy < 0 || ix < 0 || iy >= height || ix >= width) return;
      const double value = static_cast<double>(x.data[x.index(n, c, static_cast<size_t>(iy), static_cast<size_t>(ix))]);
      inside++;
      sum += value;
      most = std::max(most, value);
    });
    if (o.mean || std::isnan(sum)) return sum / static_cast<double>(std::max<size_t>(1, o.count_padding ? counted : inside));
    // As in ONNX Runtime, places left and right of the image are the least finite number.
    const double least = static_cast<double>(std::numeric_limits<float>::lowest());
    return is_padded || inside == 0 ? std::max(most, least) : most;
  });
}

void depthwise(Random& random) {
  pc::DepthwiseOptions o;
  o.window = random_window(random, false);
  o.activation = random_activation(random);
  const pc::Window& w = o.window;
  const Batch x = random_batch(random, least_size(w, 0), least_size(w, 1));
  o.channels = static_cast<int64_t>(x.channels);
  const auto taps_of_one = static_cast<size_t>(w.kernel[0] * w.kernel[1]);
  const std::vector<float> weights = random.normals(x.channels * taps_of_one);
  const std::vector<float> bias = random.chance(0.8) ? random.normals(x.channels) : std::vector<float>{};
  const pc::Planes planes(x.height, x.width);
  const pc::Planes result = pc::Depthwise(o, weights, bias).result(planes);
  const std::vector<float> given = x.blocked();
  std::vector<float> y = room(result, x.images, x.channels);
  on_all_sets(y, [&](const pc::Isa& isa, float* to, pc::Parallel& parallel) {
    pc::Depthwise(o, weights, bias, isa).run(planes, result, x.images, given.data(), to, parallel);
  });
  pc::ConvOptions conv;
  conv.channels = conv.filters = conv.groups = o.channels;
  conv.kernel = w.kernel;
  conv.strides = w.strides;
  conv.dilations = w.dilations;
  conv.pads = w.pads;
  conv.activation = o.activation;
  const Reference reference =
      convolve(conv, x.images, x.height, x.width, result.height, result.width, x.data, weights, bias, {});
  check(y, result, x.images, x.channels, std::max(reference.scale, 1e-3), [&](size_t n, size_t c, size_t row, size_t column) {
    return reference.value[((n * x.channels + c) * result.height + row) * result.width + column];
  });
}

void planewise(Random& random) {
  using Kind = pc::PlaneWork::Kind;
  pc::PlaneWork work;
  work.kind = static_cast<Kind>(random.integer(0, 3));
  work.activation = random_activation(random);
  const Batch a = random_batch(random, 1, 1);
  Batch b = a;
  b.data = random.normals(a.data.size());
  std::vector<float> factors = random.normals(a.images * a.channels);
  // Infinity times a zero of the border must not remain there.
  if (!factors.empty() && work.activation.kind == pc::ActivationKind::none && random.chance(0.3)) factors[0] = INFINITY;
  const std::vector<float> given = a.blocked(), other = b.blocked();
  const float* second = work.kind == Kind::scale ? factors.data() : other.data();
  const pc::Planes planes(a.height, a.width);
  std::vector<float> y = room(planes, a.images, a.channels);
  on_all_sets(y, [&](const pc::Isa& isa, float* to, pc::Parallel& parallel) {
    work.isa = &isa;
    pc::run_planewise(work, planes, a.images, a.channels, given.data(), second, to, parallel);
  });
  std::vector<float> shared(given);
  pc::Serial serial;
  pc::run_planewise(work, planes, a.images, a.channels, shared.data(), second, shared.data(), serial);
  expect(std::memcmp(shared.data(), y.data(), y.size() * sizeof(float)) == 0, "same in place");
  check(y, planes, a.images, a.channels, 20, [&](size_t n, size_t c, size_t row, size_t column) {
    const auto value = static_cast<double>(a.data[a.index(n, c, row, column)]);
    const auto operand = static_cast<double>(b.data[a.index(n, c, row, column)]);
    const double factor = static_cast<double>(factors[n * a.channels + c]);
    const double results[] = {value, value + operand, value * operand, value * factor};
    return activated(results[static_cast<size_t>(work.kind)], work.activation);
  });
}

void joining(Random& random) {
  const Batch first = random_batch(random, 1, 1);
  std::vector<Batch> all{first};
  for (int64_t i = random.integer(0, 3); i > 0; i--) {
    Batch next = first;
    next.channels = static_cast<size_t>(random.integer(1, 9));
    next.data = random.normals(next.images * next.channels * next.height * next.width);
    all.push_back(next);
  }
  std::vector<std::vector<float>> given;
  std::vector<pc::Part> parts;
  // Per channel of the result: its part, and the channel of that part.
  std::vector<std::pair<size_t, size_t>> from;
  for (size_t i = 0; i < all.size(); i++) {
    given.push_back(all[i].blocked());
    for (size_t c = 0; c < all[i].channels; c++) from.emplace_back(i, c);
  }
  for (size_t i = 0; i < all.size(); i++) parts.push_back({given[i].data(), all[i].channels});
  const pc::Planes planes(first.height, first.width);
  std::vector<float> y = room(planes, first.images, from.size());
  on_all_sets(y, [&](const pc::Isa&, float* to, pc::Parallel& parallel) {
    pc::run_concat(planes, first.images, parts, to, parallel);
  });
  check(y, planes, first.images, from.size(), 0, [&](size_t n, size_t c, size_t row, size_t column) {
    const Batch& source = all[from[c].first];
    return static_cast<double>(source.data[source.index(n, from[c].second, row, column)]);
  });
}

void means_and_doubling(Random& random) {
  const Batch x = random_batch(random, 1, 1);
  const pc::Planes planes(x.height, x.width), doubled(2 * x.height, 2 * x.width);
  const std::vector<float> given = x.blocked();
  std::vector<float> means(x.images * x.channels + 1, 12345.0f), y = room(doubled, x.images, x.channels);
  on_all_sets(means, [&](const pc::Isa& isa, float* to, pc::Parallel& parallel) {
    pc::run_global_average(planes, x.images, x.channels, given.data(), to, isa, parallel);
  });
  expect(means.back() == 12345.0f, "guard");
  for (size_t i = 0; i < x.images * x.channels; i++) {
    double sum = 0;
    for (size_t p = 0; p < x.height * x.width; p++) sum += static_cast<double>(x.data[i * x.height * x.width + p]);
    expect(std::abs(sum / static_cast<double>(x.height * x.width) - static_cast<double>(means[i])) <= kTolerance / 10, "mean");
  }
  on_all_sets(y, [&](const pc::Isa& isa, float* to, pc::Parallel& parallel) {
    pc::run_upsample(planes, doubled, x.images, x.channels, given.data(), to, isa, parallel);
  });
  check(y, doubled, x.images, x.channels, 0, [&](size_t n, size_t c, size_t row, size_t column) {
    return static_cast<double>(x.data[x.index(n, c, row / 2, column / 2)]);
  });
}

int64_t strange(Random& random, int64_t usual) {
  const int64_t values[] = {usual, usual, 0, -1, 1, 2, 3, 7, 65536, 65537, INT64_MAX, INT64_MIN};
  return values[random.integer(0, 11)];
}

// Any attributes: the operator refuses them or computes within bounds.
void mutated(Random& random) {
  pc::Window w = random_window(random, false);
  int64_t* const fields[] = {&w.kernel[0],    &w.kernel[1],    &w.strides[0], &w.strides[1], &w.dilations[0],
                             &w.dilations[1], &w.pads[0],      &w.pads[1],    &w.pads[2],    &w.pads[3]};
  for (int64_t i = random.integer(1, 3); i > 0; i--) {
    int64_t& field = *fields[random.integer(0, 9)];
    field = strange(random, field);
  }
  w.ceil = random.chance(0.5);
  const Batch x = random_batch(random, 1, 1);
  const pc::Planes planes(x.height, x.width);
  const std::vector<float> given = x.blocked();
  pc::Serial serial;
  if (random.chance(0.5)) {
    const pc::WindowPool pool({w, random.chance(0.5), random.chance(0.5)});
    const pc::Planes result = pool.result(planes);
    if (result.image(x.channels) * x.images > kMostFloats) return;
    std::vector<float> y = room(result, x.images, x.channels);
    pool.run(planes, result, x.images, x.channels, given.data(), y.data(), serial);
  } else {
    w.ceil = false;
    const auto taps_of_one = static_cast<size_t>(std::min<uint64_t>(200, static_cast<uint64_t>(w.kernel[0]) * static_cast<uint64_t>(w.kernel[1])));
    const std::vector<float> weights = random.normals(x.channels * taps_of_one + (random.chance(0.1) ? 1 : 0));
    const int64_t channels = random.chance(0.1) ? strange(random, 3) : static_cast<int64_t>(x.channels);
    const pc::Depthwise layer({channels, w, {}}, weights, {});
    if (channels != static_cast<int64_t>(x.channels)) return;
    const pc::Planes result = layer.result(planes);
    if (result.image(x.channels) * x.images > kMostFloats) return;
    std::vector<float> y = room(result, x.images, x.channels);
    layer.run(planes, result, x.images, given.data(), y.data(), serial);
  }
  runs++;
}

}  // namespace

int main(int argc, char** argv) {
  const auto [cases, seed, start] = Cases(argc, argv);
  void (*const kinds[])(Random&) = {pooling, depthwise, planewise, joining, means_and_doubling, mutated, pooling, depthwise};
  size_t failures = 0;
  for (uint64_t i = start; i < cases && failures < 10; i++) {
    Random random(seed * 9000011 + i);
    const auto kind = kinds[i % std::size(kinds)];
    try {
      kind(random);
    } catch (const Failed& failed) {
      std::printf("case %llu, seed %llu: %s\n", static_cast<unsigned long long>(i),
                  static_cast<unsigned long long>(seed), failed.what);
      failures++;
    } catch (const pc::Failure& failure) {
      if (kind == mutated) {
        refused++;
        continue;
      }
      std::printf("case %llu: refused, %s\n", static_cast<unsigned long long>(i), failure.what());
      failures++;
    }
  }
  std::printf("%llu cases between layers, %zu runs, %zu refused, %zu failures\n",
              static_cast<unsigned long long>(cases - start), runs, refused, failures);
  return failures == 0 ? 0 : 1;
}
