#include "program/program.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace pc {

KernelChoice kernel_from_environment() {
  const char* wanted = std::getenv("PRUNE_COMPILE_KERNEL");
  if (wanted == nullptr) return KernelChoice::automatic;
  if (std::strcmp(wanted, "stream") == 0) return KernelChoice::stream;
  return std::strcmp(wanted, "jit") == 0 ? KernelChoice::jit : KernelChoice::automatic;
}

std::unique_ptr<Program> make_program(const ProgramSpec& spec, KernelChoice choice, const Isa& isa) {
  if (choice != KernelChoice::stream) {
    if (auto program = make_jit_program(spec, isa)) return program;
  }
  const bool is_tile_major = spec.x_tile != kLane || spec.y_tile != kLane || spec.addend_tile != kLane;
  return is_tile_major ? nullptr : make_stream_program(spec, isa);
}

size_t block_count(const Matrix& matrix, size_t groups) {
  size_t most = 0, before = 0;
  for (const size_t end : matrix.ends) {
    most = std::max(most, end - before);
    before = end;
  }
  const size_t blocks = divided(most, kBlockWeights);
  return blocks <= 1 ? 1 : blocks * groups;
}

// Eight groups and more are an even number, so that two threads (and mostly four) get equal shares.
size_t group_count(size_t rows, size_t most) {
  const size_t groups = divided(rows, most);
  return groups >= 8 ? groups + groups % 2 : groups;
}

}  // namespace pc
