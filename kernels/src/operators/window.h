// Windows that slide over an image, as pools and depthwise convolutions have them; checked, because they stand in a file.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace pc {

struct Window {
  std::array<int64_t, 2> kernel{1, 1}, strides{1, 1}, dilations{1, 1};
  std::array<int64_t, 4> pads{0, 0, 0, 0};  // top, left, bottom, right
  bool ceil = false;  // a last window that does not fit wholly counts, unless it would begin behind the image

  // Throws where a number is out of bounds.
  void check() const;
  // The extent of the result along axis 0 (height) or 1 (width). Throws where the image is smaller than the window.
  size_t out_size(size_t axis, size_t in) const;

  size_t kernel_size(size_t axis) const { return static_cast<size_t>(kernel[axis]); }
  size_t stride(size_t axis) const { return static_cast<size_t>(strides[axis]); }
  size_t dilation(size_t axis) const { return static_cast<size_t>(dilations[axis]); }
  size_t pad(size_t axis) const { return static_cast<size_t>(pads[axis]); }
};

}  // namespace pc
