#include "operators/chain.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

#include "isa/cache.h"
#include "layout/images.h"
#include "operators/plan_cache.h"
#include "operators/planewise.h"
#include "support/scratch.h"

namespace pc {
namespace {

constexpr size_t kMostPlans = 4;

// Programs address tiles from the first one of an image, which buffers may not hold: an address
// before an array has no pointer in C++.
template <typename Float>
Float* shifted(Float* at, Tile tiles, size_t tile) {
  return reinterpret_cast<Float*>(reinterpret_cast<uintptr_t>(at) + static_cast<uintptr_t>(tiles) * tile * sizeof(float));
}

void check_step(const ChainOptions& options, size_t index) {
  const ChainStep& step = options.steps[index];
  constexpr int64_t kMost = 1 << 24;
  const auto in = [](int64_t value, int64_t least, int64_t most) { return value >= least && value <= most; };
  const auto channels = [&](size_t image) {
    return image == 0 ? options.steps.front().channels : options.steps[image - 1].filters;
  };
  require(in(step.channels, 1, kMost) && in(step.filters, 1, kMost), "channels and filters must be 1 to 16777216");
  require(in(step.groups, 1, step.channels) && step.channels % step.groups == 0 && step.filters % step.groups == 0,
          "group must divide channels and filters");
  for (const int64_t extent : step.kernel) require(extent == 1 || extent == 3, "kernel_shape must be 1 or 3");
  require(step.source <= index && channels(step.source) == step.channels,
          "a source must be an earlier result with the channels of the step");
  require(!step.residual || (*step.residual <= index && channels(*step.residual) == step.filters),
          "a residual must be an earlier result with as many channels as the step has filters");
  require(index > 0 || step.source == 0, "the first step must read X");
  const auto reads = [&](const ChainStep& other) { return other.source == index + 1 || other.residual == index + 1; };
  require(index + 1 == options.steps.size() || std::any_of(options.steps.begin(), options.steps.end(), reads),
          "the result of every step but the last must be read");
}

// Makes buffers hold what the strip needs of what `before` left. Above the image there are zeros.
void move_buffers(const ChainPlan& plan, float* scratch, const ChainPlan::Strip* before, const ChainPlan::Strip& strip) {
  for (size_t b = 0; b < plan.buffers.size(); b++) {
    const ChainPlan::Buffer& buffer = plan.buffers[b];
    const Tile low = strip.low[b], held = before == nullptr ? low : before->low[b];
    if (before != nullptr && low == held) continue;
    if (buffer.form == Form::tile_major) {
      if (before == nullptr) continue;  // nothing above the image is read
      float* const start = scratch + buffer.start;
      const auto kept = static_cast<size_t>(std::max<Tile>(0, strip.high[b] - low));
      std::memmove(start, start + static_cast<size_t>(low - held) * buffer.tile, kept * buffer.tile * sizeof(float));
      continue;
    }
    for (size_t c = 0; c < buffer.channels; c++) {
      float* const plane = scratch + buffer.start + c * buffer.stride;
      if (before == nullptr) {
        std::fill_n(plane, static_cast<size_t>(std::max<Tile>(0, -low)) * kLane, 0.0f);
      } else {
        const auto kept = static_cast<size_t>(std::max<Tile>(0, strip.high[b] - low));
        std::memmove(plane, plane + static_cast<size_t>(low - held) * kLane, kept * kLane * sizeof(float));
      }
    }
  }
}

// The images of a step: whole ones, or buffers as they are during the strip.
ProgramImages images_of(const ChainPlan& plan, const ChainPlan::Strip& strip, size_t index, const float* x, float* y,
                        float* scratch) {
  const ChainPlan::Step& step = plan.steps[index];
  const auto tile_0 = [&](size_t i) {
    const size_t b = plan.steps[i].buffer;
    return shifted(scratch + plan.buffers[b].start, -strip.low[b], plan.buffers[b].tile);
  };
  return {.x = step.source == 0 ? x : shifted(tile_0(step.source - 1), -step.reach, kLane),
          .y = index + 1 == plan.steps.size() ? y : tile_0(index),
          .addend = !step.residual ? nullptr : *step.residual == 0 ? x : tile_0(*step.residual - 1)};
}

void run_in_strips(const ChainPlan& plan, const float* x, float* y, float* scratch) {
  const ChainPlan::Strip* before = nullptr;
  for (const ChainPlan::Strip& strip : plan.strips) {
    move_buffers(plan, scratch, before, strip);
    before = &strip;
    for (size_t i = 0; i < plan.steps.size(); i++) {
      const Program& program = *plan.steps[i].program;
      program.run(images_of(plan, strip, i, x, y, scratch), {0, program.groups()},
                  {static_cast<size_t>(strip.from[i]), static_cast<size_t>(strip.to[i])});
    }
  }
}

// Threads share the tiles of one step after the other: their caches together hold more of the image.
void run_by_steps(const ChainPlan& plan, const float* x, float* y, Parallel& parallel) {
  const Scratch scratch(plan.scratch);
  move_buffers(plan, scratch.data(), nullptr, plan.whole);
  const size_t tiles = plan.planes.tiles, chunks = even_pieces(divided(tiles, plan.chunk));
  for (size_t i = 0; i < plan.steps.size(); i++) {
    const Program& program = *plan.steps[i].program;
    const ProgramImages images = images_of(plan, plan.whole, i, x, y, scratch.data());
    parallel.each(chunks, [&](size_t part) {
      program.run(images, {0, program.groups()}, {group_start(tiles, chunks, part), group_start(tiles, chunks, part + 1)});
    });
  }
}

}  // namespace

Chain::Chain(const ChainOptions& options, std::span<const std::span<const float>> values,
             std::span<const std::span<const uint8_t>> bits, std::span<const std::span<const float>> biases)
    : options_(options) {
  const size_t count = options.steps.size();
  require(count >= 1 && values.size() == count && bits.size() == count && biases.size() == count,
          "a chain has a step for every set of weights");
  if (options_.isa == nullptr) options_.isa = &default_isa();
  if (options_.cache_bytes == 0) options_.cache_bytes = second_level_cache();
  for (size_t i = 0; i < count; i++) {
    const ChainStep& step = options.steps[i];
    check_step(options, i);
    require(biases[i].empty() || biases[i].size() == static_cast<size_t>(step.filters),
            "bias must have one value per filter");
    const auto size = [](int64_t value) { return static_cast<size_t>(value); };
    const size_t columns = times(size(step.channels / step.groups), size(step.kernel[0] * step.kernel[1]));
    weights_.push_back(cached_weights(values[i], bits[i], times(columns, size(step.filters))));
    biases_.emplace_back(biases[i].begin(), biases[i].end());
    biases_.back().resize(size(step.filters));
  }
}

ChainKey Chain::key(size_t height, size_t width, bool is_x_tile_major) const {
  return {.options = options_,
          .weights = weights_,
          .biases = biases_,
          .height = height,
          .width = width,
          .is_x_tile_major = is_x_tile_major};
}

std::shared_ptr<const ChainPlan> Chain::plan(size_t height, size_t width, bool is_x_tile_major) {
  const std::lock_guard lock(mutex_);
  return cached(height, width, is_x_tile_major)->get();
}

void Chain::prepare(size_t height, size_t width, bool is_x_tile_major) {
  const std::lock_guard lock(mutex_);
  cached(height, width, is_x_tile_major)->start();
}

const std::shared_ptr<Chain::Plan>& Chain::cached(size_t height, size_t width, bool is_x_tile_major) {
  for (auto at = plans_.begin(); at != plans_.end(); ++at) {
    const ChainKey& key = (*at)->key;
    if (key.height != height || key.width != width || key.is_x_tile_major != is_x_tile_major) continue;
    plans_.splice(plans_.begin(), plans_, at);
    return plans_.front();
  }
  plans_.push_front(cached_plan(key(height, width, is_x_tile_major)));
  if (plans_.size() > kMostPlans) plans_.pop_back();
  return plans_.front();
}

void Chain::run(const ChainPlan& plan, size_t images, const float* x, float* y, size_t threads,
                Parallel& parallel) const {
  write_headers(plan.planes, images, static_cast<size_t>(options_.steps.back().filters), y, plan.y_form);
  const Scratch x_planes(plan.converts_x ? images * plan.x_image : 0);
  if (plan.converts_x) {
    const auto channels = static_cast<size_t>(options_.steps.front().channels);
    x = in_planes(plan.planes, images, channels, x, x_planes.data(), parallel);
  }
  const auto from = [&](size_t image) { return x + image * plan.x_image; };
  const auto to = [&](size_t image) { return y + image * plan.y_image; };
  if (images >= threads) {
    // Images that run one after the other share their buffers, so that these stay in the cache. Work
    // must not throw: a failure waits for the end.
    std::atomic<bool> no_memory{false};
    parallel.each(images, [&](size_t image) {
      try {
        const Scratch scratch(plan.scratch);
        run_in_strips(plan, from(image), to(image), scratch.data());
      } catch (const std::bad_alloc&) {
        no_memory = true;
      }
    });
    if (no_memory) throw std::bad_alloc();
    return;
  }
  for (size_t image = 0; image < images; image++) run_by_steps(plan, from(image), to(image), parallel);
}

}  // namespace pc
