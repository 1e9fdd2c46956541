#include "ort/sparse_nodes.h"

#include "operators/conv.h"
#include "operators/matmul.h"
#include "ort/values.h"

namespace pc {
namespace {

struct SparseInputs {
  Tensor values, bits;
  std::optional<Tensor> bias;
  std::span<const float> bias_floats() const { return bias ? bias->floats() : std::span<const float>{}; }
};

SparseInputs sparse_inputs(const Info& info) {
  const auto values = info.constant(1), bits = info.constant(2);
  require(values.has_value() && bits.has_value(), "values and bits must be constants (initializers)");
  return {.values = *values, .bits = *bits, .bias = info.constant(3)};
}

class SparseConv final : public Node {
 public:
  explicit SparseConv(const Info& info) : has_bias_(info.constant(3).has_value()), conv_(make(info)) {
    TileMajor expected{.x = flag(info, "x_tile_major", false), .addend = flag(info, "residual_tile_major", false)};
    if (!emits_code(conv_->options().kernel_choice, *conv_->options().isa)) expected = {};
    if (const auto size = input_size(info)) conv_->prepare((*size)[0], (*size)[1], expected);
  }

  void compute(const Call& call) override {
    const ConvOptions& o = conv_->options();
    const auto filters = static_cast<size_t>(o.filters);
    require(has_bias_ || !call.input(3).has_value(), "bias must be a constant (an initializer)");
    const Images x = images_of(required(call, 0), o.x_blocked, static_cast<size_t>(o.channels), true);
    const Images other = o.addend ? images_of(required(call, 4), o.y_blocked, filters, true) : Images{};
    const auto plan = conv_->plan(x.height, x.width, {.x = x.is_tile_major, .addend = other.is_tile_major});
    const float* addend = nullptr;
    if (o.addend) {
      require(other.count == x.count && other.height == plan->out_height && other.width == plan->out_width,
              "the residual has another shape than the result");
      addend = other.data;
    }
    float* y = o.y_blocked ? blocked_output(call, plan->y, x.count, filters)
                           : plain_output(call, x.count, filters, plan->out_height, plan->out_width);
    OrtThreads threads(call);
    conv_->run(*plan, x.count, x.data, y, addend, threads);
  }

 private:
  static std::unique_ptr<Conv> make(const Info& info) {
    ConvOptions o;
    o.channels = required(info, "channels");
    o.filters = required(info, "filters");
    o.groups = info.integer("group").value_or(1);
    o.kernel = list<2>(info, "kernel_shape", o.kernel);
    o.strides = list<2>(info, "strides", o.strides);
    o.dilations = list<2>(info, "dilations", o.dilations);
    o.pads = list<4>(info, "pads", o.pads);
    o.activation = activation(info);
    o.x_blocked = choice(info, "x_layout", "NCHW", "internal");
    o.y_blocked = choice(info, "y_layout", "NCHW", "internal");
    o.may_write_tiles = flag(info, "y_tile_major", false);
    o.addend = info.inputs() > 4;
    o.kernel_choice = kernel_choice(info);
    const SparseInputs in = sparse_inputs(info);
    return std::make_unique<Conv>(o, in.values.floats(), in.bits.bytes(), in.bias_floats());
  }

  bool has_bias_;
  std::unique_ptr<Conv> conv_;
};

class SparseMatMul final : public Node {
 public:
  explicit SparseMatMul(const Info& info)
      : has_bias_(info.constant(3).has_value()), has_addend_(info.inputs() > 4), matmul_(make(info)) {}

  void compute(const Call& call) override {
    const auto inputs = matmul_->options().inputs, outputs = matmul_->options().outputs;
    require(has_bias_ || !call.input(3).has_value(), "bias must be a constant (an initializer)");
    const Tensor x = required(call, 0);
    require(!x.shape.empty() && x.shape.back() == inputs, "the last axis of X is not as long as the weights' inputs");
    const size_t rows = x.floats().size() / static_cast<size_t>(inputs);
    std::vector<int64_t> shape = x.shape;
    shape.back() = outputs;
    const float* addend = nullptr;
    if (has_addend_) {
      const Tensor other = required(call, 4);
      require(other.shape == shape, "the residual has another shape than the result");
      addend = other.floats().data();
    }
    float* y = call.output(0, shape);
    OrtThreads threads(call);
    matmul_->run(rows, x.floats().data(), y, addend, threads);
  }

 private:
  static std::unique_ptr<MatMul> make(const Info& info) {
    MatMulOptions o;
    o.inputs = required(info, "in_features");
    o.outputs = required(info, "out_features");
    o.transposed = flag(info, "transB", false);
    o.activation = activation(info);
    o.kernel_choice = kernel_choice(info);
    const SparseInputs in = sparse_inputs(info);
    return std::make_unique<MatMul>(o, in.values.floats(), in.bits.bytes(), in.bias_floats());
  }

  bool has_bias_, has_addend_;
  std::unique_ptr<MatMul> matmul_;
};

}  // namespace

std::unique_ptr<Node> make_sparse_conv(const Info& info) { return std::make_unique<SparseConv>(info); }
std::unique_ptr<Node> make_sparse_matmul(const Info& info) { return std::make_unique<SparseMatMul>(info); }

}  // namespace pc
