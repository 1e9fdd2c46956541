// A sparse MatMul: Y[m][n] = activation(sum over k of X[m][k] * W[k][n] + bias[n] (+ addend[m][n])).
// Rows of X are taken in blocks, turned so that they lie in the lanes; code is therefore the same for every size.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "program/program.h"
#include "program/shared_plan.h"
#include "support/parallel.h"

namespace pc {

struct MatMulOptions {
  int64_t inputs = 0, outputs = 0;  // K, N
  bool transposed = false;          // W is [N, K] instead of [K, N]
  Activation activation;
  KernelChoice kernel_choice = KernelChoice::automatic;
  const Isa* isa = nullptr;
};

struct MatMulPlan {
  std::unique_ptr<Program> program;
  size_t block = 0;       // rows of X that are turned together
  bool by_tiles = false;  // turned X lies as [tile][column][16] instead of [column][block]
};

// All that it depends on, as for convolutions.
struct MatMulKey {
  MatMulOptions options;
  std::shared_ptr<const Weights> weights;
  std::vector<float> bias;  // one per output
};

std::shared_ptr<const MatMulPlan> make_plan(const MatMulKey&);

class MatMul {
 public:
  // Its plan is made on another thread, and awaited when it is needed.
  MatMul(const MatMulOptions&, std::span<const float> values, std::span<const uint8_t> bits,
         std::span<const float> bias);

  const MatMulOptions& options() const { return options_; }
  const Program& program() const { return *plan_->get()->program; }
  // y must not be the addend.
  void run(size_t rows, const float* x, float* y, const float* addend, Parallel&) const;

 private:
  MatMulOptions options_;
  std::shared_ptr<SharedPlan<MatMulKey, MatMulPlan>> plan_;
};

}  // namespace pc
