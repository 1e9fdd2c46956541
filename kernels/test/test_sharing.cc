// Tests that equal layers share plans, that other layers do not, and that no plan outlives its
// layers.
#include <atomic>
#include <functional>

#include "operators/plan_cache.h"
#include "support.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace {

using test::Random;

bool failed = false;

void expect(bool holds, const char* what) {
  if (!holds) std::printf("sharing: not true that %s\n", what);
  failed = failed || !holds;
}

constexpr size_t kChannels = 12, kFilters = 40, kSize = 9;

struct Layer {
  pc::ConvOptions options;
  test::SparseWeights weights;
  std::vector<float> bias;
  size_t height = kSize, width = kSize;

  std::unique_ptr<pc::Conv> conv() const {
    return std::make_unique<pc::Conv>(options, weights.values, weights.bits, bias);
  }
};

Layer layer() {
  Random random(1);
  Layer made;
  made.options.channels = kChannels;
  made.options.filters = kFilters;
  made.options.kernel = {3, 3};
  made.options.pads = {1, 1, 1, 1};
  made.options.activation = {pc::ActivationKind::clip, -1, 1};
  made.weights = test::sparse_weights(random, kFilters, kChannels * 9, 0.8);
  made.bias = random.normals(kFilters);
  made.bias[3] = 0;
  return made;
}

std::vector<float> results(const pc::Conv& conv, const pc::ConvPlan& plan) {
  Random random(2);
  const std::vector<float> x = random.normals(plan.x_image);
  std::vector<float> y(plan.y_image);
  pc::Serial serial;
  conv.run(plan, 1, x.data(), y.data(), nullptr, serial);
  return y;
}

void equal_layers_share() {
  const Layer one = layer();
  auto first = one.conv(), second = one.conv();
  first->prepare(kSize, kSize);
  second->prepare(kSize, kSize);
  auto plan = first->plan(kSize, kSize);
  expect(plan == second->plan(kSize, kSize), "two equal layers have one plan");
  expect(pc::live_plans() == 1, "one plan lives");
  const std::vector<float> before = results(*first, *plan);
  first.reset();
  expect(pc::live_plans() == 1, "the plan stays while one layer uses it");
  expect(results(*second, *plan) == before, "the plan works when the layer that made it is gone");
  second.reset();
  expect(pc::live_plans() == 1, "the plan stays while somebody runs it");
  plan.reset();
  expect(pc::live_plans() == 0, "no plan lives when all layers are gone");
  const auto again = one.conv();
  expect(results(*again, *again->plan(kSize, kSize)) == before, "a plan made anew computes the same");
}

void other_layers_do_not() {
  const Layer one = layer();
  const auto conv = one.conv();
  const auto plan = conv->plan(kSize, kSize);
  const std::vector<std::pair<const char*, std::function<void(Layer&)>>> changes{
      {"activation", [](Layer& l) { l.options.activation.kind = pc::ActivationKind::relu; }},
      {"alpha", [](Layer& l) { l.options.activation.alpha = -2; }},
      {"beta", [](Layer& l) { l.options.activation.beta = 2; }},
      {"bias", [](Layer& l) { l.bias[0] += 1; }},
      {"sign of a zero bias", [](Layer& l) { l.bias[3] = -0.0f; }},
      {"value", [](Layer& l) { l.weights.values[0] += 1; }},
      {"bits", [](Layer& l) { for (auto& byte : l.weights.bits) byte = static_cast<uint8_t>(byte << 4 | byte >> 4); }},
      {"height", [](Layer& l) { l.height++; }},
      {"width", [](Layer& l) { l.width++; }},
      {"kernel", [](Layer& l) { l.options.kernel = {9, 1}; }},
      {"strides", [](Layer& l) { l.options.strides = {2, 1}; }},
      {"dilations", [](Layer& l) { l.options.dilations = {1, 2}; }},
      {"pads", [](Layer& l) { l.options.pads = {1, 1, 1, 0}; }},
      {"addend", [](Layer& l) { l.options.addend = true; }},
      {"layout of x", [](Layer& l) { l.options.x_blocked = true; }},
      {"layout of y", [](Layer& l) { l.options.y_blocked = true; }},
      {"kernel choice", [](Layer& l) { l.options.kernel_choice = pc::KernelChoice::stream; }},
      {"instruction set", [](Layer& l) { l.options.isa = pc::find_isa("baseline"); }},
  };
  for (const auto& [what, change] : changes) {
    Layer other = layer();
    change(other);
    const auto other_conv = other.conv();
    const bool differs = other_conv->plan(other.height, other.width) != plan;
    // On machines without a better instruction set, the baseline is the default.
    const bool same_isa = other.options.isa == &pc::default_isa();
    if (!differs && !same_isa) std::printf("sharing: another %s: ", what);
    expect(differs || same_isa, "layers that differ have plans of their own");
  }
  expect(pc::live_plans() == 1, "the other plans are gone");
}

void products_share() {
  Random random(3);
  pc::MatMulOptions options;
  options.inputs = 30;
  options.outputs = 20;
  const test::SparseWeights w = test::sparse_weights(random, 30, 20, 0.7);
  std::vector<float> bias = random.normals(20);
  {
    const pc::MatMul one(options, w.values, w.bits, bias), two(options, w.values, w.bits, bias);
    expect(&one.program() == &two.program(), "two equal products have one program");
    bias[0] += 1;
    const pc::MatMul three(options, w.values, w.bits, bias);
    expect(&one.program() != &three.program(), "products with another bias have programs of their own");
  }
  expect(pc::live_plans() == 0, "no program lives when all products are gone");
}

// Creates and destroys layers on several threads at once; for the sanitizers.
void threads_share() {
  const Layer one = layer();
  const auto wanted = [&] {
    const auto conv = one.conv();
    return results(*conv, *conv->plan(kSize, kSize));
  }();
  std::vector<std::thread> threads;
  std::atomic<size_t> wrong{0};
  for (size_t t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 50; i++) {
        Layer mine = one;
        mine.height += (t + i) % 2;
        const auto conv = mine.conv();
        if (i % 3 != 0) conv->prepare(mine.height, mine.width);
        if (i % 5 == 0) continue;  // destroyed while its plan is made
        const auto plan = conv->plan(mine.height, mine.width);
        if (mine.height == kSize && results(*conv, *plan) != wanted) wrong++;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  expect(wrong == 0, "threads get what one gets");
  expect(pc::live_plans() == 0, "no plan lives when all threads are done");
}

// A forked child has the plans that its parent has started to make: nothing would complete them
// there.
void children_have_plans() {
#if defined(__unix__) || defined(__APPLE__)
  constexpr unsigned kSeconds = 60;
  const Layer one = layer();
  for (size_t i = 0; i < 20; i++) {
    const auto conv = one.conv();
    conv->prepare(kSize, kSize);
    const pid_t child = fork();
    if (child == 0) {
      alarm(kSeconds);  // a deadlock ends the child
      const auto plan = conv->plan(kSize, kSize);
      _exit(results(*conv, *plan).size() == plan->y_image ? 0 : 1);
    }
    int status = 1;
    expect(waitpid(child, &status, 0) == child && status == 0, "a child runs what its parent prepared");
  }
#endif
}

}  // namespace

int main() {
  equal_layers_share();
  other_layers_do_not();
  products_share();
  threads_share();
  children_have_plans();
  if (!failed) std::printf("sharing: equal layers share their plans, others do not, none is left\n");
  return failed ? 1 : 0;
}
