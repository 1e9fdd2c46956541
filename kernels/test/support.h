// Shared by the test programs: random numbers, random sparse weights, threads, and the naive
// reference.
#pragma once
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "layout/images.h"
#include "operators/conv.h"

namespace test {

// The arguments of test programs: PROGRAM [cases] [seed] [first case]
struct Cases {
  uint64_t end, seed, start;
  Cases(int argc, char** argv)
      : end(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 5000),
        seed(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1),
        start(argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 0) {}
};

// A failed check.
struct Failed {
  const char* what;
};

inline void expect(bool holds, const char* what) {
  if (!holds) throw Failed{what};
}

struct Random {
  std::mt19937_64 engine;
  explicit Random(uint64_t seed) : engine(seed) {}
  int64_t integer(int64_t least, int64_t most) {
    return least + static_cast<int64_t>(engine() % static_cast<uint64_t>(most - least + 1));
  }
  bool chance(double p) { return std::uniform_real_distribution<double>(0, 1)(engine) < p; }
  float normal() { return std::normal_distribution<float>()(engine); }
  std::vector<float> normals(size_t count) {
    std::vector<float> all(count);
    for (float& one : all) one = normal();
    return all;
  }
};

struct SparseWeights {
  std::vector<float> dense, values;
  std::vector<uint8_t> bits;
};

// Removes a share of `zeros` of the weights, and sometimes whole rows and columns of a matrix with
// `columns` columns.
inline SparseWeights sparse_weights(Random& random, size_t rows, size_t columns, double zeros) {
  SparseWeights w;
  w.dense = random.normals(rows * columns);
  w.bits.resize((w.dense.size() + 7) / 8);
  std::vector<bool> empty_row(rows), empty_column(columns);
  const bool holes = random.chance(0.3);
  for (size_t r = 0; r < rows; r++) empty_row[r] = holes && random.chance(0.3);
  for (size_t c = 0; c < columns; c++) empty_column[c] = holes && random.chance(0.3);
  for (size_t i = 0; i < w.dense.size(); i++) {
    const bool removed = empty_row[i / columns] || empty_column[i % columns] || random.chance(zeros);
    if (removed) w.dense[i] = 0;
    if (removed) continue;
    w.values.push_back(w.dense[i]);
    w.bits[i / 8] = static_cast<uint8_t>(w.bits[i / 8] | 1u << (i % 8));
  }
  return w;
}

// Runs the work on real threads, the last piece first.
class Threads final : public pc::Parallel {
  void run(void (*call)(void*, size_t), size_t count, void* work) override {
    std::vector<std::thread> threads;
    const size_t most = count < 3 ? count : 3;
    for (size_t t = 0; t < most; t++) {
      threads.emplace_back([=] {
        for (size_t i = count - t; i-- > 0 && i < count;) {
          if ((count - 1 - i) % most == t) call(work, i);
        }
      });
    }
    for (auto& thread : threads) thread.join();
  }
};

inline double activated(double v, pc::Activation a) {
  using Kind = pc::ActivationKind;
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto clamp = [](double x, double least, double most) { return x < least ? least : x > most ? most : x; };
  switch (a.kind) {
    case Kind::none:
      return v;
    case Kind::relu:
      return v < 0 ? 0 : v;
    case Kind::clip:
      return clamp(v, static_cast<double>(a.alpha), static_cast<double>(a.beta));
    case Kind::leaky_relu:
      return v < 0 ? v * static_cast<double>(a.alpha) : v;
    case Kind::sigmoid:
      return sigmoid(v);
    case Kind::silu:
      return v * sigmoid(v);
    case Kind::hard_sigmoid:
      return clamp(v * static_cast<double>(a.alpha) + static_cast<double>(a.beta), 0, 1);
    case Kind::hard_swish:
      return v * clamp(v / 6 + 0.5, 0, 1);
    case Kind::tanh:
      return std::tanh(v);
    case Kind::gelu:
      return 0.5 * v * (1 + std::erf(v / std::sqrt(2.0)));
  }
  return v;
}

inline pc::Activation random_activation(Random& random) {
  const auto kind = static_cast<pc::ActivationKind>(random.integer(0, 9));
  if (kind == pc::ActivationKind::clip) return {kind, -0.3f, 1.5f};
  return {kind, 0.2f, 0.4f};
}

inline pc::ConvOptions random_options(Random& random) {
  pc::ConvOptions o;
  const auto few = [&](int64_t most) { return random.chance(0.5) ? 1 : random.integer(1, most); };
  o.groups = random.chance(0.7) ? 1 : random.integer(1, 4);
  const bool depthwise = random.chance(0.1);
  // Sometimes several groups of rows and several chunks of columns, for either kernel.
  o.channels = o.groups * random.integer(1, depthwise ? 1 : random.chance(0.05) ? 100 : 12);
  o.filters = o.groups * random.integer(1, random.chance(0.2) ? 150 : 12);
  const bool large = random.chance(0.01);  // sums of several blocks of columns
  if (large) {
    o.channels = o.groups * random.integer(250, 700);
    o.filters = o.groups * random.integer(1, 8);
  }
  const bool usual = large || random.chance(0.5);
  for (size_t i = 0; i < 2; i++) {
    o.kernel[i] = usual ? 3 : few(5);
    o.strides[i] = usual ? random.integer(1, 2) : few(4);
    o.dilations[i] = usual ? 1 : few(3);
    o.pads[i] = usual ? 1 : random.chance(0.5) ? 0 : random.integer(0, 6);
    o.pads[i + 2] = usual ? 1 : random.chance(0.5) ? 0 : random.integer(0, 6);
  }
  o.activation = random_activation(random);
  o.addend = random.chance(0.3);
  o.x_blocked = random.chance(0.5);
  o.y_blocked = random.chance(0.5);
  return o;
}

// The least height (0) or width (1) of images that fit the kernel.
inline int64_t least_size(const pc::ConvOptions& o, size_t axis) {
  const int64_t pads = o.pads[axis] + o.pads[axis + 2];
  return std::max<int64_t>(1, (o.kernel[axis] - 1) * o.dilations[axis] + 1 - pads);
}

struct Reference {
  std::vector<double> value;
  double scale = 0;  // the largest sum of magnitudes; errors are relative to it
};

// The reference: NCHW in, NCHW out, in double precision.
inline Reference convolve(const pc::ConvOptions& o, size_t images, size_t height, size_t width, size_t out_height,
                          size_t out_width, const std::vector<float>& x, const std::vector<float>& weights,
                          const std::vector<float>& bias, const std::vector<float>& addend) {
  Reference result;
  const auto channels = static_cast<size_t>(o.channels), filters = static_cast<size_t>(o.filters);
  const size_t per_group = channels / static_cast<size_t>(o.groups), rows = filters / static_cast<size_t>(o.groups);
  result.value.resize(images * filters * out_height * out_width);
  size_t at = 0;
  for (size_t n = 0; n < images; n++)
    for (size_t f = 0; f < filters; f++)
      for (size_t y = 0; y < out_height; y++)
        for (size_t xx = 0; xx < out_width; xx++, at++) {
          double sum = bias.empty() ? 0 : static_cast<double>(bias[f]), size = std::abs(sum);
          for (size_t c = 0; c < per_group; c++)
            for (int64_t ky = 0; ky < o.kernel[0]; ky++)
              for (int64_t kx = 0; kx < o.kernel[1]; kx++) {
                const int64_t iy = static_cast<int64_t>(y) * o.strides[0] + ky * o.dilations[0] - o.pads[0];
                const int64_t ix = static_cast<int64_t>(xx) * o.strides[1] + kx * o.dilations[1] - o.pads[1];
                if (iy < 0 || ix < 0 || iy >= static_cast<int64_t>(height) || ix >= static_cast<int64_t>(width)) continue;
                const size_t channel = f / rows * per_group + c;
                const size_t from =
                    ((n * channels + channel) * height + static_cast<size_t>(iy)) * width + static_cast<size_t>(ix);
                const size_t w = ((f * per_group + c) * static_cast<size_t>(o.kernel[0]) + static_cast<size_t>(ky)) *
                                     static_cast<size_t>(o.kernel[1]) +
                                 static_cast<size_t>(kx);
                const double product = static_cast<double>(x[from]) * static_cast<double>(weights[w]);
                sum += product;
                size += std::abs(product);
              }
          if (!addend.empty()) sum += static_cast<double>(addend[at]);
          if (!addend.empty()) size += std::abs(static_cast<double>(addend[at]));
          result.value[at] = activated(sum, o.activation);
          if (size > result.scale) result.scale = size;
        }
  return result;
}

// Converts blocked images in planes to the tile-major form. Floats that the form leaves out are NaN.
inline std::vector<float> to_tile_major(const std::vector<float>& blocked, size_t images, size_t channels,
                                        const pc::Planes& planes) {
  const size_t size = planes.image(channels);
  std::vector<float> to(blocked.size(), NAN);
  pc::write_headers(planes, images, channels, to.data(), pc::Form::tile_major);
  for (size_t n = 0; n < images; n++) {
    for (size_t c = 0; c < channels; c++) {
      const float* const plane = blocked.data() + n * size + planes.origin() + c * planes.stride;
      for (size_t p = 0; p < planes.tiles * pc::kLane; p++) {
        to[n * size + pc::tile_major_at(channels, p / pc::kLane, c) + p % pc::kLane] = plane[p];
      }
    }
  }
  return to;
}

// Blocked images in planes, whatever form they have.
inline std::vector<float> to_planes(const float* blocked, size_t images, size_t channels, const pc::Planes& planes) {
  const size_t size = planes.image(channels);
  pc::Header header;
  std::memcpy(&header, blocked, sizeof header);
  std::vector<float> to(blocked, blocked + (images == 0 ? pc::kHeader : images * size));
  if (header.form == 0) return to;
  std::fill(to.begin(), to.end(), NAN);
  pc::write_headers(planes, images, channels, to.data());
  for (size_t n = 0; n < images; n++) {
    for (size_t c = 0; c < channels; c++) {
      pc::move_to_planes(planes, channels, c, blocked + n * size, to.data() + n * size);
    }
  }
  return to;
}

// Converts NCHW images to the blocked layout.
inline std::vector<float> to_blocked(const std::vector<float>& x, size_t images, size_t channels, size_t height, size_t width) {
  const pc::Planes planes(height, width);
  const size_t size = planes.image(channels);
  std::vector<float> to(images == 0 ? pc::kHeader : images * size, NAN);
  pc::write_headers(planes, images, channels, to.data());
  for (size_t n = 0; n < images; n++) {
    for (size_t c = 0; c < channels; c++) {
      pc::move_plane(*pc::find_isa("baseline"), planes, pc::plain_view(planes, x.data() + n * channels * height * width),
                     c, pc::blocked_view(planes, to.data() + n * size), nullptr, {}, true);
    }
  }
  return to;
}

}  // namespace test
