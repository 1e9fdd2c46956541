// A sparse MatMul:
//
//   Y[m][n] = activation(bias[n] + sum over k of X[m][k] * W[k][n] (+ addend[m][n]))
//
// Blocks of rows of X are transposed, so that rows become lanes. One plan therefore serves every
// number of rows.
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
  const Isa* isa = nullptr;         // null: default_isa()
};

struct MatMulPlan {
  std::unique_ptr<Program> program;
  size_t block = 0;       // rows of X that are transposed together
  bool by_tiles = false;  // transposed X is [tile][column][16] instead of [column][block]
};

// Everything that a plan depends on, as ConvKey.
struct MatMulKey {
  MatMulOptions options;  // with isa
  std::shared_ptr<const Weights> weights;
  std::vector<float> bias;  // one per output
};

std::shared_ptr<const MatMulPlan> make_matmul_plan(const MatMulKey&);

class MatMul {
 public:
  // Starts to make the plan on another thread; the first use waits for it. Throws if options,
  // weights and bias do not fit together. The bias has one value per output, or is empty.
  MatMul(const MatMulOptions&, std::span<const float> values, std::span<const uint8_t> bits,
         std::span<const float> bias);

  const MatMulOptions& options() const { return options_; }
  const Program& program() const { return *plan_->get()->program; }
  // X has `rows` rows. y must not be the addend.
  void run(size_t rows, const float* x, float* y, const float* addend, Parallel&) const;

 private:
  MatMulOptions options_;
  std::shared_ptr<SharedPlan<MatMulKey, MatMulPlan>> plan_;
};

}  // namespace pc
