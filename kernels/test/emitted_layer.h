// A random layer, the code that is emitted for it, and what that code must compute.
#pragma once
#include <span>

#include "interpret.h"
#include "jit_group.h"
#include "support.h"

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
      : rows_(spec.matrix->rows), groups_(pc::group_count(rows_)), emitter_(spec) {}
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

struct Layer {
  pc::Matrix matrix;
  std::vector<uint32_t> offsets;
  std::vector<float> bias;
  pc::Planes planes;  // where results go, if those are cleaned
  pc::ProgramSpec spec;
  std::vector<float> x, y, addend;
  bool in_place = false;  // y lies where the addend does

  // With `usual`, no weight or input is one of the special numbers, and some weight is kept.
  Layer(Random&, bool usual);
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  std::vector<float> expected() const;
  float result(size_t row, const float* x, const float* addend) const;

 private:
  void lay_convolution(Random&);
  void lay_multiplication(Random&);
  void draw_matrix(Random&, size_t columns, size_t groups, bool usual);
};

// The code of all groups, one behind the other on lines of their own, as programs keep it.
struct LayerCode {
  std::vector<uint8_t> memory;
  std::vector<GroupCode> groups;
  explicit LayerCode(const pc::ProgramSpec&);
};

// Throws Fault where `code` does what it may not. Otherwise `y` is what it leaves behind.
void interpret(const Layer&, const GroupCode&, std::span<const uint8_t> code, std::vector<float>& y);

// Runs the code on this machine's processor, which must be able to.
void execute(const Layer&, const GroupCode&, std::vector<float>& y);

// The same bits, or both NaN: which NaN comes out of a sum is nobody's promise.
bool same(float a, float b);

}  // namespace test
