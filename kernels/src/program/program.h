// Programs: sparse matrices prepared to run over tiles of 16 pixels. Every layer computes
//
//   y[r][p] = activation(bias[r] + sum over columns j of w[r][j] * x[offset[j] + p]
//                        (+ addend[r][p]))
//
// for rows r and pixels p. Only the offsets differ between 1x1, 3x3, strided and dilated
// convolutions and MatMul.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "isa/activation.h"
#include "isa/isa.h"
#include "layout/blocked.h"
#include "program/weights.h"

namespace pc {

// Bytes of emitted code that run together at most. Code that exceeds the first-level instruction
// cache (32 KB on every processor with AVX-512) comes from the second level, at 12.6 bytes per cycle
// on Sapphire Rapids: two multiply-adds per cycle need 16 to 24. 12 to 32 KB measured the same there,
// 60 KB 5 to 8 % slower.
inline constexpr size_t kPieceBytes = 24000;

struct ProgramSpec {
  const Matrix* matrix = nullptr;
  size_t blocks = 1;                  // of columns, of even size; see block_count
  std::span<const uint32_t> offsets;  // per column, in floats from the start of an image
  std::span<const float> bias;        // per row
  Activation activation;
  bool addend = false;
  // Row r of the results starts at y_origin + r * y_stride, row r of the addend likewise.
  size_t y_origin = 0, y_stride = 0, tiles = 0;
  size_t addend_origin = 0, addend_stride = 0;
  size_t tiles_per_run = 0;  // tiles of a usual call of run
  bool by_groups = false;    // threads share groups, not tiles
  // Floats from one tile to the next; 16 for the stream kernel.
  size_t x_tile = kLane, y_tile = kLane, addend_tile = kLane;
  // Bytes of emitted code that a first-level instruction cache holds while tiles run through it.
  size_t piece_bytes = kPieceBytes;
  // Columns that read one plane of x each, the last of them furthest ahead. 0 if x is not worth
  // prefetching.
  size_t taps = 0;
  // The blocked planes that the results are, or null. Floats of the planes that are not pixels
  // become zero then; otherwise their values are unspecified.
  const Planes* clean = nullptr;
};

// The images that a program reads and writes, and the floats from one image to the next. The addend,
// null if there is none, may be y if it is laid out as y; its images are as far apart.
struct ProgramImages {
  const float* x;
  float* y;
  const float* addend;
  size_t x_image = 0, y_image = 0;
};

// From `first` up to, but not including, `last`.
struct Range {
  size_t first = 0, last = 0;
};

class Program {
 public:
  virtual ~Program() = default;
  virtual const char* name() const = 0;
  virtual size_t groups() const = 0;  // of rows: independent pieces of work
  // The first row of a group; of the end of groups, the number of rows.
  virtual size_t first_row(size_t group) const = 0;

  // Computes some tiles, counted through all images, of the rows of some groups.
  virtual void run(const ProgramImages&, Range groups, Range tiles) const noexcept = 0;
};

// The kernel that a layer requests. `automatic` is jit if this machine has AVX-512 and allows
// executable memory, otherwise stream.
enum class KernelChoice { automatic, stream, jit };

// The value of PRUNE_COMPILE_KERNEL: "stream" or "jit", otherwise automatic.
KernelChoice kernel_from_environment();

// The program for a layer. Falls back to the stream kernel if emitted code is not possible; returns
// null then if images are tile-major, which the stream kernel does not know.
std::unique_ptr<Program> make_program(const ProgramSpec&, KernelChoice, const Isa&);

std::unique_ptr<Program> make_stream_program(const ProgramSpec&, const Isa&);
// Returns null if the machine, the operating system or the size of the layer does not allow emitted
// code.
std::unique_ptr<Program> make_jit_program(const ProgramSpec&, const Isa&);

// The first row of a group if `rows` are split evenly into `groups`.
inline size_t group_start(size_t rows, size_t groups, size_t group) { return rows * group / groups; }

// Long float32 sums lose digits. The columns of long rows are therefore cut into blocks. Each block
// starts with zero (the first with the bias) and its sum is added to the earlier ones. A row has
// about this many weights in a block at most. With 5,500 weights, results differ from dense ones by
// up to 4.3e-6 of the output's scale without blocks, by 1.1e-6 with blocks of 768. The additions
// take less than 1 % of the time.
constexpr size_t kBlockWeights = 768;

// The number of blocks for a matrix whose rows read the columns of one of `groups` each. Blocks cut
// the columns of all groups.
size_t block_count(const Matrix&, size_t groups);

// The number of groups of at most `most` rows.
size_t group_count(size_t rows, size_t most);

}  // namespace pc
