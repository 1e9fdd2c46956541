// Tests emitted code on any machine. Random layers: their code is decoded, interpreted and compared
// to the bit with sums in the promised order. On machines with AVX-512 the processor runs the same
// code.
//   test_emitted [layers] [seed]
//   test_emitted --listing FILE   writes code to the file, its disassembly to standard output
#include <cstdlib>
#include <cstring>

#include "emitted_layer.h"
#include "listing.h"

namespace {

using namespace test;

constexpr size_t kFlips = 300;
// Pixels of layers with flipped bits: after a Relu, a few sums may all be the same zero.
constexpr size_t kLeastPixels = 32;
constexpr double kLeastDetected = 0.97;  // of flipped bits

void expect(bool holds, const std::string& what) {
  if (!holds) throw Fault(what);
}

void expect_same(const std::vector<float>& made, const std::vector<float>& wanted, const char* how) {
  for (size_t i = 0; i < made.size(); i++) {
    if (same(made[i], wanted[i])) continue;
    char text[128];
    std::snprintf(text, sizeof text, "%s: float %zu is %a and should be %a", how, i, static_cast<double>(made[i]),
                  static_cast<double>(wanted[i]));
    throw Fault(text);
  }
}

// The contents of y after all groups have run for all tiles.
std::vector<float> expected(const Layer& layer) {
  std::vector<float> before = layer.y, after = layer.y;
  const Images images = layer.images(before);
  for (size_t row = 0; row < layer.matrix.rows; row++) {
    for (size_t lane = 0; lane < layer.spec.tiles * pc::kLane; lane++) {
      after[place(layer.spec, row, lane)] = promised(layer.spec, images, row, lane);
    }
  }
  return after;
}

// Code that takes the place of a piece.
struct Changed {
  size_t piece;
  std::span<const uint8_t> code;
};

void interpret(const Layer& layer, const GroupCode& group, std::vector<float>& y, const Changed* changed = nullptr) {
  const Images images = layer.images(y);
  for (size_t tile = 0; tile < layer.spec.tiles; tile++) {
    pc::TileState state = state_before(layer.spec, tile);
    for (size_t p = 0; p < group.pieces.size(); p++) {
      const bool is_changed = changed != nullptr && changed->piece == p;
      interpret(layer.spec, images, tile, group.pieces[p], is_changed ? changed->code : group.pieces[p].code(), state);
    }
  }
}

// Emission notices that the memory is too small and writes nothing after its end.
void check_room(Random& random, const pc::ProgramSpec& spec) {
  Emitter emitter(spec);
  const auto bundle = static_cast<size_t>(random.integer(0, static_cast<int64_t>(emitter.bundles()) - 1));
  const size_t most = emitter.room(bundle), room = random.engine() % most;
  std::vector<uint8_t> memory(most, 0xa5);
  uint8_t* at = memory.data();
  emitter.emit(bundle, at, memory.data() + room);
  expect(at <= memory.data() + room, "writes more than there is room");
  for (size_t i = room; i < most; i++) expect(memory[i] == 0xa5, "writes behind its room");
}

// Stream kernels with fused multiply-adds compute the same sums. They support contiguous tiles of x
// only.
void check_stream(const Layer& layer, const std::vector<float>& wanted) {
  const pc::Isa* isa = pc::find_isa("avx2");
  if (isa == nullptr || layer.spec.x_tile != pc::kLane || layer.spec.y_tile != pc::kLane || !is_simple(layer.spec.activation.kind)) return;
  const auto program = pc::make_stream_program(layer.spec, *isa);
  std::vector<float> y = layer.y, tiles(wanted.size()), wanted_tiles(wanted.size());
  const Images images = layer.images(y);
  const float* addend = layer.spec.addend ? images.addend.data() : nullptr;
  program->run({.x = layer.x.data(), .y = y.data(), .addend = addend}, {0, program->groups()}, {0, layer.spec.tiles});
  // It also writes zeros after the last tile, which are not compared.
  for (size_t row = 0; row < layer.matrix.rows; row++) {
    for (size_t lane = 0; lane < layer.spec.tiles * pc::kLane; lane++) {
      const size_t at = place(layer.spec, row, lane);
      tiles[at] = y[at];
      wanted_tiles[at] = wanted[at];
    }
  }
  expect_same(tiles, wanted_tiles, "the stream kernel");
}

// Returns the number of pieces that ran.
size_t check_layer(Random& random) {
  const Layer layer(random, false);
  const LayerCode code(layer.spec);
  const std::vector<float> wanted = expected(layer);
  std::vector<float> y = layer.y;
  for (const GroupCode& group : code.groups) interpret(layer, group, y);
  expect_same(y, wanted, "interpreted");
  if (pc::has_avx512()) {
    y = layer.y;
    for (const GroupCode& group : code.groups) execute(layer.spec, layer.images(y), group);
    expect_same(y, wanted, "executed");
  }
  check_stream(layer, wanted);
  check_room(random, layer.spec);
  size_t pieces = 0;
  for (const GroupCode& group : code.groups) pieces += group.pieces.size();
  return pieces;
}

// Replaces the program of a convolution: interprets its emitted code and compares every tile with
// the promised results.
class Interpreted final : public pc::Program {
 public:
  explicit Interpreted(const pc::ProgramSpec& spec)
      : code_(spec),
        matrix_(*spec.matrix),
        offsets_(spec.offsets.begin(), spec.offsets.end()),
        bias_(spec.bias.begin(), spec.bias.end()),
        spec_(spec) {
    spec_.matrix = &matrix_;
    spec_.offsets = offsets_;
    spec_.bias = bias_;
    if (spec.clean == nullptr) return;
    clean_ = *spec.clean;
    spec_.clean = &clean_;
  }
  static std::unique_ptr<pc::Program> make(const pc::ProgramSpec& spec, pc::KernelChoice, const pc::Isa&) {
    return std::make_unique<Interpreted>(spec);
  }

