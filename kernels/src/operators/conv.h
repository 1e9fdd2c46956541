// A sparse convolution over images of any size: checks its options, keeps one plan per image size,
// runs it. conv_plan.h describes the plans.
#pragma once
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "operators/conv_plan.h"
#include "program/shared_plan.h"
#include "support/parallel.h"

namespace pc {

class Conv {
 public:
  // Throws if options, weights and bias do not fit together. The bias has one value per filter, or
  // is empty.
  Conv(const ConvOptions&, std::span<const float> values, std::span<const uint8_t> bits, std::span<const float> bias);

  const ConvOptions& options() const { return options_; }
  // The key of the plan for images of this size.
  ConvKey key(size_t height, size_t width, TileMajor tile_major = {}) const {
    return {.options = options_,
            .weights = weights_,
            .bias = bias_,
            .height = height,
            .width = width,
            .tile_major = tile_major};
  }

  // The plan for images of this size and form; made now unless it is one of the last few. Throws if
  // the size does not fit.
  std::shared_ptr<const ConvPlan> plan(size_t height, size_t width, TileMajor tile_major = {});
  // Checks the size and starts to make that plan on another thread.
  void prepare(size_t height, size_t width, TileMajor tile_major = {});

  // x, y and addend hold `images` images each, in their layouts. A blocked tensor of no images is
  // one header. y may be the addend.
  void run(const ConvPlan&, size_t images, const float* x, float* y, const float* addend, Parallel&) const;

 private:
  using Plan = SharedPlan<ConvKey, ConvPlan>;

  const std::shared_ptr<Plan>& cached(size_t height, size_t width, TileMajor);
  void gather(const ConvPlan&, const float* x, float* to, size_t channel) const noexcept;

  ConvOptions options_;
  std::shared_ptr<const Weights> weights_;
  std::vector<float> bias_;
  std::mutex mutex_;
  std::list<std::shared_ptr<Plan>> plans_;  // the most recently used first
};

}  // namespace pc
