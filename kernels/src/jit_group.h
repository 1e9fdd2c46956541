// Emits the code of a group of rows, for one instruction set; see jit_program.cc.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "assembler.h"
#include "program.h"

namespace pc {

// Code for a tile. x, y, addend: images' starts plus the tile's place. weights: of the piece. ahead: code to fetch.
// mask: which lanes are pixels, as bits (AVX-512), or the address of a byte for each lane (AVX2). partial: sums of the
// pieces before, [rows][16].
using TileCode = void (*)(const float* x, const float* weights, float* y, const float* addend, const uint8_t* ahead,
                          uintptr_t mask, float* partial);

struct Piece {
  TileCode code;
  const float* weights;
};

// A group is cut by columns into chunks and by rows into strips: pieces [chunk][strip], from `first` on. All chunks but
// the last leave their sums in `partial`; all but the first begin with them. Of each chunk a block of tiles is worked on
// with all strips, then the next block.
struct Group {
  size_t first = 0, chunks = 1, strips = 1;
  size_t block = 1;  // tiles
  size_t ahead = 0;  // bytes of what follows that each piece fetches
  size_t bytes = 0;  // of code and weights
};

// Most tiles that chunks hand sums on for, and what they hand on for a tile: [strip][row][16].
inline constexpr size_t kPassTiles = 8, kStripRows = 6, kMostStrips = 4;

// The weights of some rows by column, then by row.
class Columns {
 public:
  void sort(const Matrix&, size_t first_row, size_t last_row);

  struct Entry {
    uint32_t row;  // from the first
    float weight;
  };
  size_t first() const { return first_; }  // columns are those that the rows may have weights in, [first, last)
  size_t last() const { return first_ + (starts_.empty() ? 0 : starts_.size() - 1); }
  size_t weights() const { return entries_.size(); }
  std::span<const Entry> of(size_t column) const {
    if (column < first_ || column >= last()) return {};
    const size_t begin = starts_[column - first_];
    return {entries_.data() + begin, starts_[column - first_ + 1] - begin};
  }

 private:
  size_t first_ = 0;
  std::vector<uint32_t> starts_, next_;
  std::vector<Entry> entries_;
};

class GroupEmitter {
 public:
  GroupEmitter(const ProgramSpec& spec, size_t groups) : spec_(spec), groups_(groups) {}
  virtual ~GroupEmitter() = default;

  size_t groups() const { return groups_; }
  // Bytes that code and weights of a group take at most.
  virtual size_t room(size_t group) const = 0;
  // Emits a group from `begin` on and appends its pieces. Returns its end, or null where it would pass `end`.
  virtual uint8_t* emit(size_t group, uint8_t* begin, uint8_t* end, std::vector<Piece>& pieces, Group& made) = 0;

 protected:
  size_t first_row(size_t group) const { return group_start(spec_.matrix->rows, groups_, group); }
  size_t rows(size_t group) const { return first_row(group + 1) - first_row(group); }
  size_t weight_count(size_t group) const;
  size_t following(size_t group) const { return group + 1 < groups_ ? group + 1 : 0; }

  void begin_weights();
  // The next weight in the stream; moves rsi on where it would be out of reach, `near` bytes from there.
  Memory weight(Assembler&, float value, int32_t near);
  // Ends a piece: writes the weights behind the code, on lines of their own. Null where there is no room.
  uint8_t* end_piece(Assembler&, uint8_t* begin, uint8_t* end, std::vector<Piece>& pieces);

  Memory x_at(size_t column) const;
  Memory in_row(Base base, size_t row) const;  // of y or the addend

  const ProgramSpec& spec_;
  size_t groups_;

 private:
  std::vector<float> weights_;  // in the order in which the code reads them
  int32_t place_ = 0;           // of the next weight, from where rsi points
};

std::unique_ptr<GroupEmitter> make_avx512_emitter(const ProgramSpec&);
std::unique_ptr<GroupEmitter> make_avx2_emitter(const ProgramSpec&);

}  // namespace pc
