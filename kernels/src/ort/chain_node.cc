#include "ort/chain_node.h"

#include <atomic>
#include <sstream>

#include "operators/chain.h"
#include "ort/values.h"
#include "support/concurrency.h"

namespace pc {
namespace {

constexpr size_t kMostSteps = 16;
constexpr size_t kInputsPerStep = 3;  // values, bits, bias
constexpr int kProbes = 3;            // runs that look for threads: they may be asleep at first
constexpr size_t kMostThreads = 4;    // that are told apart: more change nothing

std::vector<int64_t> required_list(const Info& info, const char* attribute, size_t items) {
  auto list = info.integers(attribute);
  if (list && list->size() == items) return std::move(*list);
  throw Failure(std::string("attribute '") + attribute + "' must have " + std::to_string(items) + " items");
}

std::vector<Activation> activations(const Info& info, size_t count) {
  std::istringstream names(info.text("activations", ""));
  const std::vector<float> zeros(count);
  const auto alphas = info.numbers("alphas").value_or(zeros), betas = info.numbers("betas").value_or(zeros);
  require(alphas.size() == count && betas.size() == count, "alphas and betas must have one item per step");
  std::vector<Activation> all;
  for (std::string name; names >> name;) {
    require(all.size() < count, "activations must name one per step");
    all.push_back(make_activation(name.c_str(), alphas[all.size()], betas[all.size()]));
  }
  require(all.size() == count, "activations must name one per step");
  return all;
}

size_t image_number(int64_t value) {
  require(value >= 0 && value <= static_cast<int64_t>(kMostSteps), "sources and residuals must be earlier steps");
  return static_cast<size_t>(value);
}

class SparseChain final : public Node {
 public:
  explicit SparseChain(const Info& info) : chain_(make(info)) {
    const bool is_tile_major = flag(info, "x_tile_major", false) && emits_code(chain_->options().kernel_choice, *chain_->options().isa);
    if (const auto size = input_size(info)) chain_->prepare((*size)[0], (*size)[1], is_tile_major);
  }

  void compute(const Call& call) override {
    const auto& steps = chain_->options().steps;
    const Images x = images_of(required(call, 0), true, static_cast<size_t>(steps.front().channels), true);
    const auto plan = chain_->plan(x.height, x.width, x.is_tile_major);
    float* y = blocked_output(call, plan->planes, x.count, static_cast<size_t>(steps.back().filters));
    OrtThreads threads(call);
    chain_->run(*plan, x.count, x.data, y, threads_seen(threads), threads);
  }

 private:
  static std::unique_ptr<Chain> make(const Info& info) {
    const auto given = info.integers("filters");
    require(given && given->size() <= kMostSteps, "filters must have one item per step, 16 at most");
    const size_t count = given->size();
    const auto channels = required_list(info, "channels", count), groups = required_list(info, "group", count);
    const auto kernels = required_list(info, "kernel_shape", 2 * count);
    const auto sources = required_list(info, "sources", count), residuals = required_list(info, "residuals", count);
    const auto activation = activations(info, count);
    ChainOptions o;
    for (size_t i = 0; i < count; i++) {
      ChainStep step{.channels = channels[i],
                     .filters = (*given)[i],
                     .groups = groups[i],
                     .kernel = {kernels[2 * i], kernels[2 * i + 1]},
                     .activation = activation[i],
                     .source = image_number(sources[i]),
                     .residual = std::nullopt};
      if (residuals[i] != -1) step.residual = image_number(residuals[i]);
      o.steps.push_back(step);
    }
    o.kernel_choice = kernel_choice(info);
    o.may_write_tiles = flag(info, "y_tile_major", false);
    require(info.inputs() == 1 + kInputsPerStep * count, "values, bits and bias of every step must be inputs");
    std::vector<std::span<const float>> values, biases;
    std::vector<std::span<const uint8_t>> bits;
    for (size_t i = 0; i < count; i++) {
      const auto constant = [&](size_t input) {
        const auto tensor = info.constant(1 + kInputsPerStep * i + input);
        require(tensor.has_value(), "values, bits and bias must be constants (initializers)");
        return *tensor;
      };
      values.push_back(constant(0).floats());
      bits.push_back(constant(1).bytes());
      biases.push_back(constant(2).floats());
    }
    return std::make_unique<Chain>(o, values, bits, biases);
  }

  size_t threads_seen(Parallel& threads) {
    if (probes_.load() < kProbes) {
      probes_++;
      const size_t seen = concurrency(threads, kMostThreads);
      for (size_t known = threads_; known < seen && !threads_.compare_exchange_weak(known, seen);) {
      }
    }
    return threads_;
  }

  std::unique_ptr<Chain> chain_;
  std::atomic<int> probes_{0};
  std::atomic<size_t> threads_{1};
};

}  // namespace

std::unique_ptr<Node> make_sparse_chain(const Info& info) { return std::make_unique<SparseChain>(info); }

}  // namespace pc
