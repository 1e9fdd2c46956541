#include "ort_nodes.h"

#include <algorithm>
#include <array>

#include "conv.h"
#include "images.h"
#include "matmul.h"

namespace pc {
namespace {

int64_t needed(const Info& info, const char* attribute) {
  const auto value = info.integer(attribute);
  if (!value) throw Failure(std::string("attribute '") + attribute + "' is missing");
  return *value;
}

template <size_t Size>
std::array<int64_t, Size> list(const Info& info, const char* attribute, std::array<int64_t, Size> otherwise) {
  const auto given = info.integers(attribute);
  if (!given) return otherwise;
  if (given->size() != Size) throw Failure(std::string("attribute '") + attribute + "' has the wrong length");
  std::copy(given->begin(), given->end(), otherwise.begin());
  return otherwise;
}

bool choice(const Info& info, const char* attribute, const char* no, const char* yes) {
  const std::string value = info.text(attribute, no);
  if (value != no && value != yes) throw Failure(std::string("attribute '") + attribute + "' is neither " + no + " nor " + yes);
  return value == yes;
}

KernelChoice kernel_choice(const Info& info) {
  const KernelChoice forced = kernel_from_environment();
  const std::string value = info.text("kernel", "auto");
  require(value == "auto" || value == "stream" || value == "jit", "attribute 'kernel' is none of auto, stream, jit");
  if (forced != KernelChoice::automatic || value == "auto") return forced;
  return value == "stream" ? KernelChoice::stream : KernelChoice::jit;
}

Activation activation(const Info& info) {
  return make_activation(info.text("activation", "None").c_str(), info.number("alpha", 0), info.number("beta", 0));
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

Tensor needed(const Call& call, size_t index) {
  auto tensor = call.input(index);
  require(tensor.has_value(), "an input is missing");
  return *tensor;
}

// Images as some input or output has them.
struct Images {
  size_t count = 0, channels = 0, height = 0, width = 0;
  const float* data = nullptr;
};

Images images_of(const Tensor& tensor, bool internal, size_t channels) {
  const std::span<const float> floats = tensor.floats();
  const auto extent = [&](size_t axis) { return static_cast<size_t>(tensor.shape[axis]); };
  if (internal) {
    require(tensor.shape.size() == 2, "an input is not in the internal layout");
    const Header header = read_header(floats.data(), extent(0), extent(1), channels);
    return {header.images, header.channels, header.height, header.width, floats.data()};
  }
  require(tensor.shape.size() == 4, "an input must have the four axes N, C, H, W");
  require(channels == 0 || extent(1) == channels, "an input has another number of channels");
  return {extent(0), extent(1), extent(2), extent(3), floats.data()};
}

float* internal_output(const Call& call, const Planes& planes, size_t images, size_t channels) {
  const size_t image = planes.image(channels);
  require(image < kMaxFloats && images < UINT32_MAX, "an image is too large");
  const std::array<int64_t, 2> shape{static_cast<int64_t>(std::max<size_t>(images, 1)),
                                     static_cast<int64_t>(images == 0 ? kHeader : image)};
  return call.output(0, shape);
}

float* plain_output(const Call& call, size_t images, size_t channels, size_t height, size_t width) {
  const std::array<int64_t, 4> shape{static_cast<int64_t>(images), static_cast<int64_t>(channels),
                                     static_cast<int64_t>(height), static_cast<int64_t>(width)};
  return call.output(0, shape);
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
    const int64_t transposed = info.integer("transB").value_or(0);
    require(transposed == 0 || transposed == 1, "attribute 'transB' is neither 0 nor 1");
    o.transposed = transposed == 1;
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
    const Isa& isa = default_isa();
    const size_t share = std::max<size_t>(1, x.channels / 8), shares = (x.channels + share - 1) / share;
    Pool pool(call);
    pool.each(x.count * shares, [&](size_t item) {
      const size_t n = item / shares, begin = item % shares * share;
      const View from = view(!Entering, planes, x.data + n * (Entering ? plain : image));
      const View to = view(Entering, planes, y + n * (Entering ? image : plain));
      for (size_t c = begin; c < std::min(x.channels, begin + share); c++) {
        move_plane(isa, planes, from, c, to, nullptr, {}, Entering);
      }
    });
  }
};

template <typename Kind>
std::unique_ptr<Node> make(const Info& info) {
  return std::make_unique<Kind>(info);
}

}  // namespace

const NodeKind node_kinds[kNodeKinds] = {{"SparseConv", 5, 3, make<SparseConv>, 4},
                                         {"SparseMatMul", 5, 3, make<SparseMatMul>, -1},
                                         {"Enter", 1, 1, make<Move<true>>, -1},
                                         {"Leave", 1, 1, make<Move<false>>, -1}};

}  // namespace pc
