// A random layer, as a program is told of it.
#pragma once
#include "emitted_code.h"
#include "support.h"

namespace test {

struct Layer {
  pc::Matrix matrix;
  std::vector<uint32_t> offsets;
  std::vector<float> bias;
  pc::Planes planes;  // where results go, if those are cleaned
  pc::ProgramSpec spec;
  std::vector<float> x, y, addend;
  bool in_place = false;  // y lies where the addend does

  // With `usual`, no weight or input is one of the special numbers, and some weight is kept.
  Layer(Random&, bool usual);
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  // Of a row, that mean something.
  size_t pixels() const { return spec.clean != nullptr ? planes.height * planes.width : spec.tiles * pc::kLane; }

  // With `to` instead of y.
  Images images(std::vector<float>& to) const {
    return {x, to, !spec.addend ? std::span<const float>() : in_place ? std::span<const float>(to) : addend};
  }

 private:
  void lay_convolution(Random&);
  void lay_multiplication(Random&);
  void draw_matrix(Random&, size_t columns, size_t groups, bool usual);
};

}  // namespace test
