#include "layout/images.h"

#include <algorithm>
#include <cstring>

namespace pc {

void write_headers(const Planes& planes, size_t images, size_t channels, float* data, Form form) {
  Header header{};
  header.magic = kMagic;
  header.version = 1;
  header.images = static_cast<uint32_t>(images);
  header.channels = static_cast<uint32_t>(channels);
  header.height = static_cast<uint32_t>(planes.height);
  header.width = static_cast<uint32_t>(planes.width);
  header.form = static_cast<uint32_t>(form);
  std::memcpy(data, &header, sizeof header);
  for (size_t i = 0; i < images; i++) {
    float* image = data + i * planes.image(channels);
    std::memcpy(image, &header, sizeof header);
    if (form == Form::planes) std::memset(image + kHeader, 0, planes.lead * sizeof(float));
  }
}

Header read_header(const float* data, size_t rows, size_t floats, size_t channels) {
  Header header{};
  require(rows >= 1 && floats >= kHeader, "an input is not in the internal layout");
  std::memcpy(&header, data, sizeof header);
  require(header.magic == kMagic && header.version == 1 && header.form <= 1, "an input is not in the internal layout");
  require(header.channels >= 1 && (channels == 0 || header.channels == channels),
          "an input has another number of channels");
  const size_t image = Planes(header.height, header.width).image(header.channels);
  const bool fits = header.images == 0 ? rows == 1 && floats == kHeader : rows == header.images && floats == image;
  require(fits, "an input's size is not that of its layout");
  for (size_t i = 1; i < header.images; i++) {
    require(std::memcmp(data + i * image, &header, sizeof header) == 0, "the images of an input have different headers");
  }
  return header;
}

void move_to_planes(const Planes& p, size_t channels, size_t channel, const float* tile_major, float* planes) noexcept {
  float* const plane = planes + p.origin() + channel * p.stride;
  for (size_t tile = 0; tile < p.tiles; tile++) {
    std::memcpy(plane + tile * kLane, tile_major + tile_major_at(channels, tile, channel), kLane * sizeof(float));
  }
  std::memset(plane + p.tiles * kLane, 0, (p.stride - p.tiles * kLane) * sizeof(float));
}

void move_plane(const Isa& isa, const Planes& planes, const View& from, size_t channel, const View& to,
                const View* addend, Activation activation, bool clean) noexcept {
  for (size_t y = 0; y < planes.height; y++) {
    float* row = to.at(channel) + y * to.pitch;
    const float* source = from.at(channel) + y * from.pitch;
    if (addend == nullptr) {
      isa.gather(row, source, planes.width, 1);
      continue;
    }
    const float* other = addend->at(channel) + y * addend->pitch;
    for (size_t x = 0; x < planes.width; x++) row[x] = source[x] + other[x];
    isa.activate(row, planes.width, activation);
  }
  if (clean) clear_borders(planes, to.at(channel), 0, planes.tiles);
}

void clear_borders(const Planes& planes, float* plane, size_t first, size_t last) noexcept {
  const size_t begin = first * kLane, end = last * kLane;
  const size_t pixels_end = (planes.height - 1) * planes.pitch + planes.width;
  for (size_t y = begin / planes.pitch; y < planes.height; y++) {
    const size_t from = std::max(begin, y * planes.pitch + planes.width);
    const size_t to = std::min({end, (y + 1) * planes.pitch, planes.tiles * kLane});
    if (y * planes.pitch + planes.width >= end) break;
    for (size_t i = from; i < to; i++) plane[i] = 0;
  }
  const size_t tail = std::max(begin, std::min(pixels_end, end));
  const size_t stop = last == planes.tiles ? planes.stride : end;
  if (tail >= pixels_end) std::memset(plane + tail, 0, (stop - tail) * sizeof(float));
}

}  // namespace pc
