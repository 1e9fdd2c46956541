// Convolutions of each channel with a kernel of its own, on images in the internal layout. No weight is left out.
#pragma once
#include <span>
#include <vector>

#include "layout/images.h"
#include "operators/window.h"
#include "support/parallel.h"

namespace pc {

struct DepthwiseOptions {
  int64_t channels = 0;
  Window window;
  Activation activation;
};

class Depthwise {
 public:
  // Throws on anything that does not fit together. Bias is one per channel, or empty.
  Depthwise(const DepthwiseOptions&, std::span<const float> weights, std::span<const float> bias,
            const Isa& = default_isa());

  const DepthwiseOptions& options() const { return options_; }
  Planes result(const Planes& x) const;  // throws where the size does not fit
  void run(const Planes& x_planes, const Planes& y_planes, size_t images, const float* x, float* y, Parallel&) const;

 private:
  DepthwiseOptions options_;
  std::vector<float> weights_, bias_;
  const Isa& isa_;
};

}  // namespace pc
