// A row of results takes two steps: the rows of the window are folded into one row, then the
// columns of the window are folded into results.
#include "operators/pool.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "support/scratch.h"

namespace pc {
namespace {

constexpr size_t kScratchFloats = size_t{1} << 20;  // bounds the scratch of a batch of images

// The number of taps of output `at` that are within [-before, in + after).
size_t taps_inside(const Window& w, size_t axis, size_t at, size_t in, int64_t before, int64_t after) {
  const int64_t first = static_cast<int64_t>(at) * w.strides[axis] - w.pads[axis], d = w.dilations[axis];
  const int64_t end = static_cast<int64_t>(in) + after;
  const int64_t low = first >= -before ? 0 : (-before - first + d - 1) / d;
  const int64_t high = first >= end ? 0 : std::min(w.kernel[axis], (end - first + d - 1) / d);
  return high > low ? static_cast<size_t>(high - low) : 0;
}

// Everything that depends on the size of the images and is the same for every plane.
struct Geometry {
  size_t step;              // stride of columns
  size_t row_floats;        // of the padded row
  size_t phase_floats = 0;  // of one phase of the padded row: every `step`-th float
  std::vector<uint32_t> row_offsets, column_offsets;
  std::vector<size_t> phases;
  std::vector<float> column_taps;  // of means: the taps of each result

  Geometry(const PoolOptions& o, const Planes& x, const Planes& y) : step(o.window.stride(1)) {
    const Window& w = o.window;
    const size_t reach = (y.width - 1) * step + (w.kernel_size(1) - 1) * w.dilation(1) + 1;
    // Results are folded in whole tiles. The row has the floats that the last tile reads beyond the
    // results.
    row_floats = round_up(std::max(reach, w.pad(1) + round_up(x.width, kLane)), kLane) + kLane * step;
    if (step > 1) phase_floats = round_up(divided(row_floats, step), kLane) + kLane;
    for (size_t k = 0; k < w.kernel_size(0); k++) {
      // Taps beyond the image are never read; the minimum keeps their offsets in range.
      const size_t offset = std::min<size_t>(k * w.dilation(0), x.height) * x.pitch;
      row_offsets.push_back(static_cast<uint32_t>(offset));
    }
    constexpr size_t kNone = SIZE_MAX;
    std::vector<size_t> index_of(step, kNone);
    for (size_t k = 0; k < w.kernel_size(1); k++) {
      const size_t place = k * w.dilation(1), phase = place % step;
      if (index_of[phase] == kNone) {
        index_of[phase] = phases.size();
        phases.push_back(phase);
      }
      const size_t index = index_of[phase];
      column_offsets.push_back(static_cast<uint32_t>(step == 1 ? place : index * phase_floats + place / step));
    }
    if (!o.mean) return;
    column_taps.resize(round_up(y.width, kLane), 1);
    for (size_t i = 0; i < y.width; i++) {
      column_taps[i] = static_cast<float>(taps_inside(w, 1, i, x.width, o.count_padding ? w.pads[1] : 0,
                                                      o.count_padding ? w.pads[3] : 0));
    }
  }

  size_t scratch() const { return row_floats + phases.size() * phase_floats + 2 * column_taps.size(); }
};

class PlanePool {
 public:
  PlanePool(const PoolOptions& options, const Isa& isa, const Geometry& geometry, const Planes& x, const Planes& y,
            float* scratch)
      : o_(options), isa_(isa), g_(geometry), x_(x), y_(y), row_(scratch), phase_(row_ + g_.row_floats),
        taps_(phase_ + g_.phases.size() * g_.phase_floats) {}

  void run(const float* from, float* to) const {
    std::fill(row_, row_ + g_.row_floats, pad());
    for (size_t at = 0; at < y_.height; at++) {
      fold_rows(from, at);
      float* result = to + at * y_.pitch;
      fold_columns(result);
      if (o_.mean) divide(result, at);
    }
    clear_borders(y_, to, 0, y_.tiles);
  }