  const char* name() const override { return "interpreted"; }
  size_t groups() const override { return code_.groups.size(); }
  size_t first_row(size_t group) const override {
    return group < groups() ? code_.groups[group].first_row : matrix_.rows;
  }

  void run(const pc::ProgramImages& given, pc::Range groups, pc::Range tiles) const noexcept override {
    const float* const addend = given.addend;
    const Images images{{given.x, x_floats}, {given.y, y_floats}, {addend, addend == nullptr ? 0 : y_floats}};
    try {
      for (size_t group = groups.first; group < groups.last; group++) {
        for (size_t tile = tiles.first; tile < tiles.last; tile++) check_tile(code_.groups[group], images, tile);
      }
    } catch (const Fault& caught) {
      fault = caught.what();
    }
  }

  size_t x_floats = 0, y_floats = 0;  // of one image
  mutable std::string fault;

 private:
  void check_tile(const GroupCode& group, const Images& images, size_t tile) const {
    std::vector<float> wanted, made;
    const auto each = [&](auto&& visit) {
      for (size_t row = group.first_row; row < group.last_row; row++) {
        for (size_t i = 0; i < pc::kLane; i++) visit(row, tile * pc::kLane + i);
      }
    };
    each([&](size_t row, size_t lane) { wanted.push_back(promised(spec_, images, row, lane)); });
    pc::TileState state = state_before(spec_, tile);
    for (const PieceCode& piece : group.pieces) interpret(spec_, images, tile, piece, piece.code(), state);
    each([&](size_t row, size_t lane) { made.push_back(images.y[place(spec_, row, lane)]); });
    expect_same(made, wanted, "in a convolution");
  }

