// Chooses the planes that a convolution works on, and the offset at which each tap reads them.
#include "operators/conv_plan.h"

#include <algorithm>

#include "layout/images.h"

namespace pc {
namespace {

// The position of a tap on the input, as a phase of the stride and a shift within the plane of that
// phase.
struct Shift {
  size_t phase;
  int64_t shift;
};

Shift split(int64_t q, int64_t stride) {
  const int64_t phase = (q % stride + stride) % stride;
  return {static_cast<size_t>(phase), (q - phase) / stride};
}

std::vector<Shift> shifts(int64_t kernel, int64_t dilation, int64_t pad, int64_t stride) {
  std::vector<Shift> all;
  for (int64_t k = 0; k < kernel; k++) all.push_back(split(k * dilation - pad, stride));
  return all;
}

std::pair<int64_t, int64_t> range(const std::vector<Shift>& all) {
  const auto [least, most] =
      std::minmax_element(all.begin(), all.end(), [](const Shift& a, const Shift& b) { return a.shift < b.shift; });
  return {least->shift, most->shift};
}

std::vector<size_t> phases_of(const std::vector<Shift>& all) {
  std::vector<size_t> phases;
  for (const Shift& one : all) phases.push_back(one.phase);
  std::sort(phases.begin(), phases.end());
  phases.erase(std::unique(phases.begin(), phases.end()), phases.end());
  return phases;
}

size_t place(const std::vector<size_t>& phases, size_t phase) {
  return static_cast<size_t>(std::lower_bound(phases.begin(), phases.end(), phase) - phases.begin());
}

size_t out_size(size_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t pads) {
  const int64_t room = static_cast<int64_t>(in) + pads - (kernel - 1) * dilation - 1;
  require(room >= 0, "the image is smaller than the kernel");
  return static_cast<size_t>(room / stride + 1);
}

constexpr size_t kFewTiles = 40;  // smaller images are split by groups of rows instead of tiles

// The number of rows or columns of a phase's plane that some output reads.
size_t read_extent(size_t in, size_t stride, size_t out, int64_t most) {
  const int64_t present = static_cast<int64_t>((in + stride - 1) / stride);
  return static_cast<size_t>(std::clamp<int64_t>(static_cast<int64_t>(out) + most, 0, present));
}

// Chooses the planes. Returns, for every column of the matrix, its offset from the start of the
// image that it reads.
std::vector<uint32_t> lay_taps(const ConvOptions& o, ConvPlan& plan) {
  const auto rows = shifts(o.kernel[0], o.dilations[0], o.pads[0], o.strides[0]);
  const auto columns = shifts(o.kernel[1], o.dilations[1], o.pads[1], o.strides[1]);
  const auto [top, bottom] = range(rows);
  const auto [left, right] = range(columns);
  const auto channels = static_cast<size_t>(o.channels);

  plan.direct_x = o.x_blocked && o.strides == std::array<int64_t, 2>{1, 1} && plan.out_height == plan.height &&
                  plan.out_width == plan.width && top >= -1 && bottom <= 1 && left >= -1 && right <= 1;
  std::vector<size_t> row_phases{0}, column_phases{0};
  size_t origin = plan.x.origin(), channel_stride = plan.x.stride;
  if (plan.direct_x) {
    plan.work = plan.x;
  } else {
    row_phases = phases_of(rows);
    column_phases = phases_of(columns);
    for (const size_t row : row_phases) {
      for (const size_t column : column_phases) plan.phases.push_back({row, column});
    }
    plan.phase_rows = read_extent(plan.height, static_cast<size_t>(o.strides[0]), plan.out_height, bottom);
    plan.phase_columns = read_extent(plan.width, static_cast<size_t>(o.strides[1]), plan.out_width, right);
    // Taps to the right of a row must read zeros before the pixels of the next row; taps to the
    // left likewise.
    const int64_t gap = std::max<int64_t>(
        {1, right, static_cast<int64_t>(plan.phase_columns) - left - static_cast<int64_t>(plan.out_width)});
    plan.work = Planes(plan.out_height, plan.out_width, static_cast<size_t>(gap));
    const auto pitch = static_cast<int64_t>(plan.work.pitch);
    plan.phase_lead = round_up(static_cast<size_t>(std::max<int64_t>(0, -(top * pitch + left))), kLane);
    plan.phase_stride = plus(plan.phase_lead + plan.work.tiles * kLane,
                             static_cast<size_t>(std::max<int64_t>(0, bottom * pitch + right)));
    plan.phase_stride = round_up(plan.phase_stride, kLane);
    if (plan.phase_stride / kLane % 2 == 0) plan.phase_stride += kLane;
    origin = plan.phase_lead;
    channel_stride = times(plan.phase_stride, plan.phases.size());
    plan.source_image = times(channel_stride, channels);
    require(plan.source_image < kMaxFloats, "an image is too large");
  }

  std::vector<uint32_t> offsets;
  offsets.reserve(times(channels, rows.size() * columns.size()));
  const auto pitch = static_cast<int64_t>(plan.work.pitch);
  for (size_t c = 0; c < channels; c++) {
    for (const Shift& row : rows) {
      for (const Shift& column : columns) {
        size_t at = origin + c * channel_stride;
        if (!plan.direct_x) {
          at += (place(row_phases, row.phase) * column_phases.size() + place(column_phases, column.phase)) *
                plan.phase_stride;
        }
        offsets.push_back(static_cast<uint32_t>(static_cast<int64_t>(at) + row.shift * pitch + column.shift));
      }
    }
  }
  return offsets;
}

// Whether a program can read tile-major images: every tile for itself.
bool reads_tiles(const ConvOptions& o) {
  return o.x_blocked && o.kernel == std::array<int64_t, 2>{1, 1} && o.pads == std::array<int64_t, 4>{0, 0, 0, 0};
}

// As lay_taps, for a tile-major x. With strides, tiles are collected first.
std::vector<uint32_t> lay_tiles(const ConvOptions& o, ConvPlan& plan) {
  const auto channels = static_cast<size_t>(o.channels);
  std::vector<uint32_t> offsets;
  for (size_t c = 0; c < channels; c++) offsets.push_back(static_cast<uint32_t>(tile_major_at(channels, 0, c)));
  plan.direct_x = o.strides == std::array<int64_t, 2>{1, 1};
  plan.work = plan.direct_x ? plan.x : Planes(plan.out_height, plan.out_width);
  if (plan.direct_x) return offsets;
  plan.parts.resize(plan.work.tiles);
  for (size_t row = 0; row < plan.out_height; row++) {
    for (size_t column = 0; column < plan.out_width; column++) {
      const size_t to = row * plan.work.pitch + column;
      const size_t from = row * static_cast<size_t>(o.strides[0]) * plan.x.pitch + column * static_cast<size_t>(o.strides[1]);
      const auto tile = static_cast<uint32_t>(from / kLane * channels * kLane);
      auto& parts = plan.parts[to / kLane];
      if (parts.empty() || parts.back().tile != tile) {
        TilePart& added = parts.emplace_back(TilePart{.tile = tile, .lanes = {}});
        std::fill(std::begin(added.lanes), std::end(added.lanes), -1);
      }
      parts.back().lanes[to % kLane] = static_cast<int32_t>(from % kLane);
    }
  }
  plan.source_image = plus(kHeader, times(plan.work.tiles * kLane, channels));
  require(plan.source_image < kMaxFloats, "an image is too large");
  return offsets;
}

// A plan without its program, and the offsets that the program needs.
std::pair<std::shared_ptr<ConvPlan>, std::vector<uint32_t>> lay_out(const ConvOptions& o, size_t height, size_t width,
                                                                    bool x_tiles) {
  const auto channels = static_cast<size_t>(o.channels), filters = static_cast<size_t>(o.filters);
  auto plan = std::make_shared<ConvPlan>();
  require(height >= 1 && width >= 1, "an image has no pixels");
  require(height < kMaxFloats && width < kMaxFloats, "an image is too large");
  plan->height = height;
  plan->width = width;
  plan->out_height = out_size(height, o.kernel[0], o.strides[0], o.dilations[0], o.pads[0] + o.pads[2]);
  plan->out_width = out_size(width, o.kernel[1], o.strides[1], o.dilations[1], o.pads[1] + o.pads[3]);
  if (o.x_blocked) plan->x = Planes(height, width);
  plan->x_image = o.x_blocked ? plan->x.image(channels) : times(times(height, width), channels);
  plan->y = Planes(plan->out_height, plan->out_width);
  plan->y_image =
      o.y_blocked ? plan->y.image(filters) : times(times(plan->out_height, plan->out_width), filters);
  require(plan->x_image < kMaxFloats && plan->y_image < kMaxFloats, "an image is too large");

  std::vector<uint32_t> offsets = x_tiles ? lay_tiles(o, *plan) : lay_taps(o, *plan);
  require(plan->work.image(filters) < kMaxFloats, "an image is too large");
  plan->direct_y = o.y_blocked && plan->work.pitch == plan->y.pitch;
  plan->source_channels = channels * std::max<size_t>(1, plan->phases.size());
  plan->chunk_floats = o.isa->chunk_floats;
  return {std::move(plan), std::move(offsets)};
}

// A plan whose program reads and writes tile-major images as `forms` says. Returns null if there is no
// such program: only emitted code knows them.
std::shared_ptr<const ConvPlan> try_plan(const ConvKey& key, TileMajor forms, bool y_tiles, decltype(&make_program) make) {
  const ConvOptions& o = key.options;
  const auto channels = static_cast<size_t>(o.channels), filters = static_cast<size_t>(o.filters);
  const auto [plan, offsets] = lay_out(o, key.height, key.width, forms.x);
  if (!plan->direct_y && (forms.addend || y_tiles)) return nullptr;
  const auto kernel_size = static_cast<size_t>(o.kernel[0] * o.kernel[1]);
  const auto groups = static_cast<size_t>(o.groups);
  const Matrix matrix = matrix_of_rows(*key.weights, filters, channels / groups * kernel_size, groups);
  ProgramSpec spec;
  spec.matrix = &matrix;
  spec.blocks = block_count(matrix, groups);
  spec.offsets = offsets;
  spec.bias = key.bias;
  // If the addend has another layout than the program's results, it is added when they are moved.
  // The activation follows then.
  const bool all_at_once = plan->direct_y || !o.addend;
  spec.activation = all_at_once ? o.activation : Activation{};
  spec.addend = plan->direct_y && o.addend;
  plan->y_form = y_tiles ? Form::tile_major : Form::planes;
  const Placement y = placement(plan->work, filters, plan->y_form);
  spec.y_origin = spec.addend_origin = y.origin;
  spec.y_stride = spec.addend_stride = y.stride;
  spec.y_tile = spec.addend_tile = y.tile;
  spec.x_tile = forms.x ? channels * kLane : kLane;
  spec.tiles = plan->work.tiles;
  spec.tiles_per_run = std::min(plan->chunk(1), plan->work.tiles);
  spec.by_groups = plan->by_rows();
  spec.taps = plan->direct_x && groups == 1 && !forms.x ? kernel_size : 0;
  spec.clean = plan->direct_y ? &plan->work : nullptr;
  plan->converts_x = key.tile_major.x && !forms.x;
  plan->converts_addend = key.tile_major.addend && !forms.addend;
  plan->program = make(spec, o.kernel_choice, *o.isa);
  return plan->program == nullptr ? nullptr : plan;
}

}  // namespace

bool ConvPlan::by_rows() const { return work.tiles < kFewTiles; }

size_t ConvPlan::chunk(size_t images) const {
  const size_t fitting = chunk_floats / (source_channels * kLane);
  if (by_rows()) return std::max(2 * fitting, work.tiles);
  // At least four pieces, so that threads can share them.
  return std::clamp<size_t>(fitting, 8, (work.tiles * images + 3) / 4);
}

void check_image_size(const ConvOptions& options, size_t height, size_t width) { lay_out(options, height, width, false); }

std::shared_ptr<const ConvPlan> make_conv_plan(const ConvKey& key) { return make_conv_plan(key, make_program); }

std::shared_ptr<const ConvPlan> make_conv_plan(const ConvKey& key, decltype(&make_program) make) {
  const ConvOptions& o = key.options;
  // Where y is tile-major, so is the addend: y may be its memory.
  const bool y_tiles = o.y_blocked && o.may_write_tiles && (!o.addend || key.tile_major.addend);
  const TileMajor forms{.x = key.tile_major.x && reads_tiles(o), .addend = y_tiles && o.addend};
  if (forms.x || y_tiles) {
    if (auto plan = try_plan(key, forms, y_tiles, make)) return plan;
    if (auto plan = y_tiles ? try_plan(key, {.x = forms.x}, false, make) : nullptr) return plan;
  }
  return try_plan(key, {}, false, make);
}

}  // namespace pc
