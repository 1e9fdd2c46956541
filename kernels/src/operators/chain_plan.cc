// Lays out a chain: the buffers that hold the results between the steps, the strips, and the
// programs that read and write them.
#include <algorithm>

#include "layout/images.h"
#include "operators/chain.h"

namespace pc {
namespace {

// Shorter strips would read the code too often, and would mostly move what the next strip reads.
constexpr Tile kLeastStrip = 8;
constexpr Tile kLeastReaches = 2;

constexpr size_t kTileBytes = kLane * sizeof(float);  // of one channel

size_t size_of(int64_t value) { return static_cast<size_t>(value); }

// Tiles before and after a tile that a kernel of this size reads, on planes of this pitch.
Tile reach_of(const ChainStep& step, const Planes& planes) {
  const size_t floats = (step.kernel[0] > 1 ? planes.pitch : 0) + (step.kernel[1] > 1 ? 1 : 0);
  return static_cast<Tile>(divided(floats, kLane));
}

bool is_pointwise(const ChainStep& step) { return step.kernel == std::array<int64_t, 2>{1, 1}; }

// The form of an image of the chain if tile-major ones are possible: every step that reads it must
// take every tile for itself. A residual may have either form.
Form form_of(const ChainOptions& options, size_t image) {
  const auto fits = [&](const ChainStep& step) { return step.source != image || is_pointwise(step); };
  return std::all_of(options.steps.begin(), options.steps.end(), fits) ? Form::tile_major : Form::planes;
}

// Calls visit(step, reach) for every step that reads the result of step `index`. A residual has no
// reach.
template <typename Visit>
void readers(const ChainPlan& plan, size_t index, Visit&& visit) {
  for (size_t j = 0; j < plan.steps.size(); j++) {
    if (plan.steps[j].source == index + 1) visit(j, plan.steps[j].reach);
    if (plan.steps[j].residual == index + 1) visit(j, Tile{0});
  }
}

// The first tile of the result of step `index` that steps which continue at `from` still read.
Tile first_read(const ChainPlan& plan, size_t index, const std::vector<Tile>& from) {
  auto least = static_cast<Tile>(plan.planes.tiles);
  readers(plan, index, [&](size_t j, Tile reach) { least = std::min(least, from[j] - reach); });
  return least;
}

// The offset at which each column of the matrix reads: channels `stride` floats apart, the first one
// `origin` floats after the start.
std::vector<uint32_t> offsets_of(const ChainStep& step, const Planes& planes, size_t origin, size_t stride) {
  std::vector<uint32_t> offsets;
  const int64_t rows = step.kernel[0] / 2, columns = step.kernel[1] / 2;
  const auto pitch = static_cast<int64_t>(planes.pitch);
  for (int64_t c = 0; c < step.channels; c++) {
    const int64_t plane = static_cast<int64_t>(origin) + c * static_cast<int64_t>(stride);
    for (int64_t dy = -rows; dy <= rows; dy++) {
      for (int64_t dx = -columns; dx <= columns; dx++) {
        offsets.push_back(static_cast<uint32_t>(plane + dy * pitch + dx));
      }
    }
  }
  return offsets;
}

// Strips of `length` tiles of the last result. Earlier results are ahead as far as later steps read.
std::vector<ChainPlan::Strip> strips_of(const ChainPlan& plan, Tile length) {
  const size_t count = plan.steps.size(), buffers = plan.buffers.size();
  const auto tiles = static_cast<Tile>(plan.planes.tiles);
  const Tile pieces = (tiles + length - 1) / length;
  std::vector<Tile> from(count);
  std::vector<ChainPlan::Strip> all;
  for (Tile s = 0; s < pieces; s++) {
    ChainPlan::Strip strip;
    strip.from = from;
    strip.to.assign(count, tiles * (s + 1) / pieces);
    strip.low.assign(buffers, tiles);
    strip.high.assign(buffers, 0);
    for (size_t i = count - 1; i-- > 0;) {
      Tile most = 0;
      readers(plan, i, [&](size_t j, Tile reach) { most = std::max(most, strip.to[j] + reach); });
      strip.to[i] = std::min(most, tiles);
      const size_t b = plan.steps[i].buffer;
      strip.low[b] = std::min(strip.low[b], first_read(plan, i, from));
      // The zeros below the image belong to it.
      strip.high[b] = std::max(strip.high[b], from[i] == tiles ? tiles + plan.buffers[b].reach : from[i]);
    }
    from = strip.to;
    all.push_back(std::move(strip));
  }
  return all;
}

// Whether the result of step `index` may replace its residual tile by tile: whatever else reads the
// residual must be ahead.
bool replaces_residual(const ChainPlan& plan, size_t index, const std::vector<ChainPlan::Strip>& strips) {
  const auto residual = plan.steps[index].residual;
  if (!residual || *residual == 0 || plan.steps[index].source == *residual) return false;
  const auto tiles = static_cast<Tile>(plan.planes.tiles);
  bool holds = true;
  readers(plan, *residual - 1, [&](size_t j, Tile reach) {
    if (j == index) return;
    holds = holds && j < index;
    for (const auto& strip : strips) holds = holds && (strip.to[j] == tiles || strip.to[index] <= strip.to[j] - reach);
  });
  return holds;
}

// Bytes of the buffers that are in use during a strip, at most.
size_t bytes_in_use(const ChainPlan& plan) {
  size_t most = 0;
  for (const auto& strip : plan.strips) {
    std::vector<Tile> end(plan.buffers.size());
    for (size_t i = 0; i + 1 < plan.steps.size(); i++) {
      Tile& one = end[plan.steps[i].buffer];
      one = std::max(one, strip.to[i]);
    }
    size_t bytes = 0;
    for (size_t b = 0; b < end.size(); b++) {
      bytes += static_cast<size_t>(std::max<Tile>(0, end[b] - strip.low[b])) * plan.buffers[b].channels * kTileBytes;
    }
    most = std::max(most, bytes);
  }
  return most;
}

// Gives every result but the last a buffer, and cuts the image into strips of `length` tiles.
void lay_strips(const ChainOptions& options, Tile length, bool takes_tiles, ChainPlan& plan) {
  const size_t results = plan.steps.size() - 1;
  const auto form = [&](size_t step) { return takes_tiles ? form_of(options, step + 1) : Form::planes; };
  plan.buffers.assign(results, {});
  for (size_t i = 0; i < results; i++) plan.steps[i].buffer = i;
  const auto strips = strips_of(plan, length);
  std::vector<ChainPlan::Buffer> buffers;
  for (size_t i = 0; i < results; i++) {
    ChainPlan::Step& step = plan.steps[i];
    if (replaces_residual(plan, i, strips) && form(i) == form(*step.residual - 1)) {
      step.buffer = plan.steps[*step.residual - 1].buffer;
    } else {
      step.buffer = buffers.size();
      buffers.push_back({.channels = size_of(options.steps[i].filters), .form = form(i)});
    }
    ChainPlan::Buffer& buffer = buffers[step.buffer];
    readers(plan, i, [&](size_t, Tile reach) { buffer.reach = std::max(buffer.reach, reach); });
  }
  plan.buffers = std::move(buffers);
  plan.strips = strips_of(plan, length);
}

ProgramSpec spec_of(const ChainOptions& options, const ChainPlan& plan, size_t index) {
  const ChainStep& step = options.steps[index];
  const auto buffer_of = [&](size_t image) -> const ChainPlan::Buffer& {
    return plan.buffers[plan.steps[image - 1].buffer];
  };
  ProgramSpec spec;
  spec.activation = step.activation;
  spec.addend = step.residual.has_value();
  const auto place_of = [&](size_t image) -> Placement {
    if (image > 0 && image < plan.steps.size()) return {0, buffer_of(image).stride, buffer_of(image).tile};
    const int64_t channels = image == 0 ? options.steps.front().channels : step.filters;
    return placement(plan.planes, size_of(channels), image == 0 ? plan.x_form : plan.y_form);
  };
  const Placement y = place_of(index + 1), addend = place_of(step.residual.value_or(index + 1));
  spec.y_origin = y.origin;
  spec.y_stride = y.stride;
  spec.y_tile = y.tile;
  spec.addend_origin = addend.origin;
  spec.addend_stride = addend.stride;
  spec.addend_tile = addend.tile;
  spec.x_tile = place_of(step.source).tile;
  spec.tiles = plan.planes.tiles;
  spec.tiles_per_run = divided(plan.planes.tiles, plan.strips.size());
  const bool is_far = step.source == 0 && plan.x_form == Form::planes && step.groups == 1;
  spec.taps = is_far ? size_of(step.kernel[0] * step.kernel[1]) : 0;
  return spec;
}

// Returns null if images would be tile-major, which only emitted code knows, and there is none.
std::shared_ptr<const ChainPlan> try_plan(const ChainKey& key, bool takes_tiles) {
  const ChainOptions& o = key.options;
  auto plan = std::make_shared<ChainPlan>();
  if (takes_tiles) {
    plan->x_form = key.is_x_tile_major ? form_of(o, 0) : Form::planes;
    plan->y_form = o.may_write_tiles ? Form::tile_major : Form::planes;
  }
  plan->converts_x = key.is_x_tile_major && plan->x_form == Form::planes;
  plan->planes = Planes(key.height, key.width);
  const Planes& planes = plan->planes;
  const auto tiles = static_cast<Tile>(planes.tiles);
  plan->x_image = planes.image(size_of(o.steps.front().channels));
  plan->y_image = planes.image(size_of(o.steps.back().filters));
  size_t most_channels = size_of(o.steps.front().channels);
  for (const ChainStep& step : o.steps) {
    ChainPlan::Step made;
    made.source = step.source;
    made.residual = step.residual;
    made.reach = reach_of(step, planes);
    plan->steps.push_back(std::move(made));
    most_channels = std::max(most_channels, size_of(step.filters));
  }
  require(planes.image(most_channels) < kMaxFloats, "an image is too large");

  // The longest strips that fit: every strip reads the code again. For three bottlenecks of ResNet-50
  // on 56 x 56 pixels, strips of 17 to 34 tiles measured the same with a cache of 2 MB.
  const auto fits = [&](Tile length) {
    lay_strips(o, length, takes_tiles, *plan);
    const size_t passing = static_cast<size_t>(length) * size_of(o.steps.front().channels + o.steps.back().filters) * kTileBytes;
    return bytes_in_use(*plan) + passing <= o.cache_bytes;
  };
  const auto longest = [&] {
    Tile length = kLeastStrip;
    for (const ChainPlan::Step& step : plan->steps) length = std::max(length, kLeastReaches * step.reach);
    if (length >= tiles || fits(tiles) || !fits(length)) return tiles;
    for (Tile longer = tiles; longer - length > 1;) {
      const Tile middle = length + (longer - length) / 2;
      (fits(middle) ? length : longer) = middle;
    }
    return length;
  };
  lay_strips(o, o.strip_tiles == 0 ? longest() : std::min(tiles, static_cast<Tile>(o.strip_tiles)), takes_tiles, *plan);
  plan->whole = strips_of(*plan, tiles).front();
  plan->chunk = std::clamp<size_t>(o.isa->chunk_floats / (most_channels * kLane), 8, divided(planes.tiles, 4) + 8);
  for (ChainPlan::Buffer& buffer : plan->buffers) {
    const size_t lines = planes.tiles + 2 * static_cast<size_t>(buffer.reach);
    const bool in_planes = buffer.form == Form::planes;
    buffer.stride = in_planes ? (lines % 2 == 0 ? lines + 1 : lines) * kLane : kLane;
    buffer.tile = in_planes ? kLane : buffer.channels * kLane;
    buffer.start = plan->scratch;
    plan->scratch = plus(plan->scratch, times(in_planes ? buffer.stride : planes.tiles * kLane, buffer.channels));
  }
  require(plan->scratch < kMaxFloats, "an image is too large");

  for (size_t i = 0; i < o.steps.size(); i++) {
    const ChainStep& step = o.steps[i];
    const size_t taps = size_of(step.kernel[0] * step.kernel[1]);
    const Matrix matrix =
        matrix_of_rows(*key.weights[i], size_of(step.filters), size_of(step.channels / step.groups) * taps, size_of(step.groups));
    const auto reach = static_cast<size_t>(plan->steps[i].reach);
    const Placement x = placement(planes, size_of(step.channels), plan->x_form);
    const std::vector<uint32_t> offsets =
        step.source == 0 ? offsets_of(step, planes, x.origin, x.stride)
                         : offsets_of(step, planes, reach * kLane, plan->buffers[plan->steps[step.source - 1].buffer].stride);
    Planes result = planes;
    if (i + 1 < o.steps.size()) {
      result.stride = (planes.tiles + static_cast<size_t>(plan->buffers[plan->steps[i].buffer].reach)) * kLane;
    }
    ProgramSpec spec = spec_of(o, *plan, i);
    spec.matrix = &matrix;
    spec.blocks = block_count(matrix, size_of(step.groups));
    spec.offsets = offsets;
    spec.bias = key.biases[i];
    spec.clean = &result;
    plan->steps[i].program = make_program(spec, o.kernel_choice, *o.isa);
    if (plan->steps[i].program == nullptr) return nullptr;
  }
  return plan;
}

}  // namespace

std::shared_ptr<const ChainPlan> make_chain_plan(const ChainKey& key) {
  if (auto plan = try_plan(key, true)) return plan;
  return try_plan(key, false);
}

}  // namespace pc
