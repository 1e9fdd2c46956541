// A chain: sparse convolutions that keep the size of their images, run one after the other over
// strips of an image. Only the input and the result of the chain are whole images. What lies between
// them stays in the second-level cache.
#pragma once
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "operators/conv_plan.h"
#include "program/shared_plan.h"
#include "support/parallel.h"

namespace pc {

// A convolution with strides and dilations of 1 whose pads keep the size.
struct ChainStep {
  int64_t channels = 0, filters = 0, groups = 1;
  std::array<int64_t, 2> kernel{1, 1};  // 1 or 3 each
  Activation activation;
  // What the step reads, and its addend: 0 is the input of the chain, i + 1 the result of step i.
  size_t source = 0;
  std::optional<size_t> residual;
};

struct ChainOptions {
  std::vector<ChainStep> steps;
  KernelChoice kernel_choice = KernelChoice::automatic;
  const Isa* isa = nullptr;  // null: default_isa()
  size_t cache_bytes = 0;    // of the second-level cache; 0: that of this machine
  size_t strip_tiles = 0;    // 0: as many as fit the cache; otherwise for tests
  // Every reader of y takes tile-major images. The kernel decides whether it writes them.
  bool may_write_tiles = false;
};

// Everything that a plan depends on, as ConvKey.
struct ChainKey {
  ChainOptions options;  // with isa and cache_bytes
  std::vector<std::shared_ptr<const Weights>> weights;
  std::vector<std::vector<float>> biases;  // one value per filter
  size_t height, width;
  bool is_x_tile_major = false;
};

// The number of a tile of an image. Those above the image are negative.
using Tile = std::ptrdiff_t;

struct ChainPlan {
  struct Step {
    std::unique_ptr<Program> program;
    size_t source = 0;
    std::optional<size_t> residual;
    Tile reach = 0;     // tiles before and after each tile that the program reads
    size_t buffer = 0;  // that holds the result; the result of the last step is y
  };
  // Has room for one result on whole images, and for the zeros around it. A result may replace its
  // residual tile by tile.
  struct Buffer {
    size_t channels = 0;
    size_t start = 0;              // in floats, in the scratch memory
    size_t stride = 0, tile = 0;   // floats from channel to channel and from tile to tile
    Form form = Form::planes;
    Tile reach = 0;                // tiles of zeros above and below the image that steps read
  };
  // Step i computes tiles [from[i], to[i]) of its result. When the strip starts, buffer b keeps tiles
  // [low[b], high[b]) and moves them to its start.
  struct Strip {
    std::vector<Tile> from, to, low, high;
  };

  Planes planes;
  Form x_form = Form::planes, y_form = Form::planes;
  bool converts_x = false;  // a tile-major x becomes planes first
  std::vector<Step> steps;
  std::vector<Buffer> buffers;
  std::vector<Strip> strips;        // of an image
  Strip whole;                      // the image as one strip
  size_t chunk = 0;                 // tiles of a step on whole images that make a piece of work
  size_t x_image = 0, y_image = 0;  // floats
  size_t scratch = 0;               // floats of all buffers
};

std::shared_ptr<const ChainPlan> make_chain_plan(const ChainKey&);

class Chain {
 public:
  // Throws if options, weights and biases do not fit together. `values`, `bits` and `biases` have
  // one entry per step; a bias may be empty.
  Chain(const ChainOptions&, std::span<const std::span<const float>> values,
        std::span<const std::span<const uint8_t>> bits, std::span<const std::span<const float>> biases);

  const ChainOptions& options() const { return options_; }
  ChainKey key(size_t height, size_t width, bool is_x_tile_major = false) const;

  // The plan for images of this size and form; made now unless it is one of the last few.
  std::shared_ptr<const ChainPlan> plan(size_t height, size_t width, bool is_x_tile_major = false);
  // Starts to make that plan on another thread.
  void prepare(size_t height, size_t width, bool is_x_tile_major = false);

  // x and y hold `images` blocked images each. y must not be x. `threads` is how many share the
  // work; any number gives the same results.
  void run(const ChainPlan&, size_t images, const float* x, float* y, size_t threads, Parallel&) const;

 private:
  using Plan = SharedPlan<ChainKey, ChainPlan>;
  const std::shared_ptr<Plan>& cached(size_t height, size_t width, bool is_x_tile_major);

  ChainOptions options_;
  std::vector<std::shared_ptr<const Weights>> weights_;
  std::vector<std::vector<float>> biases_;
  std::mutex mutex_;
  std::list<std::shared_ptr<Plan>> plans_;  // the most recently used first
};

}  // namespace pc
