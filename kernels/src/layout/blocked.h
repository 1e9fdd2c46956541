// The blocked layout (`internal` in models): the channels of an image are planes whose rows share
// one zero column, so that a 3x3 convolution reads neighbours without testing for borders.
//
//   image  = header (16 floats) | lead (zeros) | plane 0 | plane 1 | ...
//   plane  = 16 * tiles floats of pixels, then zeros up to the stride
//   pixel (c, y, x) = header + lead + c * stride + y * pitch + x
//
// The tile-major form has the tiles of all channels next to each other instead, without zeros around
// the image. Convolutions with 1x1 kernels alone read it: no tile needs its neighbours, and what a
// program reads at a time is contiguous.
//
//   image  = header (16 floats) | tile 0 of all channels | tile 1 of all channels | ...
//   pixel (c, y, x) = header + (p / 16 * channels + c) * 16 + p % 16, where p = y * pitch + x
//
// An image takes as many floats in either form. Every float of a plane or tile that is not a pixel is
// zero. All parts are multiples of 16 floats (one cache line).
// The stride is an odd number of lines, so that planes do not all start in the same cache set.
#pragma once
#include "support/check.h"

namespace pc {

inline constexpr size_t kLane = 16;    // pixels of a tile, floats of a cache line
inline constexpr size_t kHeader = 16;  // floats

// The layout of planes of height x width pixels. `gap` is the number of zero columns between rows.
struct Planes {
  size_t height = 0, width = 0;
  size_t pitch = 0, tiles = 0, lead = 0, stride = 0;

  Planes() = default;
  Planes(size_t height_, size_t width_, size_t gap = 1) : height(height_), width(width_) {
    require(height >= 1 && width >= 1, "an image has no pixels");
    require(times(plus(width, gap + kLane), plus(height, 2)) < kMaxFloats, "an image is too large");
    pitch = width + gap;
    const size_t wide = round_up(pitch, kLane);  // aligned rows, if they cost no tile
    if (tiles_at(wide) <= tiles_at(pitch)) pitch = wide;
    tiles = tiles_at(pitch);
    lead = round_up(pitch + 1, kLane);
    stride = tiles * kLane + lead;
    if (stride / kLane % 2 == 0) stride += kLane;
  }

  size_t image(size_t channels) const { return plus(kHeader + lead, times(channels, stride)); }
  size_t origin() const { return kHeader + lead; }

  // Bit i is set if lane i of the tile is a pixel.
  uint16_t mask(size_t tile) const {
    unsigned bits = 0;
    for (size_t i = 0; i < kLane; i++) {
      const size_t at = tile * kLane + i;
      if (at % pitch < width && at / pitch < height) bits |= 1u << i;
    }
    return static_cast<uint16_t>(bits);
  }

 private:
  size_t tiles_at(size_t p) const { return ((height - 1) * p + width + kLane - 1) / kLane; }
};

enum class Form : uint32_t { planes, tile_major };

// The header of a blocked image. Tensors carry their size, so heights and widths may change from
// run to run. The header is input data and is checked before use. A tensor of no images is one
// header.
struct Header {
  uint32_t magic, version, images, channels, height, width;
  uint32_t form;  // Form
  uint32_t unused[9];
};
static_assert(sizeof(Header) == kHeader * sizeof(float));
inline constexpr uint32_t kMagic = 0x50434c59;

}  // namespace pc
