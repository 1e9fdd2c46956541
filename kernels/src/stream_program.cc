// The portable kernel: per row a stream of (offset, weight), read from start to end for a few registers of pixels.
#include <vector>

#include "program.h"

namespace pc {
namespace {

class StreamProgram final : public Program {
 public:
  StreamProgram(const ProgramSpec& spec, const Isa& isa)
      : isa_(isa),
        bias_(spec.bias.begin(), spec.bias.end()),
        activation_(spec.activation),
        origin_(spec.y_origin),
        stride_(spec.y_stride),
        groups_(group_count(spec.matrix->rows)) {
    const Matrix& matrix = *spec.matrix;
    if (spec.clean != nullptr) {
      clean_ = *spec.clean;
      is_clean_ = true;
    }
    entries_.reserve(matrix.value.size());
    for (size_t i = 0; i < matrix.value.size(); i++) {
      entries_.push_back({spec.offsets[matrix.column[i]], matrix.value[i]});
    }
    // Ends count from the group's first entry, so that a call needs nothing of the groups before.
    starts_.push_back(0);
    for (size_t g = 0; g < groups_; g++) {
      const size_t last = group_start(matrix.rows, groups_, g + 1);
      for (size_t r = group_start(matrix.rows, groups_, g); r < last; r++) {
        ends_.push_back(matrix.ends[r] - starts_.back());
      }
      starts_.push_back(last == 0 ? 0 : matrix.ends[last - 1]);
    }
  }

  const char* name() const override { return "stream"; }
  size_t groups() const override { return groups_; }

  void run(size_t group, const float* x, float* y, const float* addend, size_t first,
           size_t last) const noexcept override {
    const size_t row = group_start(bias_.size(), groups_, group);
    const size_t rows = group_start(bias_.size(), groups_, group + 1) - row;
    const size_t to = origin_ + row * stride_ + first * kLane;
    isa_.stream({entries_.data() + starts_[group], ends_.data() + row, bias_.data() + row, rows, last - first,
                 x + first * kLane, y + to, addend == nullptr ? nullptr : addend + to, stride_, activation_});
    if (!is_clean_) return;
    for (size_t r = 0; r < rows; r++) clear_borders(clean_, y + origin_ + (row + r) * stride_, first, last);
  }

 private:
  const Isa& isa_;
  std::vector<StreamEntry> entries_;
  std::vector<uint32_t> ends_, starts_;
  std::vector<float> bias_;
  Activation activation_;
  size_t origin_, stride_, groups_;
  Planes clean_;
  bool is_clean_ = false;
};

}  // namespace

std::unique_ptr<Program> make_stream_program(const ProgramSpec& spec, const Isa& isa) {
  return std::make_unique<StreamProgram>(spec, isa);
}

}  // namespace pc
