// The sliding window of pools and depthwise convolutions. Its numbers come from model files and are
// checked.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace pc {

struct Window {
  std::array<int64_t, 2> kernel{1, 1}, strides{1, 1}, dilations{1, 1};
  std::array<int64_t, 4> pads{0, 0, 0, 0};  // top, left, bottom, right
  bool ceil = false;  // counts a last window that fits in part, unless it starts after the image

  // Throws if a number is out of range.
  void check() const;
  // The extent of the result along axis 0 (height) or 1 (width). Throws if the image is smaller
  // than the window.
  size_t out_size(size_t axis, size_t in) const;

  size_t kernel_size(size_t axis) const { return static_cast<size_t>(kernel[axis]); }
  size_t stride(size_t axis) const { return static_cast<size_t>(strides[axis]); }
  size_t dilation(size_t axis) const { return static_cast<size_t>(dilations[axis]); }
  size_t pad(size_t axis) const { return static_cast<size_t>(pads[axis]); }
};

}  // namespace pc
