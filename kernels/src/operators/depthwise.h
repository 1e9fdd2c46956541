// Depthwise convolutions of blocked images. All weights are kept.
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
  // Throws if options, weights and bias do not fit together. The bias has one value per channel, or
  // is empty.
  Depthwise(const DepthwiseOptions&, std::span<const float> weights, std::span<const float> bias,
            const Isa& = default_isa());

  const DepthwiseOptions& options() const { return options_; }
  Planes result(const Planes& x) const;  // throws if the size does not fit
  void run(const Planes& x_planes, const Planes& y_planes, size_t images, const float* x, float* y, Parallel&) const;

 private:
  DepthwiseOptions options_;
  std::vector<float> weights_, bias_;
  const Isa& isa_;
};

}  // namespace pc