  LayerCode code_;
  pc::Matrix matrix_;
  std::vector<uint32_t> offsets_;
  std::vector<float> bias_;
  pc::Planes clean_;
  pc::ProgramSpec spec_;
};

// The programs of all kinds of convolutions: their code does not read or write outside the images.
void check_convolution(Random& random) {
  pc::ConvOptions o = random_options(random);
  o.may_write_tiles = o.y_blocked && random.chance(0.7);
  const auto channels = static_cast<size_t>(o.channels), filters = static_cast<size_t>(o.filters);
  const auto columns = channels / static_cast<size_t>(o.groups) * static_cast<size_t>(o.kernel[0] * o.kernel[1]);
  const double zeros[] = {0, 0.5, 0.9};
  const SparseWeights w = sparse_weights(random, filters, columns, zeros[random.integer(0, 2)]);
  pc::Conv conv(o, w.values, w.bits, random.normals(filters));
  const auto height = static_cast<size_t>(least_size(o, 0) + random.integer(0, 12));
  const auto width = static_cast<size_t>(least_size(o, 1) + random.integer(0, 12));
  const pc::TileMajor tile_major{.x = o.x_blocked && random.chance(0.5),
                                 .addend = o.addend && o.y_blocked && random.chance(0.7)};
  const auto plan = pc::make_conv_plan(conv.key(height, width, tile_major), Interpreted::make);
  auto& program = dynamic_cast<Interpreted&>(*plan->program);
  program.x_floats = plan->direct_x ? plan->x_image : plan->source_image;
  program.y_floats = plan->direct_y ? plan->y_image : plan->work.image(filters);
  const std::vector<float> x = random.normals(channels * height * width);
  std::vector<float> given = o.x_blocked ? to_blocked(x, 1, channels, height, width) : x;
  if (tile_major.x) given = to_tile_major(given, 1, channels, plan->x);
  std::vector<float> y(plan->y_image);
  std::vector<float> addend = random.normals(plan->y_image);
  if (tile_major.addend) pc::write_headers(plan->y, 1, filters, addend.data(), pc::Form::tile_major);
  const bool in_place = o.addend && random.chance(0.5);
  if (in_place) y = addend;
  pc::Serial serial;
  conv.run(*plan, 1, given.data(), y.data(), !o.addend ? nullptr : in_place ? y.data() : addend.data(), serial);
  expect(program.fault.empty(), program.fault);
}

// A bit of the code that has an effect: before the end of the code, and not in a prefetch.
struct Bit {
  size_t instruction, byte, mask;
};

std::vector<Bit> meaningful_bits(std::span<const uint8_t> code) {
  std::vector<Bit> bits;
  for (size_t at = 0; at < code.size();) {
    const Instruction one = decode(code.data() + at, code.data() + code.size());
    for (size_t i = at; i < at + one.length && one.op != Op::prefetch; i++) {
      for (size_t mask = 1; mask < 256; mask <<= 1) bits.push_back({at, i, mask});
    }
    at += one.length;
    if (one.op == Op::end) break;
  }
  return bits;
}

// Whether code with one flipped bit still computes the right results.
bool survives(const Layer& layer, const GroupCode& group, const Changed& changed) {
  const std::vector<float> wanted = expected(layer);
  std::vector<float> y = layer.y;
  try {
    interpret(layer, group, y, &changed);
  } catch (const Fault&) {
    return false;
  }
  std::vector<float> after = layer.y;
  for (size_t row = group.first_row; row < group.last_row; row++) {
    for (size_t lane = 0; lane < layer.spec.tiles * pc::kLane; lane++) {
      const size_t at = place(layer.spec, row, lane);
      after[at] = wanted[at];
    }
  }
  for (size_t i = 0; i < y.size(); i++) {
    if (!same(y[i], after[i])) return false;
  }
  return true;
}

void check_flips(uint64_t seed) {
  size_t detected = 0;
  for (size_t i = 0; i < kFlips; i++) {
    Random random(seed * 5000011 + i);
    auto drawn = std::make_unique<Layer>(random, true);
    while (drawn->pixels() < kLeastPixels) drawn = std::make_unique<Layer>(random, true);
    const Layer& layer = *drawn;
    const LayerCode made(layer.spec);
    const GroupCode& group = made.groups[random.engine() % made.groups.size()];
    const size_t piece = random.engine() % group.pieces.size();
    const auto of_piece = group.pieces[piece].code();
    std::vector<uint8_t> code(of_piece.begin(), of_piece.end());
    const auto bits = meaningful_bits(code);
    const Bit bit = bits[random.engine() % bits.size()];
    const std::string before = text(decode(code.data() + bit.instruction, code.data() + code.size()), bit.instruction);
    code[bit.byte] = static_cast<uint8_t>(code[bit.byte] ^ bit.mask);
    if (!survives(layer, group, {piece, code})) {
      detected++;
      continue;
    }
    const std::string after = text(decode(code.data() + bit.instruction, code.data() + code.size()), bit.instruction);
    std::printf("  a flipped bit is not noticed: %s became %s\n", before.c_str(), after.c_str());
  }
  std::printf("%zu of %zu flipped bits noticed\n", detected, kFlips);
  expect(static_cast<double>(detected) >= kLeastDetected * static_cast<double>(kFlips), "flipped bits are not noticed");
}

// Layers with wrong facts about their memory: the interpreter must notice that the code leaves it.
enum class Wrong { offset, tile_of_x, start_of_y, end_of_y };

std::string fault_of(Random& random, Wrong wrong) {
  Layer layer(random, true);
  pc::ProgramSpec& spec = layer.spec;
  spec.addend = layer.in_place = false;
  switch (wrong) {
    case Wrong::offset:  // one float too far
      layer.offsets[layer.matrix.column.front()] = static_cast<uint32_t>(layer.x.size() - pc::kLane + 1);
      break;
    case Wrong::tile_of_x:
      spec.x_tile = layer.x.size();
      spec.tiles = 2;
      break;
    case Wrong::start_of_y:
      spec.y_origin = layer.y.size();
      break;
    case Wrong::end_of_y:  // one float short
      layer.y.resize(place(spec, layer.matrix.rows - 1, spec.tiles * pc::kLane - 1));
      break;
  }
  const LayerCode code(spec);
  std::vector<float> y = layer.y;
  try {
    for (const GroupCode& group : code.groups) interpret(layer, group, y);
  } catch (const Fault& fault) {
    return fault.what();
  }
  return "none";
}

void check_bounds(uint64_t seed) {
  constexpr struct {
    Wrong wrong;
    const char* fault;
  } kCases[] = {{Wrong::offset, "of x,"},
                {Wrong::tile_of_x, "of x,"},
                {Wrong::start_of_y, "of y,"},
                {Wrong::end_of_y, "of y,"}};
  for (uint64_t i = 0; i < 100; i++) {
    for (const auto& one : kCases) {
      Random random(seed * 9000011 + i);
      const std::string fault = fault_of(random, one.wrong);
      expect(fault.find(one.fault) != std::string::npos, std::string("outside ") + one.fault + " fault: " + fault);
    }
  }
}

void list(const char* path) {
  Listing listing(path);
  for (uint64_t i = 0; i < 20; i++) {
    Random random(i);
    const Layer layer(random, false);
    const LayerCode code(layer.spec);
    for (const GroupCode& group : code.groups) {
      for (const PieceCode& piece : group.pieces) listing.add_code(random, piece.begin, piece.weights, 1);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool lists = argc > 2 && std::strcmp(argv[1], "--listing") == 0;
  const uint64_t layers = argc > 1 && !lists ? std::strtoull(argv[1], nullptr, 10) : 500;
  const uint64_t seed = argc > 2 && !lists ? std::strtoull(argv[2], nullptr, 10) : 1;
  size_t pieces = 0;
  uint64_t layer = 0;
  try {
    if (lists) return list(argv[2]), 0;
    for (; layer < layers; layer++) {
      Random random(seed * 3000017 + layer);
      pieces += check_layer(random);
      check_convolution(random);
    }
    std::printf("%llu layers and convolutions of emitted code, %zu pieces interpreted%s\n", static_cast<unsigned long long>(layers),
                pieces, pc::has_avx512() ? " and executed" : "");
    check_bounds(seed);
    check_flips(seed);
  } catch (const std::exception& error) {
    std::printf("layer %llu, seed %llu: %s\n", static_cast<unsigned long long>(layer),
                static_cast<unsigned long long>(seed), error.what());
    return 1;
  }
  return 0;
}
