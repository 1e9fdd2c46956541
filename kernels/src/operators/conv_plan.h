// The plan of a sparse convolution: everything about it that depends on the size of the images.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "program/program.h"

namespace pc {

struct ConvOptions {
  int64_t channels = 0, filters = 0, groups = 1;
  std::array<int64_t, 2> kernel{1, 1}, strides{1, 1}, dilations{1, 1};
  std::array<int64_t, 4> pads{0, 0, 0, 0};  // top, left, bottom, right
  Activation activation;
  bool addend = false;
  bool x_blocked = false, y_blocked = false;  // otherwise NCHW
  // Every reader of y takes tile-major images. The kernel decides whether it writes them.
  bool may_write_tiles = false;
  KernelChoice kernel_choice = KernelChoice::automatic;
  const Isa* isa = nullptr;  // null: default_isa()
};

// The inputs that are tile-major.
struct TileMajor {
  bool x = false, addend = false;
  bool operator==(const TileMajor&) const = default;
};

// Everything that a plan depends on. Weights are compared by identity: cached_weights makes equal
// ones one object.
struct ConvKey {
  ConvOptions options;  // with isa
  std::shared_ptr<const Weights> weights;
  std::vector<float> bias;  // one per filter
  size_t height, width;
  TileMajor tile_major;
};

struct ConvPlan {
  size_t height = 0, width = 0;          // of x
  size_t out_height = 0, out_width = 0;  // of y
  Planes x, y;                           // if those are blocked
  size_t x_image = 0, y_image = 0;       // floats per image of x and y
  Planes work;                           // the planes that the program writes
  bool direct_x = false;                 // the program reads x in place
  bool direct_y = false;                 // the program writes y in place
  Form y_form = Form::planes;
  // Tile-major inputs that the program cannot read become planes first.
  bool converts_x = false, converts_addend = false;

  // Without direct_x, x is gathered first: every channel becomes one plane per phase of the stride,
  // with zeros around the pixels.
  struct Phase {
    size_t row, column;
  };
  std::vector<Phase> phases;
  // Of a tile-major x, tiles are collected instead. By tile: what it takes from tiles of x.
  std::vector<std::vector<TilePart>> parts;
  size_t phase_lead = 0, phase_stride = 0, phase_rows = 0, phase_columns = 0, source_image = 0;

  // Work is cut into chunks of this many tiles, over all images. Small images are cut by groups of
  // rows as well.
  size_t chunk(size_t images) const;
  bool by_rows() const;
  size_t source_channels = 0;  // planes of x, phases included
  size_t chunk_floats = 0;     // floats of x that a piece of work reads repeatedly

  std::unique_ptr<Program> program;
};

// Throws if images of this size do not fit the kernel or are too large.
void check_image_size(const ConvOptions&, size_t height, size_t width);

std::shared_ptr<const ConvPlan> make_conv_plan(const ConvKey&);
// With another maker of programs: tests examine the specification that it gets.
std::shared_ptr<const ConvPlan> make_conv_plan(const ConvKey&, decltype(&make_program));

}  // namespace pc
