// Reads attributes, inputs and outputs of nodes for the operators. All of them come from files and
// are checked.
#pragma once
#include <algorithm>
#include <array>
#include <optional>

#include "isa/activation.h"
#include "layout/images.h"
#include "program/program.h"
#include "ort/api.h"
#include "support/check.h"

namespace pc {

int64_t required(const Info&, const char* attribute);
Tensor required(const Call&, size_t input);
bool choice(const Info&, const char* attribute, const char* no, const char* yes);
bool flag(const Info&, const char* attribute, bool otherwise);  // 0 or 1
Activation activation(const Info&);
KernelChoice kernel_choice(const Info&);
// Whether layers write tile-major images here, if readers take them. Where one does not, its readers
// make their plan at the first run.
bool emits_code(KernelChoice, const Isa&);
// The attribute input_size, if there is one.
std::optional<std::array<size_t, 2>> input_size(const Info&);

template <size_t Size>
std::array<int64_t, Size> list(const Info& info, const char* attribute, std::array<int64_t, Size> otherwise) {
  const auto given = info.integers(attribute);
  if (!given) return otherwise;
  if (given->size() != Size) throw Failure(std::string("attribute '") + attribute + "' has the wrong length");
  std::copy(given->begin(), given->end(), otherwise.begin());
  return otherwise;
}

// The images of an input, in either layout.
struct Images {
  size_t count = 0, channels = 0, height = 0, width = 0;
  const float* data = nullptr;
  bool is_tile_major = false;
};

// Throws unless the tensor holds images in this layout, with this many channels (0: any). Blocked
// ones are planes, unless the operator takes either form.
Images images_of(const Tensor&, bool blocked, size_t channels, bool takes_tile_major = false);

float* blocked_output(const Call&, const Planes&, size_t images, size_t channels);
float* plain_output(const Call&, size_t images, size_t channels, size_t height, size_t width);

}  // namespace pc
