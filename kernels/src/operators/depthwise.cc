// Every tap of the kernel reads the plane at an offset. The plane is read in place if the zeros
// around its pixels suffice. Otherwise it is copied first, to one plane per phase of the strides,
// with all zeros that the window reaches. Planes are processed one at a time, so that the copies
// stay in the cache.
#include "operators/depthwise.h"

#include <algorithm>
#include <cstring>

#include "support/scratch.h"

namespace pc {
namespace {

constexpr size_t kScratchFloats = size_t{1} << 20;  // bounds the scratch of a batch of images

// Everything that depends on the size of the images and is the same for every plane.
struct Geometry {
  bool in_place = false;
  size_t rows = 0, pitch = 0, phase_floats = 0;  // of the copies, one per phase
  struct Phase {
    size_t row, column;
  };
  std::vector<Phase> phases;
  // Per tap. In place, they count from one row and one column before the plane.
  std::vector<uint32_t> offsets;
  // Results have the pitch of the copies. If y has another pitch, they need a plane of this size
  // first.
  size_t work_floats = 0;

  Geometry(const Window& w, const Planes& x, const Planes& y) {
    in_place = is_near(w, 0) && is_near(w, 1) && x.height == y.height && x.width == y.width;
    if (in_place) {
      read_in_place(w, x);
      return;
    }
    rows = y.height + (w.kernel_size(0) - 1) * w.dilation(0) / w.stride(0);
    const size_t columns = y.width + (w.kernel_size(1) - 1) * w.dilation(1) / w.stride(1);
    pitch = std::max(columns, y.pitch);
    if (pitch > y.pitch) work_floats = round_up(plus(times(y.height - 1, pitch), y.width), kLane);
    // The last tile reads up to 15 floats beyond the plane.
    phase_floats = round_up(plus(times(rows, pitch), kLane), kLane);
    const std::vector<size_t> row_phases = phases_of(w, 0), column_phases = phases_of(w, 1);
    for (const size_t row : row_phases) {
      for (const size_t column : column_phases) phases.push_back({row, column});
    }
    require(times(phase_floats, phases.size()) < kMaxFloats, "an image is too large");
    const auto place = [](const std::vector<size_t>& all, size_t phase) {
      return static_cast<size_t>(std::lower_bound(all.begin(), all.end(), phase) - all.begin());
    };
    for (size_t i = 0; i < w.kernel_size(0); i++) {
      for (size_t j = 0; j < w.kernel_size(1); j++) {
        const size_t row = i * w.dilation(0), column = j * w.dilation(1);
        const size_t phase = place(row_phases, row % w.stride(0)) * column_phases.size() +
                             place(column_phases, column % w.stride(1));
        offsets.push_back(static_cast<uint32_t>(phase * phase_floats + row / w.stride(0) * pitch + column / w.stride(1)));
      }
    }
  }

  size_t scratch() const { return plus(phases.size() * phase_floats, work_floats); }

 private:
  // Whether every tap is within the zeros around a plane.
  static bool is_near(const Window& w, size_t axis) {
    return w.strides[axis] == 1 && w.pads[axis] <= 1 && (w.kernel[axis] - 1) * w.dilations[axis] - w.pads[axis] <= 1;
  }

  void read_in_place(const Window& w, const Planes& x) {
    for (size_t i = 0; i < w.kernel_size(0); i++) {
      for (size_t j = 0; j < w.kernel_size(1); j++) {
        const size_t row = i * w.dilation(0) + 1 - w.pad(0), column = j * w.dilation(1) + 1 - w.pad(1);
        offsets.push_back(static_cast<uint32_t>(row * x.pitch + column));
      }
    }
  }

  static std::vector<size_t> phases_of(const Window& w, size_t axis) {
    std::vector<size_t> phases;
    for (size_t k = 0; k < w.kernel_size(axis); k++) phases.push_back(k * w.dilation(axis) % w.stride(axis));
    std::sort(phases.begin(), phases.end());
    phases.erase(std::unique(phases.begin(), phases.end()), phases.end());
    return phases;
  }
};

// The places of a phase along one axis: index i of the copy is place first + (i - begin) * stride
// of the image.
struct Span {
  size_t begin, count, first;

