#include "operators/planewise.h"

#include <algorithm>
#include <cstring>

namespace pc {
namespace {

// Calls work(image, channel) for all planes. A piece of work is some channels of one image.
template <typename Work>
void each_plane(size_t images, size_t channels, Parallel& parallel, const Work& work) {
  const size_t share = std::max<size_t>(1, (channels + 7) / 8), shares = (channels + share - 1) / share;
  parallel.each(images * shares, [&](size_t item) {
    const size_t begin = item % shares * share;
    for (size_t c = begin; c < std::min(channels, begin + share); c++) work(item / shares, c);
  });
}

}  // namespace

void run_planewise(const PlaneWork& work, const Planes& planes, size_t images, size_t channels, const float* a,
                   const float* b, float* y, Parallel& parallel) {
  write_headers(planes, images, channels, y);
  const size_t floats = planes.tiles * kLane, image = planes.image(channels);
  const PlaneRoutines& routines = *work.isa->planes;
  each_plane(images, channels, parallel, [&](size_t n, size_t c) {
    const size_t at = n * image + planes.origin() + c * planes.stride;
    switch (work.kind) {
      case PlaneWork::Kind::activate:
        if (a != y) std::memcpy(y + at, a + at, floats * sizeof(float));
        break;
      case PlaneWork::Kind::sum:
        routines.combine(y + at, a + at, b + at, floats, Combine::sum);
        break;
      case PlaneWork::Kind::product:
        routines.combine(y + at, a + at, b + at, floats, Combine::product);
        break;
      case PlaneWork::Kind::scale:
        routines.scale(y + at, a + at, b[n * channels + c], floats);
        break;
    }
    if (work.activation.kind != ActivationKind::none) work.isa->activate(y + at, floats, work.activation);
    // Floats that are not pixels may have changed: infinity times 0, or an activation that maps 0
    // elsewhere.
    clear_borders(planes, y + at, 0, planes.tiles);
  });
}

void run_concat(const Planes& planes, size_t images, std::span<const Part> parts, float* y, Parallel& parallel) {
  size_t channels = 0;
  for (const Part& part : parts) channels = plus(channels, part.channels);
  write_headers(planes, images, channels, y);
  parallel.each(images * parts.size(), [&](size_t item) {
    const size_t n = item / parts.size(), index = item % parts.size();
    size_t before = 0;
    for (size_t i = 0; i < index; i++) before += parts[i].channels;
    const Part& part = parts[index];
    std::memcpy(y + n * planes.image(channels) + planes.origin() + before * planes.stride,
                part.data + n * planes.image(part.channels) + planes.origin(),
                part.channels * planes.stride * sizeof(float));
  });
}

void run_global_average(const Planes& planes, size_t images, size_t channels, const float* x, float* y, const Isa& isa,
                        Parallel& parallel) {
  const auto pixels = static_cast<double>(planes.height * planes.width);
  each_plane(images, channels, parallel, [&](size_t n, size_t c) {
    const float* plane = x + n * planes.image(channels) + planes.origin() + c * planes.stride;
    // Floats that are not pixels are zero and add nothing.
    y[n * channels + c] = static_cast<float>(isa.planes->sum(plane, planes.tiles * kLane) / pixels);
  });
}

const float* in_planes(const Planes& planes, size_t images, size_t channels, const float* tile_major, float* to,
                       Parallel& parallel) {
  write_headers(planes, images, channels, to);
  const size_t image = planes.image(channels);
  each_plane(images, channels, parallel, [&](size_t n, size_t c) {
    move_to_planes(planes, channels, c, tile_major + n * image, to + n * image);
  });
  return to;
}

void run_upsample(const Planes& x_planes, const Planes& y_planes, size_t images, size_t channels, const float* x,
                  float* y, const Isa& isa, Parallel& parallel) {
  write_headers(y_planes, images, channels, y);
  each_plane(images, channels, parallel, [&](size_t n, size_t c) {
    const View from = blocked_view(x_planes, x + n * x_planes.image(channels));
    const View to = blocked_view(y_planes, y + n * y_planes.image(channels));
    for (size_t row = 0; row < x_planes.height; row++) {
      float* first = to.at(c) + 2 * row * to.pitch;
      isa.planes->upsample(first, from.at(c) + row * from.pitch, x_planes.width);
      std::memcpy(first + to.pitch, first, y_planes.width * sizeof(float));
    }
    clear_borders(y_planes, to.at(c), 0, y_planes.tiles);
  });
}

}  // namespace pc
