#include "ort/blocked_nodes.h"

#include <algorithm>
#include <vector>

#include "operators/depthwise.h"
#include "operators/planewise.h"
#include "operators/pool.h"
#include "ort/values.h"
#include "support/scratch.h"

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

Images blocked_input(const Call& call, size_t input, size_t channels = 0) {
  return images_of(required(call, input), true, channels);
}

void require_same(const Images& a, const Images& b) {
  require(a.count == b.count && a.height == b.height && a.width == b.width, "the inputs have different sizes");
}

// Enter (ToBlocked) and Leave: copies images from one layout to the other.
template <bool ToBlocked>
class LayoutNode final : public Node {
 public:
  explicit LayoutNode(const Info&) {}

  void compute(const Call& call) override {
    const Images x = images_of(required(call, 0), !ToBlocked, 0);
    require(x.channels >= 1 && x.height >= 1 && x.width >= 1, "an image has no pixels");
    const Planes planes(x.height, x.width);
    const size_t image = planes.image(x.channels), plain = x.channels * x.height * x.width;
    float* y = ToBlocked ? blocked_output(call, planes, x.count, x.channels)
                         : plain_output(call, x.count, x.channels, x.height, x.width);
    if (ToBlocked) write_headers(planes, x.count, x.channels, y);
    const size_t share = std::max<size_t>(1, x.channels / 8), shares = (x.channels + share - 1) / share;
    OrtThreads threads(call);
    threads.each(x.count * shares, [&](size_t item) {
      const size_t n = item / shares, begin = item % shares * share;
      const View from = image_view(!ToBlocked, planes, x.data + n * (ToBlocked ? plain : image));
      const View to = image_view(ToBlocked, planes, y + n * (ToBlocked ? image : plain));
      for (size_t c = begin; c < std::min(x.channels, begin + share); c++) {
        move_plane(isa_, planes, from, c, to, nullptr, {}, ToBlocked);
      }
    });
  }

 private:
  const Isa& isa_ = default_isa();
};

class DepthwiseNode final : public Node {
 public:
  explicit DepthwiseNode(const Info& info) : has_bias_(info.constant(2).has_value()), depthwise_(make(info)) {}

  void compute(const Call& call) override {
    require(has_bias_ || !call.input(2).has_value(), "bias must be a constant (an initializer)");
    const auto channels = static_cast<size_t>(depthwise_.options().channels);
    const Images x = blocked_input(call, 0, channels);
    const Planes from(x.height, x.width), to = depthwise_.result(from);
    float* y = blocked_output(call, to, x.count, channels);
    OrtThreads threads(call);
    depthwise_.run(from, to, x.count, x.data, y, threads);
  }

 private:
  static Depthwise make(const Info& info) {
    DepthwiseOptions o;
    o.channels = required(info, "channels");
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
    const Images x = blocked_input(call, 0);
    const Planes from(x.height, x.width), to = pool_.result(from);
    float* y = blocked_output(call, to, x.count, x.channels);
    OrtThreads threads(call);
    pool_.run(from, to, x.count, x.channels, x.data, y, threads);
  }

 private:
  WindowPool pool_;
};

class GlobalAveragePoolNode final : public Node {
 public:
  explicit GlobalAveragePoolNode(const Info& info) : keeps_axes_(flag(info, "keepdims", true)) {}

  void compute(const Call& call) override {
    const Images x = images_of(required(call, 0), true, 0, true);
    std::vector<int64_t> shape{static_cast<int64_t>(x.count), static_cast<int64_t>(x.channels)};
    if (keeps_axes_) shape.insert(shape.end(), {1, 1});
    float* y = call.output(0, shape);
    OrtThreads threads(call);
    const Planes planes(x.height, x.width);
    const Scratch copy(x.is_tile_major ? x.count * planes.image(x.channels) : 0);
    const float* const images =
        x.is_tile_major ? in_planes(planes, x.count, x.channels, x.data, copy.data(), threads) : x.data;
    run_global_average(planes, x.count, x.channels, images, y, isa_, threads);
  }

 private:
  bool keeps_axes_;
  const Isa& isa_ = default_isa();
};

class PlanewiseNode final : public Node {
 public:
  PlanewiseNode(PlaneWork::Kind kind, const Info& info) : work_{kind, activation(info), &default_isa()} {}

  void compute(const Call& call) override {
    const Images a = blocked_input(call, 0);
    const float* b = nullptr;
    if (work_.kind == PlaneWork::Kind::scale) {
      const Images factors = images_of(required(call, 1), false, a.channels);
      require(factors.count == a.count && factors.height == 1 && factors.width == 1,
              "the factors must have the shape [N, C, 1, 1]");
      b = factors.data;
    } else if (work_.kind != PlaneWork::Kind::activate) {
      const Images other = blocked_input(call, 1, a.channels);
      require_same(a, other);
      b = other.data;
    }
    const Planes planes(a.height, a.width);
    float* y = blocked_output(call, planes, a.count, a.channels);
    OrtThreads threads(call);
    run_planewise(work_, planes, a.count, a.channels, a.data, b, y, threads);
  }

 private:
  PlaneWork work_;
};

class ConcatNode final : public Node {
 public:
  void compute(const Call& call) override {
    const Images first = blocked_input(call, 0);
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
    float* y = blocked_output(call, planes, first.count, channels);
    OrtThreads threads(call);
    run_concat(planes, first.count, parts, y, threads);
  }
};

class UpsampleNode final : public Node {
 public:
  void compute(const Call& call) override {
    const Images x = blocked_input(call, 0);
    const Planes from(x.height, x.width), to(times(x.height, 2), times(x.width, 2));
    float* y = blocked_output(call, to, x.count, x.channels);
    OrtThreads threads(call);
    run_upsample(from, to, x.count, x.channels, x.data, y, isa_, threads);
  }

 private:
  const Isa& isa_ = default_isa();
};

}  // namespace

std::unique_ptr<Node> make_to_blocked(const Info& info) { return std::make_unique<LayoutNode<true>>(info); }
std::unique_ptr<Node> make_from_blocked(const Info& info) { return std::make_unique<LayoutNode<false>>(info); }
std::unique_ptr<Node> make_depthwise(const Info& info) { return std::make_unique<DepthwiseNode>(info); }
std::unique_ptr<Node> make_max_pool(const Info& info) { return PoolNode::make(info, false); }
std::unique_ptr<Node> make_average_pool(const Info& info) { return PoolNode::make(info, true); }
std::unique_ptr<Node> make_global_average_pool(const Info& info) {
  return std::make_unique<GlobalAveragePoolNode>(info);
}
std::unique_ptr<Node> make_add(const Info& info) { return std::make_unique<PlanewiseNode>(PlaneWork::Kind::sum, info); }
std::unique_ptr<Node> make_mul(const Info& info) {
  return std::make_unique<PlanewiseNode>(PlaneWork::Kind::product, info);
}
std::unique_ptr<Node> make_scale(const Info& info) {
  return std::make_unique<PlanewiseNode>(PlaneWork::Kind::scale, info);
}
std::unique_ptr<Node> make_activate(const Info& info) {
  return std::make_unique<PlanewiseNode>(PlaneWork::Kind::activate, info);
}
std::unique_ptr<Node> make_concat(const Info&) { return std::make_unique<ConcatNode>(); }
std::unique_ptr<Node> make_upsample(const Info&) { return std::make_unique<UpsampleNode>(); }

}  // namespace pc