  Span(const Window& w, size_t axis, size_t phase, size_t extent, size_t image) {
    const size_t stride = w.stride(axis), pad = w.pad(axis);
    begin = phase >= pad ? 0 : std::min(extent, divided(pad - phase, stride));
    first = begin * stride + phase - std::min(pad, begin * stride + phase);
    count = first >= image ? 0 : std::min(extent - begin, divided(image - first, stride));
  }
};

void copy_phase(const Isa& isa, const Window& w, const Geometry& g, const Geometry::Phase& phase, const Planes& x,
                const float* from, float* to) {
  const Span rows(w, 0, phase.row, g.rows, x.height), columns(w, 1, phase.column, g.pitch, x.width);
  float* const end = to + g.phase_floats;
  float* at = to;
  if (rows.count > 0 && columns.count > 0) {
    at = to + rows.begin * g.pitch + columns.begin;
    std::memset(to, 0, static_cast<size_t>(at - to) * sizeof(float));
    isa.gather_plane({.to = at,
                      .end = end,
                      .from = from + rows.first * x.pitch + columns.first,
                      .to_pitch = g.pitch,
                      .from_pitch = w.stride(0) * x.pitch,
                      .rows = rows.count,
                      .columns = columns.count,
                      .step = w.stride(1)});
    at = std::min(at + rows.count * g.pitch, end);
  }
  std::memset(at, 0, static_cast<size_t>(end - at) * sizeof(float));
}

}  // namespace

Depthwise::Depthwise(const DepthwiseOptions& options, std::span<const float> weights, std::span<const float> bias,
                     const Isa& isa)
    : options_(options), weights_(weights.begin(), weights.end()), bias_(bias.begin(), bias.end()), isa_(isa) {
  const Window& w = options.window;
  require(options.channels >= 1 && options.channels <= 1 << 24, "channels must be 1 to 16777216");
  w.check();
  const auto channels = static_cast<size_t>(options.channels);
  require(weights.size() == times(channels, times(w.kernel_size(0), w.kernel_size(1))),
          "weights must be one kernel per channel");
  require(bias.empty() || bias.size() == channels, "bias must have one value per channel");
  if (bias_.empty()) bias_.resize(channels);
}

Planes Depthwise::result(const Planes& x) const {
  return Planes(options_.window.out_size(0, x.height), options_.window.out_size(1, x.width));
}

void Depthwise::run(const Planes& x_planes, const Planes& y_planes, size_t images, const float* x, float* y,
                    Parallel& parallel) const {
  const auto channels = static_cast<size_t>(options_.channels);
  write_headers(y_planes, images, channels, y);
  const Geometry geometry(options_.window, x_planes, y_planes);
  const size_t taps = geometry.offsets.size(), floats = geometry.scratch();
  const size_t share = divided(channels, 8), shares = divided(channels, share);
  const size_t batch = std::max<size_t>(1, kScratchFloats / std::max<size_t>(1, times(floats, shares)));

  const auto plane = [&](const float* from, float* to, size_t channel, float* copies) {
    TapCall call{.offsets = geometry.offsets.data(),
                 .weights = &weights_[channel * taps],
                 .taps = taps,
                 .bias = bias_[channel],
                 .from = copies,
                 .to = to,
                 .count = y_planes.tiles * kLane,
                 .activation = options_.activation};
    if (geometry.in_place) {
      call.from = from - x_planes.pitch - 1;
    } else {
      for (const auto& phase : geometry.phases) {
        copy_phase(isa_, options_.window, geometry, phase, x_planes, from, copies);
        copies += geometry.phase_floats;
      }
    }
    if (geometry.work_floats > 0) {
      call.to = copies;
      call.count = geometry.work_floats;
    }
    isa_.planes->taps(call);
    if (geometry.work_floats > 0) {
      isa_.gather_plane({.to = to,
                         .end = to + y_planes.stride,
                         .from = copies,
                         .to_pitch = y_planes.pitch,
                         .from_pitch = geometry.pitch,
                         .rows = y_planes.height,
                         .columns = y_planes.width,
                         .step = 1});
    }
    clear_borders(y_planes, to, 0, y_planes.tiles);
  };

  for (size_t first = 0; first < images; first += batch) {
    const size_t count = std::min(batch, images - first);
    const Scratch scratch(times(floats, count * shares));
    parallel.each(count * shares, [&](size_t item) {
      const size_t image = first + item / shares, begin = item % shares * share;
      const View from = blocked_view(x_planes, x + image * x_planes.image(channels));
      const View to = blocked_view(y_planes, y + image * y_planes.image(channels));
      for (size_t c = begin; c < std::min(channels, begin + share); c++) {
        plane(from.at(c), to.at(c), c, scratch.data() + item * floats);
      }
    });
  }
}

}  // namespace pc
