#include "operators/window.h"

#include "support/check.h"

namespace pc {

void Window::check() const {
  constexpr int64_t kMost = 1 << 16;
  const auto in = [](int64_t value, int64_t least) { return value >= least && value <= kMost; };
  for (size_t i = 0; i < 2; i++) {
    require(in(kernel[i], 1), "kernel_shape must be 1 to 65536");
    require(in(strides[i], 1), "strides must be 1 to 65536");
    require(in(dilations[i], 1), "dilations must be 1 to 65536");
    require(in(pads[i], 0) && in(pads[i + 2], 0), "pads must be 0 to 65536");
  }
}

size_t Window::out_size(size_t axis, size_t in) const {
  const auto extent = static_cast<int64_t>(in);
  const int64_t room = extent + pads[axis] + pads[axis + 2] - (kernel[axis] - 1) * dilations[axis] - 1;
  require(room >= 0, "the image is smaller than the kernel");
  int64_t out = (ceil ? room + strides[axis] - 1 : room) / strides[axis] + 1;
  if (ceil && (out - 1) * strides[axis] >= extent + pads[axis]) out--;
  return static_cast<size_t>(out);
}

}  // namespace pc
