// Attributes, inputs and outputs of nodes as the operators want them; all of it comes from files and is checked.
#pragma once
#include <algorithm>
#include <array>

#include "isa/activation.h"
#include "layout/images.h"
#include "ort/api.h"
#include "support/check.h"

namespace pc {

int64_t needed(const Info&, const char* attribute);
Tensor needed(const Call&, size_t input);
bool choice(const Info&, const char* attribute, const char* no, const char* yes);
bool flag(const Info&, const char* attribute, bool otherwise);  // 0 or 1
Activation activation(const Info&);

template <size_t Size>
std::array<int64_t, Size> list(const Info& info, const char* attribute, std::array<int64_t, Size> otherwise) {
  const auto given = info.integers(attribute);
  if (!given) return otherwise;
  if (given->size() != Size) throw Failure(std::string("attribute '") + attribute + "' has the wrong length");
  std::copy(given->begin(), given->end(), otherwise.begin());
  return otherwise;
}

// Images as some input or output has them.
struct Images {
  size_t count = 0, channels = 0, height = 0, width = 0;
  const float* data = nullptr;
};

// Throws unless the tensor holds images in this layout with this many channels (0: any).
Images images_of(const Tensor&, bool internal, size_t channels);

float* internal_output(const Call&, const Planes&, size_t images, size_t channels);
float* plain_output(const Call&, size_t images, size_t channels, size_t height, size_t width);

}  // namespace pc
