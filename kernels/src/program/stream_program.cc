// The portable kernel: per weight an (offset, weight) pair, read from start to end, and multiply-adds for a few tiles whose
// sums of one row stay in registers.
//
// Every multiply-add reads pixels, so these must be in the first-level cache: columns are cut into chunks that are there
// for a pass over few tiles while all rows of a group are worked on. Sums go from chunk to chunk through a buffer. Within a
// chunk rows with as many weights follow one another, so that the processor foresees where their loops end.
#include <algorithm>
#include <cstring>
#include <vector>

#include "program/program.h"

namespace pc {
namespace {

// Lines of pixels that a chunk reads in a pass: 20 KB of a first-level cache of 32 KB, the rest being sums and weights. 256 to 384
// measured the same (Zen 3).
constexpr size_t kChunkLines = 320;
// Weights that a row should have in a chunk, even if its pixels then come from the second-level cache: handing its sums on costs
// about as much as five. 12 to 20 measured the same, 4 up to half slower at 95 % zeros (Zen 3).
constexpr double kLeastWeights = 16;

// Rows of a group. Each group reads the pixels of a chunk from the second-level cache anew: 30 rows are 3 % slower, 120 the same
// (Zen 3). Whole lines of a product's results come from 64.
constexpr size_t kMostRows = 64;
// What threads may share where groups are their pieces of work, if these keep half of that.
constexpr size_t kSharedGroups = 4;

size_t groups_of(const ProgramSpec& spec) {
  const size_t rows = spec.matrix->rows, groups = group_count(rows, kMostRows);
  return spec.by_groups ? std::max(groups, std::min(kSharedGroups, divided(rows, kMostRows / 2))) : groups;
}

struct Chunk {
  size_t entry, row;  // the first ones
  size_t row_count;
  size_t line, lines_end;  // of pixels, where this group is the first that reads them
  bool begins_block, ends_block;
};

// What sums of all blocks but the first begin with.
constexpr float kZeros[kMostRows] = {};

class StreamProgram final : public Program {
 public:
  StreamProgram(const ProgramSpec& spec, const Isa& isa)
      : isa_(isa),
        bias_(spec.bias.begin(), spec.bias.end()),
        activation_(spec.activation),
        origin_(spec.y_origin),
        stride_(spec.y_stride),
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

  void run(size_t group, const float* x, float* y, const float* addend, size_t first,
           size_t last) const noexcept override {
    if (first == last) return;
    const size_t row = first_row(group), rows = first_row(group + 1) - row;
    const size_t passes = divided(last - first, isa_.stream_tiles);
    alignas(64) float partial[kMostRows * kMostTiles * kLane];
    for (size_t pass = 0; pass < passes; pass++) {
      const size_t tile = first + group_start(last - first, passes, pass);
      const size_t tiles = first + group_start(last - first, passes, pass + 1) - tile;
      const size_t to = origin_ + row * stride_ + tile * kLane;
      const float* before = addend == nullptr ? nullptr : addend + to;  // then what blocks so far amount to, where results go
      for (size_t c = chunk_starts_[group]; c < chunk_starts_[group + 1]; c++) {
        const Chunk& chunk = chunks_[c];
        const bool is_first = c == chunk_starts_[group], is_last = c + 1 == chunk_starts_[group + 1];
        isa_.stream({entries_.data() + chunk.entry, rows_.data() + chunk.row, chunk.row_count, tiles, x + tile * kLane,
                     is_first ? bias_.data() + row : kZeros, chunk.begins_block ? nullptr : partial,
                     chunk.ends_block ? y + to : partial, chunk.ends_block ? stride_ : tiles * kLane, chunk.ends_block,
                     before, is_last ? activation_ : Activation{}, is_last && is_clean_ ? masks_.data() + tile : nullptr,
                     ahead(c, is_last ? chunk_starts_[group] : c + 1,
                           is_last && pass + 1 == passes ? nullptr : x + (is_last ? tile + tiles : tile) * kLane)});
        if (chunk.ends_block) before = y + to;
      }
    }
    if (!is_clean_ || last < masks_.size()) return;
    // What lies behind the last tile.
    for (size_t r = 0; r < rows; r++) {
      float* const plane = y + origin_ + (row + r) * stride_;
      std::memset(plane + last * kLane, 0, (clean_.stride - last * kLane) * sizeof(float));
    }
  }

 private:
  static constexpr size_t kMostTiles = 8;  // of any instruction set

  size_t first_row(size_t group) const { return group_start(bias_.size(), groups_, group); }

  // While chunk `c` is worked on: the weights behind it, and the pixels that chunk `next` reads from `x` on, where they are likely
  // to come from far. (Those that a group before has read are in the second-level cache: fetching them costs more than it saves.)
  StreamAhead ahead(size_t c, size_t next, const float* x) const {
    const Chunk& chunk = chunks_[c];
    const size_t rows = std::max<size_t>(1, chunk.row_count);
    const size_t begin = c + 1 < chunks_.size() ? chunks_[c + 1].entry : entries_.size();
    const size_t end = std::min(entries_.size(), 2 * begin - chunk.entry);
    const size_t entry_lines = divided((begin - chunk.entry) * sizeof(StreamEntry), kLane * sizeof(float));
    const size_t line = x == nullptr ? 0 : chunks_[next].line, lines_end = x == nullptr ? 0 : chunks_[next].lines_end;
    return {reinterpret_cast<const char*>(entries_.data() + begin), reinterpret_cast<const char*>(entries_.data() + end),
            divided(entry_lines, rows), x, lines_.data() + line, lines_.data() + lines_end, divided(lines_end - line, rows)};
  }

  // The lines that some columns read in a usual pass, in order, as floats from the tile's base. Taps of one channel share lines.
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

    std::vector<size_t> at;  // of each row
    for (size_t r = begin; r < end; r++) at.push_back(start(r));
    for (size_t block = 0; block < spec.blocks; block++) {
      const size_t first = from + group_start(to - from, spec.blocks, block);
      const size_t width = from + group_start(to - from, spec.blocks, block + 1) - first;
      const auto chunks =
          std::max<size_t>(1, static_cast<size_t>(static_cast<double>(width) / std::max(columns, enough) + 0.5));
      for (size_t c = 0; c < chunks; c++) {
        const size_t column = first + group_start(width, chunks, c), limit = first + group_start(width, chunks, c + 1);
        chunks_.push_back({entries_.size(), rows_.size(), 0, lines_.size(), 0, c == 0, c + 1 == chunks});
        if (is_first_reader) {
          const auto lines = lines_of(spec, column, limit);
          lines_.insert(lines_.end(), lines.begin(), lines.end());
        }
        chunks_.back().lines_end = lines_.size();
        add_chunk(spec, begin, at, limit);
      }
    }
  }

  // The weights in columns below `limit` that no chunk has yet, by rows of about as many.
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
  size_t columns_read_ = 0;  // by the groups so far
  std::vector<size_t> chunk_starts_;  // of each group
  std::vector<float> bias_;
  Activation activation_;
  size_t origin_, stride_, groups_;
  Planes clean_;
  std::vector<uint16_t> masks_;  // of each tile, where results must be clean
  bool is_clean_ = false;
};

}  // namespace

std::unique_ptr<Program> make_stream_program(const ProgramSpec& spec, const Isa& isa) {
  return std::make_unique<StreamProgram>(spec, isa);
}

}  // namespace pc
