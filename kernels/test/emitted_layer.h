// A random layer, as the specification of a program.
#pragma once
#include "emitted_code.h"
#include "support.h"

namespace test {

struct Layer {
  pc::Matrix matrix;
  std::vector<uint32_t> offsets;
  std::vector<float> bias;
  pc::Planes planes;  // of the results, with spec.clean
  pc::ProgramSpec spec;
  std::vector<float> x, y, addend;
  bool in_place = false;  // y is the addend

  // With `usual`, no weight or input is a special number, and some weight is kept.
  Layer(Random&, bool usual);
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  // The number of meaningful floats of a row.
  size_t pixels() const { return spec.clean != nullptr ? planes.height * planes.width : spec.tiles * pc::kLane; }

  // The images, with `to` instead of y.
  Images images(std::vector<float>& to) const {
    return {x, to, !spec.addend ? std::span<const float>() : in_place ? std::span<const float>(to) : addend};
  }

 private:
  void lay_convolution(Random&);
  void lay_tiles(Random&);
  void lay_multiplication(Random&);
  void draw_matrix(Random&, size_t columns, size_t groups, bool usual);
};

}  // namespace test
