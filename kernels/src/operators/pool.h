// Maxima and means over windows of images in the internal layout.
#pragma once
#include "layout/images.h"
#include "operators/window.h"
#include "support/parallel.h"

namespace pc {

struct PoolOptions {
  Window window;
  bool mean = false;  // else the maximum
  bool count_padding = false;  // of means: places in the padding count as zeros
};

class WindowPool {
 public:
  // Throws on anything that does not fit together.
  explicit WindowPool(const PoolOptions&, const Isa& = default_isa());

  Planes result(const Planes& x) const;  // throws where the size does not fit
  void run(const Planes& x_planes, const Planes& y_planes, size_t images, size_t channels, const float* x, float* y,
           Parallel&) const;

 private:
  PoolOptions options_;
  const Isa& isa_;
};

}  // namespace pc
