// Tests the interpreter of emitted code: AVX2 and integer instructions against the processor (if it
// has AVX2), masks of AVX-512 against expected results, and disassembly against objdump.
//   test_interpret [programs] [seed]
//   test_interpret --listing FILE   writes code to the file, its disassembly to standard output
#include <bit>
#include <cstdlib>
#include <cstring>

#include "interpret.h"
#include "jit/assembler.h"
#include "jit/executable.h"
#include "listing.h"
#include "vex_code.h"

namespace {

using namespace test;

constexpr int kVectors = 64;     // that a program can read
constexpr int kMaskVector = 15;  // holds only the mask of blends
constexpr size_t kMostSteps = 100000;

void expect(bool holds, const std::string& what) {
  if (!holds) throw Fault(what);
}

struct Data {
  std::vector<float> floats, masks;
  std::vector<uint64_t> integers;
  explicit Data(Random& random) : floats(random.normals(kVectors * 8)), masks(kVectors * 8) {
    using Limits = std::numeric_limits<float>;
    const float special[] = {NAN,   INFINITY,             -INFINITY,          0.0f,
                             -0.0f, Limits::denorm_min(), -Limits::min() / 3, Limits::max()};
    for (float& one : floats) {
      if (random.chance(0.2)) one = special[random.integer(0, 7)];
    }
    for (float& one : masks) one = std::bit_cast<float>(random.chance(0.5) ? 0u : ~0u);
    const uint64_t edges[] = {0, 1, 2, ~uint64_t{0}, uint64_t{1} << 63, (uint64_t{1} << 63) - 1, uint64_t{1} << 31};
    for (int i = 0; i < 16; i++) integers.push_back(random.chance(0.5) ? edges[random.integer(0, 6)] : random.engine());
  }
};

// A vector of floats relative to rdi, or of masks relative to rsi. Both registers advance by one
// vector per iteration.
Operand some_vector(Random& random, int base) {
  const auto disp = static_cast<int32_t>(random.integer(0, kVectors - 8)) * 32;
  return random.chance(0.3) ? in_memory(base, disp, kRcx, 0) : in_memory(base, disp);
}

void add_vector_instruction(Random& random, VexCode& code) {
  const auto reg = [&] { return static_cast<int>(random.integer(0, kMaskVector - 1)); };
  const Operand last = random.chance(0.5) ? in_register(reg()) : some_vector(random, kRdi);
  const int to = reg(), second = reg();
  switch (random.integer(0, 8)) {
    case 0:
      return code.vector(1, 0, 0x10, to, 0, some_vector(random, kRdi));  // vmovups
    case 1:
      return code.vector(2, 1, 0x18, to, 0, in_memory(kRdi, static_cast<int32_t>(random.integer(0, 300)) * 4));
    case 2:
    case 3:
      return code.vector(2, 1, 0xb8, to, second, last);  // vfmadd231ps
    case 4: {
      const int arithmetic[] = {0x58, 0x59, 0x5d, 0x5f};
      return code.vector(1, 0, arithmetic[random.integer(0, 3)], to, second, last);
    }
    case 5:  // NaN payloads may differ, so masks keep or drop whole lanes
      return code.vector(1, 0, 0x54, to, second, some_vector(random, kRsi));
    case 6:
      return code.vector(1, 0, 0x57, to, second, in_register(second));
    case 7:
      code.vector(1, 0, 0xc2, random.chance(0.5) ? kMaskVector : to, second, last);
      return code.byte(random.chance(0.5) ? 0x11 : 0x1e);
    default:
      code.vector(3, 1, 0x4a, to, second, last);  // vblendvps
      return code.byte(kMaskVector << 4);
  }
}

// r10 accumulates the other registers and the directions of the jumps.
void add_integer_instructions(Random& random, VexCode& code) {
  const auto value = [&](int reg) {
    code.integer(0x8b, reg, in_memory(kRdx, static_cast<int32_t>(random.integer(0, 15)) * 8));
  };
  value(kR8);
  value(kR9);
  const int binary[] = {0x01, 0x29, 0x39, 0x85}, extension[] = {0, 5, 7};
  const auto immediate = static_cast<int32_t>(random.engine());
  switch (random.integer(0, 3)) {
    case 0:
      code.integer(binary[random.integer(0, 3)], kR9, in_register(kR8));
      break;
    case 1:
      code.integer(0x81, extension[random.integer(0, 2)], in_register(kR8));
      code.word(immediate);
      break;
    case 2:
      code.integer(0x83, extension[random.integer(0, 2)], in_register(kR8));
      code.byte(immediate & 0xff);
      break;
    default:
      code.integer(0x85, kR8, in_register(kR8));  // clears the carry, which inc and dec keep
      code.integer(0xff, static_cast<int>(random.integer(0, 1)), in_register(kR8));
      break;
  }
  // All conditions but those of parity.
  const int conditions[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15};
  const int condition = conditions[random.integer(0, 13)];
  VexCode skipped;
  skipped.integer(0x8d, 10, in_memory(10, immediate, 10, static_cast<int>(random.integer(0, 3))));
  const auto size = static_cast<int32_t>(skipped.bytes.size());
  if (random.chance(0.5)) {
    code.byte(0x70 | condition);
    code.byte(size);
  } else {
    code.byte(0x0f);
    code.byte(0x80 | condition);
    code.word(size);
  }
  code.bytes.insert(code.bytes.end(), skipped.bytes.begin(), skipped.bytes.end());
  code.integer(0x8d, 10, in_memory(kR8, 1, 10, 1));
}

// rdi: floats, rsi: masks, rdx: integers, rcx: 32, r8: results. The loop has three iterations.
std::vector<uint8_t> random_program(Random& random) {
  VexCode code;
  for (int i = 0; i <= kMaskVector; i++) {
    code.vector(1, 0, 0x10, i, 0, in_memory(i == kMaskVector ? kRsi : kRdi, i * 32));
  }
  code.integer(0x89, kR8, in_register(11));
  code.integer(0x8d, kRax, in_memory(kRcx, -29));
  code.integer(0x89, kRcx, in_register(10));
  const auto start = static_cast<int64_t>(code.bytes.size());
  for (int64_t i = random.integer(1, 30); i > 0; i--) {
    if (random.chance(0.2)) {
      add_integer_instructions(random, code);
    } else {
      add_vector_instruction(random, code);
    }
  }
  for (const int reg : {kRdi, kRsi}) code.integer(0x83, 0, in_register(reg)), code.byte(32);
  code.integer(0xff, 1, in_register(kRax));
  code.byte(0x0f);
  code.byte(0x85);  // jne
  code.word(static_cast<int32_t>(start - static_cast<int64_t>(code.bytes.size()) - 4));
  for (int i = 0; i <= kMaskVector; i++) code.vector(1, 0, 0x11, i, 0, in_memory(11, i * 32));
  code.integer(0x89, 10, in_register(kRax));
  code.end();
  return code.bytes;
}

// The code in executable memory. Null if the processor lacks AVX2 or the system refuses.
std::unique_ptr<pc::Executable> executable(const std::vector<uint8_t>& code) {
  if (pc::find_isa("avx2") == nullptr) return nullptr;
  auto memory = pc::Executable::reserve(code.size());
  if (memory == nullptr) return nullptr;
  std::memcpy(memory->begin(), code.data(), code.size());
  return memory->seal(code.size()) ? std::move(memory) : nullptr;
}

// Returns whether the processor ran the program as well.
bool check_program(Random& random) {
  const Data data(random);
  const std::vector<uint8_t> code = random_program(random);
  std::vector<float> interpreted(16 * 8), executed(16 * 8);
  const auto address = [](const void* p) { return reinterpret_cast<uint64_t>(p); };
  const auto region = [&](const char* name, const auto& all, bool writable) {
    return Region{name, address(all.data()), all.data(), all.size() * sizeof all[0], writable};
  };
  const Region regions[] = {region("floats", data.floats, false), region("masks", data.masks, false),
                            region("integers", data.integers, false), region("results", interpreted, true)};
  const uint64_t arguments[] = {address(data.floats.data()), address(data.masks.data()),
                                address(data.integers.data()), 32, address(interpreted.data())};
  const uint64_t rax = Machine(code, regions).call(arguments, kMostSteps);
  const auto memory = executable(code);
  if (memory == nullptr) return false;
  using Code = uint64_t (*)(const float*, const float*, const uint64_t*, uint64_t, float*);
  const uint64_t wanted = reinterpret_cast<Code>(memory->begin())(data.floats.data(), data.masks.data(),
                                                                  data.integers.data(), 32, executed.data());
  expect(rax == wanted, "integers differ from the processor's");
  for (size_t i = 0; i < executed.size(); i++) {
    const bool same = std::bit_cast<uint32_t>(interpreted[i]) == std::bit_cast<uint32_t>(executed[i]);
    expect(same || (std::isnan(interpreted[i]) && std::isnan(executed[i])), "floats differ from the processor's");
  }
  return true;
}

constexpr pc::Zmm kFirst = pc::zmm(1), kSecond = pc::zmm(2), kThird = pc::zmm(3), kZero = pc::zmm(30);
constexpr pc::Opmask kMask = pc::Opmask::k1, kLess = pc::Opmask::k2;

// Runs AVX-512 code of the assembler on three vectors; returns the third register.
std::array<float, 16> run_512(const std::vector<float>& from, uint16_t mask, void (*emit)(pc::Assembler&)) {
  alignas(64) uint8_t buffer[512];
  pc::Assembler code(buffer, buffer + sizeof buffer);
  code.load_mask(kMask, {pc::Reg64::r9, 0});
  for (int i = 0; i < 3; i++) code.load(pc::zmm(static_cast<size_t>(i) + 1), {pc::Reg64::rdi, i * 64});
  emit(code);
  std::array<float, 16> result{};
  code.store({pc::Reg64::rdx, 0}, kThird);
  code.end();
  const auto address = [](const void* p) { return reinterpret_cast<uint64_t>(p); };
  const Region regions[] = {{"floats", address(from.data()), from.data(), from.size() * sizeof(float)},
                            {"mask", address(&mask), &mask, sizeof mask},
                            {"result", address(result.data()), result.data(), sizeof result, true}};
  const uint64_t arguments[] = {address(from.data()), 0, address(result.data()), 0, 0, address(&mask)};
  Machine(std::span<const uint8_t>(buffer, code.at()), regions).call(arguments, kMostSteps);
  return result;
}

void check_masks(Random& random) {
  const std::vector<float> x = random.normals(48);
  const auto mask = static_cast<uint16_t>(random.engine());
  const auto a = [&](size_t i) { return x[i]; };
  const auto b = [&](size_t i) { return x[i + 16]; };
  const auto before = [&](size_t i) { return x[i + 32]; };
  const auto merged = run_512(x, mask, [](pc::Assembler& code) { code.multiply(kThird, kFirst, kSecond, {kMask, false}); });
  const auto zeroed = run_512(x, mask, [](pc::Assembler& code) { code.maximum(kThird, kFirst, kSecond, {kMask, true}); });
  const auto least = run_512(x, mask, [](pc::Assembler& code) { code.minimum(kThird, kFirst, kSecond); });
  const auto moved = run_512(x, mask, [](pc::Assembler& code) { code.move(kThird, kFirst, {kMask, true}); });
  const auto compared = run_512(x, mask, [](pc::Assembler& code) {
    code.less_than(kLess, kFirst, kSecond);
    code.zero(kZero);
    code.multiply(kThird, kFirst, kZero, {kLess, false});
  });
  const auto sums = run_512(x, mask, [](pc::Assembler& code) {
    code.fma_broadcast(kThird, kFirst, {pc::Reg64::rdi, 4 * 21});
    code.add(kThird, kThird, {pc::Reg64::rdi, 64});
  });
  for (size_t i = 0; i < 16; i++) {
    const bool on = (mask >> i & 1) != 0;
    expect(merged[i] == (on ? a(i) * b(i) : before(i)), "merging");
    expect(zeroed[i] == (on ? std::max(a(i), b(i)) : 0), "zeroing");
    expect(least[i] == std::min(a(i), b(i)), "no mask");
    expect(moved[i] == (on ? a(i) : 0), "move");
    expect(compared[i] == (a(i) < b(i) ? 0 : before(i)), "mask of a comparison");
    expect(sums[i] == std::fma(a(i), b(5), before(i)) + b(i), "sums");
  }
}

// Random bytes and truncated instructions are decoded correctly or refused.
void check_garbage(Random& random) {
  constexpr int kLeadBytes[] = {0x62, 0xc4, 0xc5, 0x48, 0x0f, 0x41, 0x72, 0xc3};
  for (int i = 0; i < 1000; i++) {
    std::vector<uint8_t> bytes(static_cast<size_t>(random.integer(0, 12)));
    for (uint8_t& one : bytes) one = static_cast<uint8_t>(random.engine());
    if (!bytes.empty() && random.chance(0.9)) bytes[0] = static_cast<uint8_t>(kLeadBytes[random.integer(0, 7)]);
    try {
      const Instruction one = decode(bytes.data(), bytes.data() + bytes.size());
      expect(one.length > 0 && one.length <= bytes.size(), "a length");
      expect(!text(one, 0).empty(), "a text");
    } catch (const Fault& fault) {
      expect(std::string(fault.what()).starts_with("unknown instruction"), fault.what());
    }
  }
}

void list(const char* path) {
  Listing listing(path);
  for (uint64_t i = 0; i < 100; i++) {
    Random random(i);
    const std::vector<uint8_t> code = random_program(random);
    listing.add_code(random, code.data(), code.data() + code.size(), 4);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool lists = argc > 2 && std::strcmp(argv[1], "--listing") == 0;
  const uint64_t programs = argc > 1 && !lists ? std::strtoull(argv[1], nullptr, 10) : 2000;
  const uint64_t seed = argc > 2 && !lists ? std::strtoull(argv[2], nullptr, 10) : 1;
  uint64_t program = 0, executed = 0;
  try {
    if (lists) return list(argv[2]), 0;
    for (; program < programs; program++) {
      Random random(seed * 4000037 + program);
      executed += check_program(random) ? 1 : 0;
      check_masks(random);
      if (program % 10 == 0) check_garbage(random);
    }
  } catch (const std::exception& error) {
    std::printf("program %llu, seed %llu: %s\n", static_cast<unsigned long long>(program),
                static_cast<unsigned long long>(seed), error.what());
    return 1;
  }
  std::printf("%llu programs interpreted, %llu executed as well\n", static_cast<unsigned long long>(programs),
              static_cast<unsigned long long>(executed));
  return 0;
}
