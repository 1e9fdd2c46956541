#include "ort/blocked_nodes.h"

#include <vector>

#include "operators/depthwise.h"
#include "operators/planewise.h"
#include "operators/pool.h"
#include "ort/values.h"

namespace pc {
namespace {

Window window(const Info& info) {
  Window w;
  w.kernel = list<2>(info, "kernel_shape", w.kernel);
  w.strides = list<2>(info, "strides", w.strides);
  w.dilations = list<2>(info, "dilations", w.dilations);
  w.pads = list<4>(info, "pads", w.pads);
  return w;
}

Images inside(const Call& call, size_t input, size_t channels = 0) {
  return images_of(needed(call, input), true, channels);
}

void require_same(const Images& a, const Images& b) {
  require(a.count == b.count && a.height == b.height && a.width == b.width, "the inputs have different sizes");
}

class DepthwiseNode final : public Node {
 public:
  explicit DepthwiseNode(const Info& info) : has_bias_(info.constant(2).has_value()), depthwise_(make(info)) {}

  void compute(const Call& call) override {
    require(has_bias_ || !call.input(2).has_value(), "bias must be a constant (an initializer)");
    const auto channels = static_cast<size_t>(depthwise_.options().channels);
    const Images x = inside(call, 0, channels);
    const Planes from(x.height, x.width), to = depthwise_.result(from);
    float* y = internal_output(call, to, x.count, channels);
    Pool pool(call);
    depthwise_.run(from, to, x.count, x.data, y, pool);
  }

 private:
  static Depthwise make(const Info& info) {
    DepthwiseOptions o;
    o.channels = needed(info, "channels");
    o.window = window(info);
    o.activation = activation(info);
    const auto weights = info.constant(1), bias = info.constant(2);
    require(weights.has_value(), "weights must be a constant (an initializer)");
    return {o, weights->floats(), bias ? bias->floats() : std::span<const float>{}};
  }

  bool has_bias_;
  Depthwise depthwise_;
};

class PoolNode final : public Node {
 public:
  explicit PoolNode(const PoolOptions& options) : pool_(options) {}

  static std::unique_ptr<Node> make(const Info& info, bool mean) {
    PoolOptions o;
    o.window = window(info);
    o.window.ceil = flag(info, "ceil_mode", false);
    o.mean = mean;
    o.count_padding = mean && flag(info, "count_include_pad", false);
    return std::make_unique<PoolNode>(o);
  }

  void compute(const Call& call) override {
    const Images x = inside(call, 0);
    const Planes from(x.height, x.width), to = pool_.result(from);
    float* y = internal_output(call, to, x.count, x.channels);
    Pool threads(call);
    pool_.run(from, to, x.count, x.channels, x.data, y, threads);
  }

 private:
  WindowPool pool_;
};

class MeansNode final : public Node {
 public:
  explicit MeansNode(const Info& info) : keeps_axes_(flag(info, "keepdims", true)) {}

  void compute(const Call& call) override {
    const Images x = inside(call, 0);
    std::vector<int64_t> shape{static_cast<int64_t>(x.count), static_cast<int64_t>(x.channels)};
    if (keeps_axes_) shape.insert(shape.end(), {1, 1});
    float* y = call.output(0, shape);
    Pool pool(call);
    run_means(Planes(x.height, x.width), x.count, x.channels, x.data, y, isa_, pool);
  }

 private:
  bool keeps_axes_;
  const Isa& isa_ = default_isa();
};

class PlanewiseNode final : public Node {
 public:
  PlanewiseNode(PlaneWork::Kind kind, const Info& info) : work_{kind, activation(info), &default_isa()} {}

  void compute(const Call& call) override {
    const Images a = inside(call, 0);
    const float* b = nullptr;
    if (work_.kind == PlaneWork::Kind::scale) {
      const Images factors = images_of(needed(call, 1), false, a.channels);
      require(factors.count == a.count && factors.height == 1 && factors.width == 1,
              "the factors must have the shape [N, C, 1, 1]");
      b = factors.data;
    } else if (work_.kind != PlaneWork::Kind::activate) {
      const Images other = inside(call, 1, a.channels);
      require_same(a, other);
      b = other.data;
    }
    const Planes planes(a.height, a.width);
    float* y = internal_output(call, planes, a.count, a.channels);
    Pool pool(call);
    run_planewise(work_, planes, a.count, a.channels, a.data, b, y, pool);
  }

 private:
  PlaneWork work_;
};

class ConcatNode final : public Node {
 public:
  void compute(const Call& call) override {
    const Images first = inside(call, 0);
    std::vector<Part> parts{{first.data, first.channels}};
    size_t channels = first.channels;
    for (size_t i = 1;; i++) {
      const auto tensor = call.input(i);
      if (!tensor) break;
      const Images part = images_of(*tensor, true, 0);
      require_same(first, part);
      parts.push_back({part.data, part.channels});
      channels = plus(channels, part.channels);
    }
    const Planes planes(first.height, first.width);
    float* y = internal_output(call, planes, first.count, channels);
    Pool pool(call);
    run_concat(planes, first.count, parts, y, pool);
  }
};

class UpsampleNode final : public Node {
 public:
  void compute(const Call& call) override {
    const Images x = inside(call, 0);
    const Planes from(x.height, x.width), to(times(x.height, 2), times(x.width, 2));
    float* y = internal_output(call, to, x.count, x.channels);
    Pool pool(call);
    run_twice(from, to, x.count, x.channels, x.data, y, isa_, pool);
  }

 private:
  const Isa& isa_ = default_isa();
};

}  // namespace

std::unique_ptr<Node> make_depthwise(const Info& info) { return std::make_unique<DepthwiseNode>(info); }
std::unique_ptr<Node> make_max_pool(const Info& info) { return PoolNode::make(info, false); }
std::unique_ptr<Node> make_average_pool(const Info& info) { return PoolNode::make(info, true); }
std::unique_ptr<Node> make_global_average_pool(const Info& info) { return std::make_unique<MeansNode>(info); }
std::unique_ptr<Node> make_add(const Info& info) { return std::make_unique<PlanewiseNode>(PlaneWork::Kind::sum, info); }
std::unique_ptr<Node> make_mul(const Info& info) { return std::make_unique<PlanewiseNode>(PlaneWork::Kind::product, info); }
std::unique_ptr<Node> make_scale(const Info& info) { return std::make_unique<PlanewiseNode>(PlaneWork::Kind::scale, info); }
std::unique_ptr<Node> make_activate(const Info& info) { return std::make_unique<PlanewiseNode>(PlaneWork::Kind::activate, info); }
std::unique_ptr<Node> make_concat(const Info&) { return std::make_unique<ConcatNode>(); }
std::unique_ptr<Node> make_upsample(const Info&) { return std::make_unique<UpsampleNode>(); }

}  // namespace pc
