// The stream kernel, which is portable: reads one (offset, weight) pair per weight, in order, and
// does multiply-adds for a few tiles. The sums of one row stay in registers.
//
// Every multiply-add reads pixels, so the pixels must be in the first-level cache. The columns are
// therefore cut into chunks whose pixels stay there while all rows of a group use them. A buffer
// carries the sums from chunk to chunk. Within a chunk, rows are sorted by their number of weights,
// so that the branch predictor foresees where their loops end.
#include <algorithm>
#include <cstring>
#include <vector>

#include "program/program.h"

namespace pc {
namespace {

// Cache lines of pixels that a chunk reads in a pass: 20 KB of a first-level cache of 32 KB; sums
// and weights take the rest. 256 to 384 measured the same (Zen 3).
constexpr size_t kChunkLines = 320;
// Weights that a row should have in a chunk, even if pixels then come from the second-level cache:
// carrying its sums to the next chunk costs as much as about five weights. 12 to 20 measured the
// same; 4 was up to half slower at 95 % zeros (Zen 3).
constexpr double kLeastWeights = 16;

// Rows of a group. Each group reads the pixels of a chunk from the second-level cache again: 30
// rows were 3 % slower, 120 the same (Zen 3). MatMul writes whole cache lines of results with 64.
constexpr size_t kMostRows = 64;
// The least number of groups if threads share groups, provided that each keeps half of kMostRows.
constexpr size_t kSharedGroups = 4;

size_t groups_of(const ProgramSpec& spec) {
  const size_t rows = spec.matrix->rows, groups = group_count(rows, kMostRows);
  return spec.by_groups ? std::max(groups, std::min(kSharedGroups, divided(rows, kMostRows / 2))) : groups;
}

struct Chunk {
  size_t entry, row;  // indices of the first entry and row
  size_t row_count;
  size_t line, lines_end;  // of pixels, if no earlier group reads them; otherwise empty
  bool begins_block, ends_block;
};

// The initial sums of every block but the first.
constexpr float kZeros[kMostRows] = {};

class StreamProgram final : public Program {
 public:
  StreamProgram(const ProgramSpec& spec, const Isa& isa)
      : isa_(isa),
        bias_(spec.bias.begin(), spec.bias.end()),
        activation_(spec.activation),
        origin_(spec.y_origin),
        stride_(spec.y_stride),
        addend_origin_(spec.addend_origin),
        addend_stride_(spec.addend_stride),
        tiles_(spec.tiles),
        groups_(groups_of(spec)) {
    const Matrix& matrix = *spec.matrix;
    if (spec.clean != nullptr) {
      clean_ = *spec.clean;
      is_clean_ = true;
      for (size_t t = 0; t < spec.tiles; t++) masks_.push_back(clean_.mask(t));
    }
    entries_.reserve(matrix.value.size());
    const double columns = columns_per_chunk(spec);
    chunk_starts_.push_back(0);
    for (size_t g = 0; g < groups_; g++) {
      add_group(spec, first_row(g), first_row(g + 1), columns);
      chunk_starts_.push_back(chunks_.size());
    }
  }

  const char* name() const override { return "stream"; }
  size_t groups() const override { return groups_; }
  size_t first_row(size_t group) const override { return group_start(bias_.size(), groups_, group); }

  // The loop over groups is the outer one: the weights of a group stay in the cache for all tiles.
  void run(const ProgramImages& images, Range groups, Range tiles) const noexcept override {
    for (size_t group = groups.first; group < groups.last; group++) {
      for (size_t at = tiles.first; at < tiles.last;) {
        const size_t image = at / tiles_, tile = at % tiles_, end = std::min(tiles_, tile + tiles.last - at);
        run_image(group, images.x + image * images.x_image, images.y + image * images.y_image,
                  images.addend == nullptr ? nullptr : images.addend + image * images.y_image, tile, end);
        at += end - tile;
      }
    }
  }

 private:
  static constexpr size_t kMostTiles = 8;  // the largest Isa::stream_tiles

