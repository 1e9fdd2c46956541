// Images in the plain (NCHW) and the blocked layout: headers, views, and copies from one to the
// other.
#pragma once
#include "isa/isa.h"
#include "layout/blocked.h"

namespace pc {

// Planes in memory: channel c, row y, column x is at data + c * stride + y * pitch + x.
struct View {
  const float* data;
  size_t stride, pitch;
  float* at(size_t channel) const { return const_cast<float*>(data) + channel * stride; }
};

inline View blocked_view(const Planes& planes, const float* image) {
  return {.data = image + planes.origin(), .stride = planes.stride, .pitch = planes.pitch};
}

inline View plain_view(const Planes& planes, const float* image) {
  return {.data = image, .stride = planes.height * planes.width, .pitch = planes.width};
}

// An image in either layout; no image gives a view of nothing.
inline View image_view(bool blocked, const Planes& planes, const float* image) {
  if (image == nullptr) return {.data = nullptr, .stride = 0, .pitch = 0};
  return blocked ? blocked_view(planes, image) : plain_view(planes, image);
}

// Writes the header of each image, and the lead of images in planes; of no images, one header.
void write_headers(const Planes&, size_t images, size_t channels, float* data, Form = Form::planes);

// Checks that a tensor [rows, floats] is in the blocked layout, with this many channels (0: any),
// in every image. Returns the header that all images share.
Header read_header(const float* data, size_t rows, size_t floats, size_t channels);

// Where a tile of a channel starts in a tile-major image.
inline size_t tile_major_at(size_t channels, size_t tile, size_t channel) {
  return kHeader + (tile * channels + channel) * kLane;
}

// Where the pixels of an image lie, in floats: channel c of tile t at origin + c * stride + t * tile.
struct Placement {
  size_t origin, stride, tile;
};

inline Placement placement(const Planes& planes, size_t channels, Form form) {
  if (form == Form::planes) return {.origin = planes.origin(), .stride = planes.stride, .tile = kLane};
  return {.origin = kHeader, .stride = kLane, .tile = channels * kLane};
}

// Copies one channel of a tile-major image to the planes of another image, zeros after it included.
void move_to_planes(const Planes&, size_t channels, size_t channel, const float* tile_major, float* planes) noexcept;

// Copies one channel from `from` to `to`. With an addend, adds it and applies the activation. With
// `clean`, writes the zeros around the pixels as well.
void move_plane(const Isa&, const Planes&, const View& from, size_t channel, const View& to, const View* addend,
                Activation, bool clean) noexcept;

// Zeros every float that is not a pixel in tiles [first, last) of one plane; after the last tile,
// up to the next plane.
void clear_borders(const Planes&, float* plane, size_t first, size_t last) noexcept;

}  // namespace pc
