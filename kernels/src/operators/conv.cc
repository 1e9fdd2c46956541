#include "operators/conv.h"

#include <algorithm>
#include <cstring>

#include "layout/images.h"
#include "operators/plan_cache.h"
#include "operators/planewise.h"
#include "support/scratch.h"

namespace pc {
namespace {

constexpr size_t kMostPlans = 4;
// Pieces of work that the groups of small images make. Eight serve two and four threads evenly.
constexpr size_t kGroupShares = 8;
constexpr size_t kScratchFloats = size_t{1} << 20;  // bounds the scratch of a batch of images

}  // namespace

Conv::Conv(const ConvOptions& options, std::span<const float> values, std::span<const uint8_t> bits,
           std::span<const float> bias)
    : options_(options), bias_(bias.begin(), bias.end()) {
  constexpr int64_t kMost = 1 << 16;
  const auto in = [](int64_t value, int64_t least, int64_t most) { return value >= least && value <= most; };
  const auto& o = options_;
  require(in(o.channels, 1, 1 << 24) && in(o.filters, 1, 1 << 24), "channels and filters must be 1 to 16777216");
  require(in(o.groups, 1, o.channels) && o.channels % o.groups == 0 && o.filters % o.groups == 0,
          "group must divide channels and filters");
  for (size_t i = 0; i < 2; i++) {
    require(in(o.kernel[i], 1, kMost), "kernel_shape must be 1 to 65536");
    require(in(o.strides[i], 1, kMost), "strides must be 1 to 65536");
    require(in(o.dilations[i], 1, kMost), "dilations must be 1 to 65536");
    require(in(o.pads[i], 0, kMost) && in(o.pads[i + 2], 0, kMost), "pads must be 0 to 65536");
  }
  require(bias.empty() || bias.size() == static_cast<size_t>(o.filters), "bias must have one value per filter");
  if (bias_.empty()) bias_.resize(static_cast<size_t>(o.filters));
  const auto size = [](int64_t value) { return static_cast<size_t>(value); };
  const size_t columns = times(size(o.channels / o.groups), times(size(o.kernel[0]), size(o.kernel[1])));
  weights_ = cached_weights(values, bits, times(columns, size(o.filters)));
  if (options_.isa == nullptr) options_.isa = &default_isa();
}

std::shared_ptr<const ConvPlan> Conv::plan(size_t height, size_t width, TileMajor tile_major) {
  // Making plans under the lock bounds the memory that is needed at a time.
  const std::lock_guard lock(mutex_);
  return cached(height, width, tile_major)->get();
}

void Conv::prepare(size_t height, size_t width, TileMajor tile_major) {
  const std::lock_guard lock(mutex_);
  cached(height, width, tile_major)->start();
}

const std::shared_ptr<Conv::Plan>& Conv::cached(size_t height, size_t width, TileMajor forms) {
  for (auto at = plans_.begin(); at != plans_.end(); ++at) {
    const ConvKey& key = (*at)->key;
    if (key.height != height || key.width != width || !(key.tile_major == forms)) continue;
    plans_.splice(plans_.begin(), plans_, at);
    return plans_.front();
  }
  check_image_size(options_, height, width);
  plans_.push_front(cached_plan(key(height, width, forms)));
  if (plans_.size() > kMostPlans) plans_.pop_back();
  return plans_.front();
}

// Copies one channel of x into the planes of its phases, with zeros around the pixels.
void Conv::gather(const ConvPlan& plan, const float* x, float* to, size_t channel) const noexcept {
  to += channel * plan.phases.size() * plan.phase_stride;
  const size_t pitch = options_.x_blocked ? plan.x.pitch : plan.width;
  const float* from = options_.x_blocked ? x + plan.x.origin() + channel * plan.x.stride
                                         : x + channel * plan.height * plan.width;
  const auto row_step = static_cast<size_t>(options_.strides[0]), column_step = static_cast<size_t>(options_.strides[1]);
  const auto zero = [](float* at, float* end) { std::memset(at, 0, static_cast<size_t>(end - at) * sizeof(float)); };
  for (const auto& phase : plan.phases) {
    float* const end = to + plan.phase_stride;
    float* row = to + plan.phase_lead;
    zero(to, row);
    // The first phases may have one row or column more than the others.
    const size_t rows = plan.height <= phase.row ? 0 : std::min(plan.phase_rows, divided(plan.height - phase.row, row_step));
    const size_t columns =
        plan.width <= phase.column ? 0 : std::min(plan.phase_columns, divided(plan.width - phase.column, column_step));
    if (columns > 0) {
      options_.isa->gather_plane({.to = row,
                                  .end = end,
                                  .from = from + phase.row * pitch + phase.column,
                                  .to_pitch = plan.work.pitch,
                                  .from_pitch = row_step * pitch,
                                  .rows = rows,
                                  .columns = columns,
                                  .step = column_step});
      row += rows * plan.work.pitch;
    }
    zero(std::min(row, end), end);
    to = end;
  }
}

void Conv::run(const ConvPlan& plan, size_t images, const float* x, float* y, const float* addend,
               Parallel& parallel) const {
  const auto channels = static_cast<size_t>(options_.channels), filters = static_cast<size_t>(options_.filters);
  const size_t source_size = plan.direct_x ? 0 : plan.source_image;
  const size_t work_size = plan.direct_y ? 0 : plan.work.image(filters);
  const size_t batch = std::max<size_t>(1, kScratchFloats / std::max<size_t>(1, source_size + work_size));
  const Program& program = *plan.program;
  const size_t tiles = plan.work.tiles;
  const Scratch x_planes(plan.converts_x ? images * plan.x_image : 0);
  const Scratch addend_planes(plan.converts_addend ? images * plan.y_image : 0);
  if (plan.converts_x) x = in_planes(plan.x, images, channels, x, x_planes.data(), parallel);
  if (plan.converts_addend) addend = in_planes(plan.y, images, filters, addend, addend_planes.data(), parallel);
  if (options_.y_blocked) write_headers(plan.y, images, filters, y, plan.y_form);

  for (size_t first = 0; first < images; first += batch) {
    const size_t count = std::min(batch, images - first);
    const Scratch source(source_size * count), work(work_size * count);
    const float* from = x + first * plan.x_image;
    float* to = y + first * plan.y_image;
    const float* add = addend == nullptr ? nullptr : addend + first * plan.y_image;

    if (!plan.parts.empty()) {
      parallel.each(count * tiles, [&](size_t item) {
        const size_t image = item / tiles, tile = item % tiles;
        options_.isa->collect(source.data() + image * source_size + tile_major_at(channels, tile, 0),
                              from + image * plan.x_image + kHeader, plan.parts[tile].data(), plan.parts[tile].size(),
                              channels);
      });
    } else if (!plan.direct_x) {
      const size_t share = std::max<size_t>(1, channels / 8), shares = divided(channels, share);
      parallel.each(count * shares, [&](size_t item) {
        const size_t image = item / shares, begin = item % shares * share;
        for (size_t c = begin; c < std::min(channels, begin + share); c++) {
          gather(plan, from + image * plan.x_image, source.data() + image * source_size, c);
        }
      });
    }
    const float* in = plan.direct_x ? from : source.data();
    const size_t in_image = plan.direct_x ? plan.x_image : source_size;
    float* out = plan.direct_y ? to : work.data();
    const size_t out_image = plan.direct_y ? plan.y_image : work_size;
    const float* added = plan.direct_y ? add : nullptr;

    // A piece of work is a chunk of tiles for all groups of rows, or for a share of the groups if
    // images have few tiles.
    const size_t all = tiles * count, chunk = plan.chunk(count);
    const ProgramImages run{.x = in, .y = out, .addend = added, .x_image = in_image, .y_image = out_image};
    const size_t groups = program.groups();
    const size_t chunks = even_pieces(divided(all, chunk)), split = plan.by_rows() ? std::min(groups, kGroupShares) : 1;
    parallel.each(chunks * split, [&](size_t item) {
      const size_t part = item / split, share = item % split;
      program.run(run, {group_start(groups, split, share), group_start(groups, split, share + 1)},
                  {group_start(all, chunks, part), group_start(all, chunks, part + 1)});
    });

    if (plan.direct_y) continue;
    const size_t share = std::max<size_t>(1, filters / 8), shares = divided(filters, share);
    parallel.each(count * shares, [&](size_t item) {
      const size_t image = item / shares, begin = item % shares * share;
      const View result{.data = work.data() + image * work_size + plan.work.origin(),
                        .stride = plan.work.stride,
                        .pitch = plan.work.pitch};
      const View target = image_view(options_.y_blocked, plan.y, to + image * plan.y_image);
      const View other = image_view(options_.y_blocked, plan.y, add == nullptr ? nullptr : add + image * plan.y_image);
      for (size_t c = begin; c < std::min(filters, begin + share); c++) {
        move_plane(*options_.isa, plan.y, result, c, target, add == nullptr ? nullptr : &other,
                   options_.activation, options_.y_blocked);
      }
    });
  }
}

}  // namespace pc