  void run_image(size_t group, const float* x, float* y, const float* addend, size_t first, size_t last) const noexcept {
    const size_t row = first_row(group), rows = first_row(group + 1) - row;
    const size_t passes = divided(last - first, isa_.stream_tiles);
    alignas(64) float partial[kMostRows * kMostTiles * kLane];
    for (size_t pass = 0; pass < passes; pass++) {
      const size_t tile = first + group_start(last - first, passes, pass);
      const size_t tiles = first + group_start(last - first, passes, pass + 1) - tile;
      const size_t to = origin_ + row * stride_ + tile * kLane;
      // Is added when a block ends: first the addend, then the earlier blocks, which y holds.
      const float* before = addend == nullptr ? nullptr : addend + addend_origin_ + row * addend_stride_ + tile * kLane;
      size_t before_stride = addend_stride_;
      for (size_t c = chunk_starts_[group]; c < chunk_starts_[group + 1]; c++) {
        const Chunk& chunk = chunks_[c];
        const bool is_first = c == chunk_starts_[group], is_last = c + 1 == chunk_starts_[group + 1];
        // What runs after this chunk: the next one, or the first one of the next pass.
        const size_t next = is_last ? chunk_starts_[group] : c + 1;
        const float* next_x = is_last && pass + 1 == passes ? nullptr : x + (is_last ? tile + tiles : tile) * kLane;
        isa_.stream({.entries = entries_.data() + chunk.entry,
                     .rows = rows_.data() + chunk.row,
                     .row_count = chunk.row_count,
                     .tiles = tiles,
                     .x = x + tile * kLane,
                     .bias = is_first ? bias_.data() + row : kZeros,
                     .partial = chunk.begins_block ? nullptr : partial,
                     .to = chunk.ends_block ? y + to : partial,
                     .to_stride = chunk.ends_block ? stride_ : tiles * kLane,
                     .is_complete = chunk.ends_block,
                     .addend = before,
                     .addend_stride = before_stride,
                     .activation = is_last ? activation_ : Activation{},
                     .masks = is_last && is_clean_ ? masks_.data() + tile : nullptr,
                     .prefetch = prefetch(c, next, next_x)});
        if (!chunk.ends_block) continue;
        before = y + to;
        before_stride = stride_;
      }
    }
    if (!is_clean_ || last < masks_.size()) return;
    // The floats after the last tile.
    for (size_t r = 0; r < rows; r++) {
      float* const plane = y + origin_ + (row + r) * stride_;
      std::memset(plane + last * kLane, 0, (clean_.stride - last * kLane) * sizeof(float));
    }
  }

  // What to prefetch during chunk `c`: the weights after it, and the pixels that chunk `next` reads
  // from `x` on, if no earlier group has read them. Pixels that an earlier group has read are in
  // the second-level cache: prefetching them costs more than it saves.
  StreamPrefetch prefetch(size_t c, size_t next, const float* x) const {
    const Chunk& chunk = chunks_[c];
    const size_t rows = std::max<size_t>(1, chunk.row_count);
    const size_t begin = c + 1 < chunks_.size() ? chunks_[c + 1].entry : entries_.size();
    const size_t end = std::min(entries_.size(), 2 * begin - chunk.entry);
    const size_t entry_lines = divided((begin - chunk.entry) * sizeof(StreamEntry), kLane * sizeof(float));
    const size_t line = x == nullptr ? 0 : chunks_[next].line, lines_end = x == nullptr ? 0 : chunks_[next].lines_end;
    return {.entries = reinterpret_cast<const char*>(entries_.data() + begin),
            .entries_end = reinterpret_cast<const char*>(entries_.data() + end),
            .entry_lines = divided(entry_lines, rows),
            .x = x,
            .lines = lines_.data() + line,
            .lines_end = lines_.data() + lines_end,
            .pixel_lines = divided(lines_end - line, rows)};
  }

  // The cache lines that a range of columns reads in a usual pass, sorted, as floats from the base
  // of the tile. Taps of one channel share lines.
  std::vector<uint32_t> lines_of(const ProgramSpec& spec, size_t first_column, size_t columns_end) const {
    const size_t tiles = std::max<size_t>(1, spec.tiles_per_run);
    const size_t pass = divided(tiles, divided(tiles, isa_.stream_tiles));
    std::vector<uint32_t> lines;
    for (size_t column = first_column; column < columns_end; column++) {
      const size_t begin = spec.offsets[column] / kLane, end = divided(spec.offsets[column] + pass * kLane, kLane);
      for (size_t at = begin; at < end; at++) lines.push_back(static_cast<uint32_t>(at * kLane));
    }
    std::sort(lines.begin(), lines.end());
    lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
    return lines;
  }

  double columns_per_chunk(const ProgramSpec& spec) const {
    const auto lines = static_cast<double>(lines_of(spec, 0, spec.offsets.size()).size());
    return static_cast<double>(kChunkLines * std::max<size_t>(1, spec.offsets.size())) / std::max(1.0, lines);
  }