 private:
  // The value of places outside the image: for a maximum the least finite number, as in ONNX
  // Runtime.
  float pad() const { return o_.mean ? 0 : std::numeric_limits<float>::lowest(); }
  Fold how() const { return o_.mean ? Fold::sum : Fold::maximum; }

  void fold_rows(const float* from, size_t at) const {
    const Window& w = o_.window;
    const int64_t top = static_cast<int64_t>(at) * w.strides[0] - w.pads[0];
    const size_t count = taps_inside(w, 0, at, x_.height, 0, 0);
    float* to = row_ + w.pad(1);
    if (count == 0) {
      std::fill(to, to + x_.width, pad());
      return;
    }
    const int64_t first = top >= 0 ? 0 : (-top + w.dilations[0] - 1) / w.dilations[0];
    const int64_t start = top + first * w.dilations[0];  // the first row of the image with a tap
    isa_.planes->fold(to, from + static_cast<size_t>(start) * x_.pitch, g_.row_offsets.data(), count, x_.width, how());
    std::fill(to + x_.width, to + round_up(x_.width, kLane), pad());
  }

  void fold_columns(float* to) const {
    const float* from = row_;
    if (g_.step > 1) {
      for (size_t i = 0; i < g_.phases.size(); i++) {
        const size_t count = (g_.row_floats - g_.phases[i] + g_.step - 1) / g_.step;
        isa_.gather(phase_ + i * g_.phase_floats, row_ + g_.phases[i], count, g_.step);
      }
      from = phase_;
    }
    isa_.planes->fold(to, from, g_.column_offsets.data(), g_.column_offsets.size(), y_.width, how());
  }

  void divide(float* to, size_t at) const {
    const Window& w = o_.window;
    const size_t rows = taps_inside(w, 0, at, x_.height, o_.count_padding ? w.pads[0] : 0, o_.count_padding ? w.pads[2] : 0);
    // The mean of an empty window is zero.
    isa_.planes->scale(taps_, g_.column_taps.data(), static_cast<float>(rows), y_.width);
    for (size_t i = 0; i < y_.width; i++) taps_[i] = std::max(taps_[i], 1.0f);
    isa_.planes->combine(to, to, taps_, y_.width, Combine::quotient);
  }

  const PoolOptions& o_;
  const Isa& isa_;
  const Geometry& g_;
  const Planes &x_, &y_;
  float *row_, *phase_, *taps_;
};

}  // namespace

WindowPool::WindowPool(const PoolOptions& options, const Isa& isa) : options_(options), isa_(isa) {
  const Window& w = options.window;
  w.check();
  for (size_t i = 0; i < 4; i++) require(w.pads[i] < w.kernel[i % 2], "pads must be smaller than kernel_shape");
}

Planes WindowPool::result(const Planes& x) const {
  return Planes(options_.window.out_size(0, x.height), options_.window.out_size(1, x.width));
}

void WindowPool::run(const Planes& x_planes, const Planes& y_planes, size_t images, size_t channels, const float* x,
                     float* y, Parallel& parallel) const {
  write_headers(y_planes, images, channels, y);
  const Geometry geometry(options_, x_planes, y_planes);
  const size_t share = divided(channels, 8), shares = divided(channels, share), floats = geometry.scratch();
  const size_t batch = std::max<size_t>(1, kScratchFloats / times(floats, shares));
  for (size_t first = 0; first < images; first += batch) {
    const size_t count = std::min(batch, images - first);
    const Scratch scratch(times(floats, count * shares));
    parallel.each(count * shares, [&](size_t item) {
      const size_t image = first + item / shares, begin = item % shares * share;
      const PlanePool pool(options_, isa_, geometry, x_planes, y_planes, scratch.data() + item * floats);
      const View from = blocked_view(x_planes, x + image * x_planes.image(channels));
      const View to = blocked_view(y_planes, y + image * y_planes.image(channels));
      for (size_t c = begin; c < std::min(channels, begin + share); c++) pool.run(from.at(c), to.at(c));
    });
  }
}

}  // namespace pc
