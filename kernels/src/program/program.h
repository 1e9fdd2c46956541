// A sparse matrix turned into something that runs over tiles of 16 pixels. Every layer comes down to
//
//   y[r][p] = activation(bias[r] + sum over columns j of w[r][j] * x[offset[j] + p] (+ addend[r][p]))
//
// for rows r and pixels p: only the offsets differ between 1x1, 3x3, strided or dilated convolutions and MatMul.
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

struct ProgramSpec {
  const Matrix* matrix = nullptr;
  size_t blocks = 1;                  // of columns, of even size
  std::span<const uint32_t> offsets;  // per column, floats from an image's start
  std::span<const float> bias;        // per row
  Activation activation;
  bool addend = false;
  // Where results go (the addend lies likewise): row r at origin + r * stride. With `clean`, whatever is no pixel there
  // is made zero, as the internal layout demands; else those lanes hold anything.
  size_t y_origin = 0, y_stride = 0, tiles = 0;
  size_t tiles_per_run = 0;  // that a group usually works on at once
  bool by_groups = false;    // threads share groups, not tiles
  size_t x_tile = kLane;     // floats from one tile of x to the next; others than 16 only for emitted code
  const Planes* clean = nullptr;
};

class Program {
 public:
  virtual ~Program() = default;
  virtual const char* name() const = 0;
  virtual size_t groups() const = 0;  // of rows; independent pieces of work

  // Tiles [first, last) of the rows of one group. x, y, addend are starts of images.
  virtual void run(size_t group, const float* x, float* y, const float* addend, size_t first,
                   size_t last) const noexcept = 0;
};

// The kernel a layer is to use. `automatic`: emitted code where this machine has AVX-512 and allows it, else the stream.
enum class KernelChoice { automatic, stream, jit };

// What PRUNE_COMPILE_KERNEL asks for: "stream", "jit", else automatic.
KernelChoice kernel_from_environment();

// The program for a layer; falls back to the stream kernel where emitted code is not possible.
std::unique_ptr<Program> make_program(const ProgramSpec&, KernelChoice, const Isa&);

std::unique_ptr<Program> make_stream_program(const ProgramSpec&, const Isa&);
// Null where the machine, the operating system or the size of the layer does not allow it.
std::unique_ptr<Program> make_jit_program(const ProgramSpec&, const Isa&);

// The first row of a group, when `rows` are split evenly into `groups`.
inline size_t group_start(size_t rows, size_t groups, size_t group) { return rows * group / groups; }
// Sums of many terms lose digits: longer ones are made of blocks of columns, each of which begins with zero (the first one with
// the bias) and is then added to those before. So many blocks that no row has many more weights in one than this: 5,500 weights in
// one go differ by up to 4.3e-6 of the output's scale, in blocks of 768 by 1.1e-6. A sum and a store for 400 weights and more take
// below one percent of the time.
constexpr size_t kBlockWeights = 768;

// Of the columns that a row may have weights in, which are those of one of `groups`; blocks run through all columns.
size_t block_count(const Matrix&, size_t groups);

// How many groups of at most `most` rows.
size_t group_count(size_t rows, size_t most);

// Zeros what is no pixel in tiles [first, last) of one plane, and behind the last tile.
void clear_borders(const Planes&, float* plane, size_t first, size_t last) noexcept;

}  // namespace pc
