// The emitted code of a layer: the results it promises, and ways to interpret and execute it.
#pragma once
#include <span>

#include "interpret.h"
#include "jit/jit_group.h"

namespace test {

// The code of a piece and its weights: [begin, weights) and [weights, end).
struct PieceCode {
  const uint8_t *begin = nullptr, *weights = nullptr, *end = nullptr;
  std::span<const uint8_t> code() const { return {begin, weights}; }
};

// The pieces of a group of rows.
struct GroupCode {
  std::vector<PieceCode> pieces;
  size_t first_row = 0, last_row = 0;
};

// The parts of an emitter that tests need. It runs on every machine: it does not execute what it
// emits.
class Emitter {
 public:
  explicit Emitter(const pc::ProgramSpec& spec) : emitter_(spec) {}
  size_t bundles() const { return emitter_.bundles(); }
  size_t room(size_t bundle) const { return emitter_.room(bundle); }
  // The groups of a bundle; none if the memory was too small. `begin` advances to the end of the code.
  std::vector<GroupCode> emit(size_t bundle, uint8_t*& begin, uint8_t* end) {
    const pc::EmittedBundle made = emitter_.emit(bundle, begin, end);
    if (made.pieces.empty()) return {};
    const pc::Range groups = emitter_.groups_of(bundle);
    const size_t count = groups.last - groups.first;
    std::vector<GroupCode> codes;
    for (size_t g = groups.first; g < groups.last; g++) {
      const pc::Range rows = emitter_.rows_of(g);
      codes.push_back({.pieces = {}, .first_row = rows.first, .last_row = rows.last});
    }
    for (size_t i = 0; i < made.pieces.size(); i++) {
      const pc::EmittedPiece& piece = made.pieces[i];
      codes[i % count].pieces.push_back({piece.begin, reinterpret_cast<const uint8_t*>(piece.weights), piece.end});
    }
    begin += made.pieces.back().end - begin;
    return codes;
  }

 private:
  pc::GroupEmitter emitter_;
};

// The code of all groups, contiguous and aligned to cache lines, as in programs.
struct LayerCode {
  std::vector<uint8_t> memory;
  std::vector<GroupCode> groups;
  explicit LayerCode(const pc::ProgramSpec&);
};

// One image of each, with the bounds that the code must respect. The addend may be y; it is empty
// if there is none.
struct Images {
  std::span<const float> x;
  std::span<float> y;
  std::span<const float> addend;
};

// The promised value of one row in one lane after emitted code has run; `lane` counts from the
// first tile of the image. The contract: fused multiply-adds in the order of the columns, starting
// with the bias; further blocks of columns start with zero and are added; the addend follows the
// first block; then comes the activation, if it is simple; then lanes that are not pixels become
// zero.
float promised(const pc::ProgramSpec&, const Images&, size_t row, size_t lane);

// The index of that value in y.
size_t place(const pc::ProgramSpec&, size_t row, size_t lane);

// The state of a tile before the first piece: its sums are NaN.
pc::TileState state_before(const pc::ProgramSpec&, size_t tile);

// Interprets the code of a piece for one tile. Throws Fault if it violates a rule of the
// interpreter.
void interpret(const pc::ProgramSpec&, const Images&, size_t tile, const PieceCode&, std::span<const uint8_t> code,
               pc::TileState&);

// Runs all pieces for all tiles on the processor, which must have AVX-512.
void execute(const pc::ProgramSpec&, const Images&, const GroupCode&);

// Whether two floats have the same bits or are both NaN: sums do not promise a certain NaN.
bool same(float a, float b);

}  // namespace test
