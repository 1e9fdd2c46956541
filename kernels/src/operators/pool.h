// MaxPool and AveragePool of blocked images.
#pragma once
#include "layout/images.h"
#include "operators/window.h"
#include "support/parallel.h"

namespace pc {

struct PoolOptions {
  Window window;
  bool mean = false;           // otherwise the maximum
  bool count_padding = false;  // of means: padding counts as zeros
};

class WindowPool {
 public:
  // Throws if the options do not fit together.
  explicit WindowPool(const PoolOptions&, const Isa& = default_isa());

  Planes result(const Planes& x) const;  // throws if the size does not fit
  void run(const Planes& x_planes, const Planes& y_planes, size_t images, size_t channels, const float* x, float* y,
           Parallel&) const;

 private:
  PoolOptions options_;
  const Isa& isa_;
};

}  // namespace pc