  void add_group(const ProgramSpec& spec, size_t begin, size_t end, double columns) {
    const Matrix& matrix = *spec.matrix;
    const auto start = [&](size_t r) -> size_t { return r == 0 ? 0 : matrix.ends[r - 1]; };
    const size_t weights = start(end) - start(begin);
    size_t from = 0, to = 1;
    if (spec.blocks > 1) {
      to = matrix.columns;
    } else if (weights > 0) {
      const auto [least, most] = std::minmax_element(matrix.column.begin() + static_cast<std::ptrdiff_t>(start(begin)),
                                                     matrix.column.begin() + static_cast<std::ptrdiff_t>(start(end)));
      from = *least;
      to = *most + size_t{1};
    }
    const double enough = kLeastWeights * static_cast<double>((to - from) * (end - begin)) /
                          static_cast<double>(std::max<size_t>(1, weights));
    const bool is_first_reader = from >= columns_read_;
    columns_read_ = std::max(columns_read_, to);

    std::vector<size_t> at;  // the next weight of each row
    for (size_t r = begin; r < end; r++) at.push_back(start(r));
    for (size_t block = 0; block < spec.blocks; block++) {
      const size_t first = from + group_start(to - from, spec.blocks, block);
      const size_t width = from + group_start(to - from, spec.blocks, block + 1) - first;
      const auto chunks =
          std::max<size_t>(1, static_cast<size_t>(static_cast<double>(width) / std::max(columns, enough) + 0.5));
      for (size_t c = 0; c < chunks; c++) {
        const size_t column = first + group_start(width, chunks, c), limit = first + group_start(width, chunks, c + 1);
        chunks_.push_back({.entry = entries_.size(),
                           .row = rows_.size(),
                           .row_count = 0,
                           .line = lines_.size(),
                           .lines_end = 0,
                           .begins_block = c == 0,
                           .ends_block = c + 1 == chunks});
        if (is_first_reader) {
          const auto lines = lines_of(spec, column, limit);
          lines_.insert(lines_.end(), lines.begin(), lines.end());
        }
        chunks_.back().lines_end = lines_.size();
        add_chunk(spec, begin, at, limit);
      }
    }
  }

  // Adds the weights in columns below `limit` that no earlier chunk has, with rows sorted by their
  // number of weights. `at` holds the next weight of each row.
  void add_chunk(const ProgramSpec& spec, size_t begin, std::vector<size_t>& at, size_t limit) {
    const Matrix& matrix = *spec.matrix;
    Chunk& chunk = chunks_.back();
    std::vector<size_t> counts(at.size()), order(at.size());
    for (size_t r = 0; r < at.size(); r++) {
      const auto row_end = matrix.column.begin() + matrix.ends[begin + r];
      const auto first = matrix.column.begin() + static_cast<std::ptrdiff_t>(at[r]);
      counts[r] = static_cast<size_t>(std::lower_bound(first, row_end, limit) - first);
      order[r] = r;
    }
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return counts[a] < counts[b]; });
    for (const size_t r : order) {
      if (counts[r] == 0 && !chunk.begins_block && !chunk.ends_block) continue;
      for (const size_t stop = at[r] + counts[r]; at[r] < stop; at[r]++) {
        entries_.push_back({spec.offsets[matrix.column[at[r]]], matrix.value[at[r]]});
      }
      rows_.push_back({static_cast<uint32_t>(r), static_cast<uint32_t>(entries_.size() - chunk.entry)});
      chunk.row_count++;
    }
  }

  const Isa& isa_;
  std::vector<StreamEntry> entries_;
  std::vector<StreamRow> rows_;
  std::vector<Chunk> chunks_;
  std::vector<uint32_t> lines_;
  size_t columns_read_ = 0;           // by earlier groups
  std::vector<size_t> chunk_starts_;  // per group
  std::vector<float> bias_;
  Activation activation_;
  size_t origin_, stride_, addend_origin_, addend_stride_, tiles_, groups_;
  Planes clean_;
  std::vector<uint16_t> masks_;  // per tile, if results must be clean
  bool is_clean_ = false;
};

}  // namespace

std::unique_ptr<Program> make_stream_program(const ProgramSpec& spec, const Isa& isa) {
  return std::make_unique<StreamProgram>(spec, isa);
}

}  // namespace pc
