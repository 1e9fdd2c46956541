// Moving images between layouts.
#pragma once
#include "isa/isa.h"
#include "layout/blocked.h"

namespace pc {

// Planes somewhere in memory: channel c, row y, column x at data + c * stride + y * pitch + x.
struct View {
  const float* data;
  size_t stride, pitch;
  float* at(size_t channel) const { return const_cast<float*>(data) + channel * stride; }
};

// An image as it is given: internal, or NCHW.
inline View view(bool internal, const Planes& planes, const float* image) {
  if (image == nullptr) return {nullptr, 0, 0};
  if (internal) return {image + planes.origin(), planes.stride, planes.pitch};
  return {image, planes.height * planes.width, planes.width};
}

// Header and lead of `images` images; of none, a header alone.
void write_headers(const Planes&, size_t images, size_t channels, float* data);

// Checks that a tensor [rows, floats] is in the internal layout with this many channels (0: any), every image of it;
// returns the header that they have in common.
Header read_header(const float* data, size_t rows, size_t floats, size_t channels);

// One channel from `from` to `to`. With an addend, that is added and the activation done on the way; zeros around the
// pixels are written where `clean`.
void move_plane(const Isa&, const Planes&, const View& from, size_t channel, const View& to, const View* addend,
                Activation, bool clean) noexcept;

}  // namespace pc
