// The code that is emitted for a layer: what it must compute, and what it does when interpreted or executed.
#pragma once
#include <span>

#include "interpret.h"
#include "jit/jit_group.h"

namespace test {

// One group's code with its weights behind it: [begin, weights) and [weights, end).
struct GroupCode {
  const uint8_t *begin = nullptr, *weights = nullptr, *end = nullptr;
  size_t first_row = 0, last_row = 0;
};

// All a test needs of an emitter. It runs on every machine: nothing that is emitted is executed here.
class Emitter {
 public:
  explicit Emitter(const pc::ProgramSpec& spec)
      : rows_(spec.matrix->rows), groups_(pc::group_count(rows_, pc::kJitRows)), emitter_(spec) {}
  size_t groups() const { return groups_; }
  size_t room(size_t group) const { return emitter_.room(group); }
  // Nothing lies at `end` of the result where the room did not suffice.
  GroupCode emit(size_t group, uint8_t* begin, uint8_t* end) {
    const pc::EmittedGroup made = emitter_.emit(group, begin, end);
    return {begin, reinterpret_cast<const uint8_t*>(made.weights), made.end, pc::group_start(rows_, groups_, group),
            pc::group_start(rows_, groups_, group + 1)};
  }

 private:
  size_t rows_, groups_;
  pc::GroupEmitter emitter_;
};

// The code of all groups, one behind the other on lines of their own, as programs keep it.
struct LayerCode {
  std::vector<uint8_t> memory;
  std::vector<GroupCode> groups;
  explicit LayerCode(const pc::ProgramSpec&);
};

// One image of each, as the code may reach it. The addend may be y; it is empty where there is none.
struct Images {
  std::span<const float> x;
  std::span<float> y;
  std::span<const float> addend;
};

// What one row has in one lane of a tile before anything that emitted code leaves to others; `lane` counts from the
// image's first tile. The contract: fused multiply-adds in the order of the columns, starting with the bias, or for each
// further block of columns with zero, and the sums of blocks added; the addend behind the first; then the activation, if it
// is simple; then zero where there is no pixel.
float promised(const pc::ProgramSpec&, const Images&, size_t row, size_t lane);

// Where that is written, in y.
size_t place(const pc::ProgramSpec&, size_t row, size_t lane);

// Throws Fault where `code` does what it may not.
void interpret(const pc::ProgramSpec&, const Images&, size_t tile, const GroupCode&, std::span<const uint8_t> code);

// Runs the code for all tiles on this machine's processor, which must be able to.
void execute(const pc::ProgramSpec&, const Images&, const GroupCode&);

// The same bits, or both NaN: which NaN comes out of a sum is nobody's promise.
bool same(float a, float b);

}  // namespace test
