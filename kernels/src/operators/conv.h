// A sparse convolution over images of any size: checks what the model says, keeps a plan per image size, runs it.
#pragma once
#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "program/program.h"
#include "program/shared_plan.h"
#include "support/parallel.h"

namespace pc {

struct ConvOptions {
  int64_t channels = 0, filters = 0, groups = 1;
  std::array<int64_t, 2> kernel{1, 1}, strides{1, 1}, dilations{1, 1};
  std::array<int64_t, 4> pads{0, 0, 0, 0};  // top, left, bottom, right
  Activation activation;
  bool addend = false;
  bool x_internal = false, y_internal = false;  // else NCHW
  KernelChoice kernel_choice = KernelChoice::automatic;
  const Isa* isa = nullptr;
  decltype(&make_program) make = make_program;  // tests look into what a program is told
};

struct ConvPlan;

// All that a plan depends on. Weights are compared by identity: equal ones are one object (share_weights).
struct ConvKey {
  ConvOptions options;
  std::shared_ptr<const Weights> weights;
  std::vector<float> bias;  // one per filter
  size_t height, width;
};

class Conv {
 public:
  // Throws on anything that does not fit together. Bias is one per filter, or empty.
  Conv(const ConvOptions&, std::span<const float> values, std::span<const uint8_t> bits, std::span<const float> bias);
  ~Conv();

  const ConvOptions& options() const { return options_; }

  // The plan for images of this size: made now, or one of the last few made. Throws where the size does not fit.
  std::shared_ptr<const ConvPlan> plan(size_t height, size_t width);
  // Checks the size, and begins to make that plan on another thread.
  void prepare(size_t height, size_t width);

  // x, y and addend hold `images` images each, in their layouts; none is a header, where internal. y may be addend.
  void run(const ConvPlan&, size_t images, const float* x, float* y, const float* addend, Parallel&) const;

 private:
  using Plan = SharedPlan<ConvKey, ConvPlan>;
  friend std::shared_ptr<const ConvPlan> make_plan(const ConvKey&);
  explicit Conv(const ConvKey&);

  const std::shared_ptr<Plan>& shared(size_t height, size_t width);
  std::pair<std::shared_ptr<ConvPlan>, std::vector<uint32_t>> lay_out(size_t height, size_t width) const;
  std::shared_ptr<const ConvPlan> make_plan(size_t height, size_t width) const;
  std::vector<uint32_t> lay_taps(ConvPlan&) const;
  void gather(const ConvPlan&, const float* x, float* to, size_t channel) const noexcept;

  ConvOptions options_;
  std::shared_ptr<const Weights> weights_;
  std::vector<float> bias_;
  std::mutex mutex_;
  std::list<std::shared_ptr<Plan>> plans_;  // the latest first
};

std::shared_ptr<const ConvPlan> make_plan(const ConvKey&);

// What depends on the size of the images.
struct ConvPlan {
  size_t height = 0, width = 0;          // of x
  size_t out_height = 0, out_width = 0;  // of y
  Planes x, y;                           // where those are internal
  size_t x_image = 0, y_image = 0;       // floats per image as given
  Planes work;                           // the planes that the program writes
  bool direct_x = false, direct_y = false;

  // Where x is gathered first: every channel as one plane per phase of the stride, with zeros around.
  struct Phase {
    size_t row, column;
  };
  std::vector<Phase> phases;
  size_t phase_lead = 0, phase_stride = 0, phase_rows = 0, phase_columns = 0, source_image = 0;

  // How work is cut: chunks of this many tiles (of all images in one row), by groups of rows too where there are few.
  size_t chunk(size_t images) const;
  bool by_rows() const;
  size_t source_channels = 0;  // planes of x, phases included
  size_t chunk_floats = 0;     // of x that a piece of work reads again and again

  std::unique_ptr<Program> program;
};

}  // namespace pc
