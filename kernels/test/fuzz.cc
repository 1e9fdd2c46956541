// Mutated layers. The library must refuse a layer with an error or compute within bounds, whatever
// a model file contains. Meant for builds with AddressSanitizer. Also tests that executable memory
// is refused.
//   fuzz [cases] [seed]
#include <cstdlib>
#include <cstring>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "operators/matmul.h"
#include "support.h"

namespace {

using namespace test;

constexpr size_t kMostFloats = 2 << 20;
size_t refused = 0, computed = 0;

int64_t strange(Random& random, int64_t usual) {
  const int64_t values[] = {usual, usual, usual, 0, -1, 1, 2, 3, 5, 7, 65536, 65537, INT64_MAX, INT64_MIN};
  return values[random.integer(0, 13)];
}

void mutate(Random& random, SparseWeights& w, std::vector<float>& bias) {
  for (int64_t i = random.integer(0, 2); i > 0; i--) {
    switch (random.integer(0, 7)) {
      case 0:
        w.values.resize(static_cast<size_t>(random.integer(0, static_cast<int64_t>(w.values.size()) + 1)));
        break;
      case 1:
        w.bits.resize(static_cast<size_t>(random.integer(0, static_cast<int64_t>(w.bits.size()) + 2)), 0xff);
        break;
      case 2:
        if (!w.bits.empty()) w.bits[random.engine() % w.bits.size()] ^= static_cast<uint8_t>(1 << random.integer(0, 7));
        break;
      case 3:
        bias.resize(static_cast<size_t>(random.integer(0, 20)));
        break;
      case 4:
        if (!w.values.empty()) w.values[random.engine() % w.values.size()] = NAN;
        break;
      case 5:  // a bit moves: their number stays the same
        if (w.bits.size() > 1) std::swap(w.bits.front(), w.bits[random.engine() % w.bits.size()]);
        break;
      default:
        break;
    }
  }
}

pc::KernelChoice any_kernel(Random& random) {
  return random.chance(0.3) ? pc::KernelChoice::stream : pc::KernelChoice::automatic;
}

void convolution(Random& random) {
  pc::ConvOptions o;
  o.groups = random.chance(0.7) ? 1 : random.integer(1, 3);
  o.channels = o.groups * random.integer(1, 6);
  o.filters = o.groups * random.integer(1, 40);
  for (size_t i = 0; i < 2; i++) {
    o.kernel[i] = random.integer(1, 3);
    o.strides[i] = random.integer(1, 2);
    o.dilations[i] = random.integer(1, 2);
    o.pads[i] = random.integer(0, 2);
    o.pads[i + 2] = random.integer(0, 2);
  }
  o.activation = random_activation(random);
  o.addend = random.chance(0.3);
  o.x_blocked = random.chance(0.5);
  o.y_blocked = random.chance(0.5);
  o.kernel_choice = any_kernel(random);
  SparseWeights w = sparse_weights(random, static_cast<size_t>(o.filters),
                                   static_cast<size_t>(o.channels / o.groups * o.kernel[0] * o.kernel[1]), 0.6);
  std::vector<float> bias = random.normals(static_cast<size_t>(o.filters));
  mutate(random, w, bias);
  int64_t* const fields[] = {&o.channels,   &o.filters,    &o.groups,       &o.kernel[0],    &o.kernel[1],
                             &o.strides[0], &o.strides[1], &o.dilations[0], &o.dilations[1], &o.pads[0],
                             &o.pads[1],    &o.pads[2],    &o.pads[3]};
  for (int64_t i = random.integer(0, 2); i > 0; i--) {
    int64_t& field = *fields[random.integer(0, 12)];
    field = strange(random, field);
  }
  pc::Conv conv(o, w.values, w.bits, bias);
  const auto height = static_cast<size_t>(random.integer(0, 20)), width = static_cast<size_t>(random.integer(0, 20));
  const auto images = static_cast<size_t>(random.integer(0, 2));
  const auto plan = conv.plan(height, width);
  if ((plan->x_image + plan->y_image) * images > kMostFloats || plan->work.image(1) > kMostFloats) return;
  // The buffers have the exact size, so that a sanitizer notices every float beyond it.
  std::vector<float> x(std::max(images * plan->x_image, pc::kHeader));
  std::vector<float> y(std::max(images * plan->y_image, pc::kHeader)), addend(y.size());
  if (o.x_blocked) {
    pc::write_headers(plan->x, images, static_cast<size_t>(o.channels), x.data());
    uint32_t header[pc::kHeader];
    std::memcpy(header, x.data(), sizeof header);
    header[random.integer(0, 15)] = static_cast<uint32_t>(strange(random, static_cast<int64_t>(height)));
    // A header that differs from the others is refused. Equal headers are accepted if they fit the
    // tensor.
    const size_t changed = random.chance(0.5) ? std::max<size_t>(images, 1) : 1;
    for (size_t i = 0; i < changed; i++) std::memcpy(x.data() + i * plan->x_image, header, sizeof header);
    const size_t rows = std::max<size_t>(images, 1);
    const pc::Header read = pc::read_header(x.data(), rows, images == 0 ? pc::kHeader : x.size() / rows, 0);
    if (read.height != height || read.width != width || read.images != images) {
      conv.plan(read.height, read.width);
      return;
    }
  }
  pc::Serial serial;
  conv.run(*plan, images, x.data(), y.data(), o.addend ? addend.data() : nullptr, serial);
  computed++;
}

void multiplication(Random& random) {
  pc::MatMulOptions o;
  o.inputs = random.integer(1, 30);
  o.outputs = random.integer(1, 30);
  o.transposed = random.chance(0.5);
  o.activation = random_activation(random);
  o.kernel_choice = any_kernel(random);
  SparseWeights w = sparse_weights(random, static_cast<size_t>(o.inputs), static_cast<size_t>(o.outputs), 0.6);
  std::vector<float> bias = random.normals(static_cast<size_t>(o.outputs));
  mutate(random, w, bias);
  if (random.chance(0.3)) o.inputs = strange(random, o.inputs);
  if (random.chance(0.3)) o.outputs = strange(random, o.outputs);
  const pc::MatMul matmul(o, w.values, w.bits, bias);
  const auto rows = static_cast<size_t>(random.integer(0, 300));
  if (rows * static_cast<size_t>(o.inputs + o.outputs) > kMostFloats) return;
  const std::vector<float> x(rows * static_cast<size_t>(o.inputs));
  std::vector<float> y(rows * static_cast<size_t>(o.outputs)), addend(y.size());
  pc::Serial serial;
  matmul.run(rows, x.data(), y.data(), random.chance(0.5) ? addend.data() : nullptr, serial);
  computed++;
}

// From Linux 6.3 on, a process can give up the right to make memory executable. Layers then get the
// stream kernel.
bool without_executable_memory() {
#ifdef __linux__
  // PR_SET_MDWE and PR_MDWE_REFUSE_EXEC_GAIN, which older headers lack.
  constexpr int kSetMdwe = 65, kRefuseExecGain = 1;
  if (prctl(kSetMdwe, kRefuseExecGain, 0L, 0L, 0L) != 0) return false;
  const SparseWeights w{{1}, {1}, {1}};
  pc::ConvOptions o;
  o.channels = o.filters = 1;
  o.kernel_choice = pc::KernelChoice::jit;
  pc::Conv conv(o, w.values, w.bits, {});
  const float x = 2;
  float y = 0;
  pc::Serial serial;
  const auto plan = conv.plan(1, 1);
  conv.run(*plan, 1, &x, &y, nullptr, serial);
  if (y == 2 && std::strcmp(plan->program->name(), "stream") == 0) return true;
  std::printf("executable memory refused: %s gave %f\n", plan->program->name(), static_cast<double>(y));
  std::exit(1);
#else
  return false;
#endif
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t cases = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  for (uint64_t i = 0; i < cases; i++) {
    Random random(seed * 7000003 + i);
    try {
      if (i % 4 == 3) {
        multiplication(random);
      } else {
        convolution(random);
      }
    } catch (const pc::Failure&) {
      refused++;
    } catch (const std::bad_alloc&) {
      refused++;
    }
  }
  std::printf("%llu mutated layers: %zu refused, %zu computed\n", static_cast<unsigned long long>(cases), refused, computed);
  std::printf("executable memory refused: %s\n", without_executable_memory() ? "falls back to the stream kernel" : "not tried");
  return 0;
}
