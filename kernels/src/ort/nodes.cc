#include "ort/nodes.h"

#include <algorithm>

#include "operators/conv.h"
#include "operators/matmul.h"
#include "ort/blocked_nodes.h"
#include "ort/values.h"

namespace pc {
namespace {

KernelChoice kernel_choice(const Info& info) {
  const KernelChoice forced = kernel_from_environment();
  const std::string value = info.text("kernel", "auto");
  require(value == "auto" || value == "stream" || value == "jit", "attribute 'kernel' is none of auto, stream, jit");
  if (forced != KernelChoice::automatic || value == "auto") return forced;
  return value == "stream" ? KernelChoice::stream : KernelChoice::jit;
}

struct SparseInputs {
  Tensor values, bits;
  std::optional<Tensor> bias;
  std::span<const float> bias_floats() const { return bias ? bias->floats() : std::span<const float>{}; }
};

SparseInputs sparse_inputs(const Info& info) {
  const auto values = info.constant(1), bits = info.constant(2);
  require(values.has_value() && bits.has_value(), "values and bits must be constants (initializers)");
  return {*values, *bits, info.constant(3)};
}

class SparseConv final : public Node {
 public:
  explicit SparseConv(const Info& info) : has_bias_(info.constant(3).has_value()), conv_(make(info)) {
    const auto size = info.integers("input_size");
    if (!size) return;
    require(size->size() == 2 && (*size)[0] >= 1 && (*size)[1] >= 1, "attribute 'input_size' is not [height, width]");
    conv_->prepare(static_cast<size_t>((*size)[0]), static_cast<size_t>((*size)[1]));
  }

  void compute(const Call& call) override {
    const ConvOptions& o = conv_->options();
    const auto filters = static_cast<size_t>(o.filters);
    require(has_bias_ || !call.input(3).has_value(), "bias must be a constant (an initializer)");
    const Images x = images_of(needed(call, 0), o.x_internal, static_cast<size_t>(o.channels));
    const auto plan = conv_->plan(x.height, x.width);
    const float* addend = nullptr;
    if (o.addend) {
      const Images other = images_of(needed(call, 4), o.y_internal, filters);
      require(other.count == x.count && other.height == plan->out_height && other.width == plan->out_width,
              "the residual has another shape than the result");
      addend = other.data;
    }
    float* y = o.y_internal ? internal_output(call, plan->y, x.count, filters)
                            : plain_output(call, x.count, filters, plan->out_height, plan->out_width);
    Pool pool(call);
    conv_->run(*plan, x.count, x.data, y, addend, pool);
  }

 private:
  static std::unique_ptr<Conv> make(const Info& info) {
    ConvOptions o;
    o.channels = needed(info, "channels");
    o.filters = needed(info, "filters");
    o.groups = info.integer("group").value_or(1);
    o.kernel = list<2>(info, "kernel_shape", o.kernel);
    o.strides = list<2>(info, "strides", o.strides);
    o.dilations = list<2>(info, "dilations", o.dilations);
    o.pads = list<4>(info, "pads", o.pads);
    o.activation = activation(info);
    o.x_internal = choice(info, "x_layout", "NCHW", "internal");
    o.y_internal = choice(info, "y_layout", "NCHW", "internal");
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
    const Tensor x = needed(call, 0);
    require(!x.shape.empty() && x.shape.back() == inputs, "the last axis of X is not as long as the weights' inputs");
    const size_t rows = x.floats().size() / static_cast<size_t>(inputs);
    std::vector<int64_t> shape = x.shape;
    shape.back() = outputs;
    const float* addend = nullptr;
    if (has_addend_) {
      const Tensor other = needed(call, 4);
      require(other.shape == shape, "the residual has another shape than the result");
      addend = other.floats().data();
    }
    float* y = call.output(0, shape);
    Pool pool(call);
    matmul_->run(rows, x.floats().data(), y, addend, pool);
  }

 private:
  static std::unique_ptr<MatMul> make(const Info& info) {
    MatMulOptions o;
    o.inputs = needed(info, "in_features");
    o.outputs = needed(info, "out_features");
    o.transposed = flag(info, "transB", false);
    o.activation = activation(info);
    o.kernel_choice = kernel_choice(info);
    const SparseInputs in = sparse_inputs(info);
    return std::make_unique<MatMul>(o, in.values.floats(), in.bits.bytes(), in.bias_floats());
  }

  bool has_bias_, has_addend_;
  std::unique_ptr<MatMul> matmul_;
};

// Enter and Leave.
template <bool Entering>
class Move final : public Node {
 public:
  explicit Move(const Info&) {}

  void compute(const Call& call) override {
    const Images x = images_of(needed(call, 0), !Entering, 0);
    require(x.channels >= 1 && x.height >= 1 && x.width >= 1, "an image has no pixels");
    const Planes planes(x.height, x.width);
    const size_t image = planes.image(x.channels), plain = x.channels * x.height * x.width;
    float* y = Entering ? internal_output(call, planes, x.count, x.channels)
                        : plain_output(call, x.count, x.channels, x.height, x.width);
    if (Entering) write_headers(planes, x.count, x.channels, y);
    const size_t share = std::max<size_t>(1, x.channels / 8), shares = (x.channels + share - 1) / share;
    Pool pool(call);
    pool.each(x.count * shares, [&](size_t item) {
      const size_t n = item / shares, begin = item % shares * share;
      const View from = view(!Entering, planes, x.data + n * (Entering ? plain : image));
      const View to = view(Entering, planes, y + n * (Entering ? image : plain));
      for (size_t c = begin; c < std::min(x.channels, begin + share); c++) {
        move_plane(isa_, planes, from, c, to, nullptr, {}, Entering);
      }
    });
  }

 private:
  const Isa& isa_ = default_isa();
};

template <typename Kind>
std::unique_ptr<Node> make(const Info& info) {
  return std::make_unique<Kind>(info);
}

}  // namespace

const NodeKind node_kinds[kNodeKinds] = {
    {"SparseConv", 5, 3, make<SparseConv>, 4, 2},
    {"SparseMatMul", 5, 3, make<SparseMatMul>, -1, 2},
    {"Enter", 1, 1, make<Move<true>>},
    {"Leave", 1, 1, make<Move<false>>},
    {"DepthwiseConv", 3, 2, make_depthwise},
    {"MaxPool", 1, 1, make_max_pool},
    {"AveragePool", 1, 1, make_average_pool},
    {"GlobalAveragePool", 1, 1, make_global_average_pool},
    {"Add", 2, 2, make_add, 0},
    {"Mul", 2, 2, make_mul, 0},
    {"Scale", 2, 2, make_scale, 0},
    {"Activate", 1, 1, make_activate, 0},
    {"Concat", 1, 1, make_concat, -1, -1, true},
    {"Upsample", 1, 1, make_upsample},
};

}  // namespace pc
