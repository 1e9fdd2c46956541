#include "layout/images.h"

#include <cstring>

#include "program/program.h"

namespace pc {

void write_headers(const Planes& planes, size_t images, size_t channels, float* data) {
  Header header{};
  header.magic = kMagic;
  header.version = 1;
  header.images = static_cast<uint32_t>(images);
  header.channels = static_cast<uint32_t>(channels);
  header.height = static_cast<uint32_t>(planes.height);
  header.width = static_cast<uint32_t>(planes.width);
  std::memcpy(data, &header, sizeof header);
  for (size_t i = 0; i < images; i++) {
    float* image = data + i * planes.image(channels);
    std::memcpy(image, &header, sizeof header);
    std::memset(image + kHeader, 0, planes.lead * sizeof(float));
  }
}

Header read_header(const float* data, size_t rows, size_t floats, size_t channels) {
  Header header{};
  require(rows >= 1 && floats >= kHeader, "an input is not in the internal layout");
  std::memcpy(&header, data, sizeof header);
  require(header.magic == kMagic && header.version == 1, "an input is not in the internal layout");
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

}  // namespace pc
