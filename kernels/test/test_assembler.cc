// Writes every instruction form with many operands to a file, and the expected disassembly to
// standard output. kernels/test.mjs compares it with `objdump -D -b binary -m i386:x86-64 -M
// intel`.
//   test_assembler FILE
#include <cstdio>
#include <initializer_list>
#include <string>
#include <vector>

#include "jit/assembler.h"

namespace {

std::string hex(int64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

std::string text(pc::Zmm one) { return "zmm" + std::to_string(static_cast<int>(one)); }
std::string text(pc::Opmask one) { return "k" + std::to_string(static_cast<int>(one)); }

std::string text(pc::Reg64 one) {
  switch (one) {
    case pc::Reg64::rcx:
      return "rcx";
    case pc::Reg64::rdx:
      return "rdx";
    case pc::Reg64::rsi:
      return "rsi";
    case pc::Reg64::rdi:
      return "rdi";
    case pc::Reg64::r8:
      return "r8";
    case pc::Reg64::r9:
      return "r9";
  }
  return "";
}

std::string at(pc::Memory m, const char* size) {
  const std::string disp = m.disp < 0 ? "-" + hex(-static_cast<int64_t>(m.disp)) : "+" + hex(m.disp);
  return std::string(size) + "[" + text(m.base) + disp + "]";
}

std::string masked(pc::WriteMask mask) {
  return mask.k == pc::Opmask::k0 ? "" : "{" + text(mask.k) + "}" + (mask.zeroing ? "{z}" : "");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::vector<uint8_t> buffer(1 << 22);
  pc::Assembler code(buffer.data(), buffer.data() + buffer.size());
  const auto say = [](const std::string& text) { std::puts(text.c_str()); };
  const char* const kZmm = "ZMMWORD PTR ";
  using pc::Opmask, pc::Reg64, pc::zmm;
  const size_t registers[] = {0, 1, 7, 8, 15, 16, 23, 24, 29, 31};
  const Reg64 bases[] = {Reg64::rcx, Reg64::rdx, Reg64::rsi, Reg64::rdi, Reg64::r8};
  const int32_t disps[] = {0, 4, 64, -64, 508, -512, 512, 8128, 8192, -8192, -8256, 100, 1 << 20, 0x3fffffc0, -0x3fffff00};
  const pc::WriteMask masks[] = {{}, {Opmask::k1, false}, {Opmask::k1, true}, {Opmask::k2, false}, {Opmask::k7, true}};
  for (const size_t number : registers) {
    const pc::Zmm a = zmm(number);
    for (const auto base : bases) {
      for (const int32_t disp : disps) {
        const pc::Memory m{base, disp};
        code.load(a, m);
        say("vmovups " + text(a) + "," + at(m, kZmm));
        code.store(m, a);
        say("vmovups " + at(m, kZmm) + "," + text(a));
        code.broadcast(a, m);
        say("vbroadcastss " + text(a) + "," + at(m, "DWORD PTR "));
        const pc::Zmm factor = zmm(31 - number), other = zmm(number > 30 ? 5 : 30 - number);
        code.fma_broadcast(a, factor, m);
        say("vfmadd231ps " + text(a) + "," + text(factor) + "," + at(m, "DWORD BCST "));
        code.add(a, other, m);
        say("vaddps " + text(a) + "," + text(other) + "," + at(m, kZmm));
      }
    }
    for (const size_t second : registers)
      for (const size_t third : registers) {
        const pc::Zmm b = zmm(second), c = zmm(third);
        for (const pc::WriteMask mask : masks) {
          const std::string to = " " + text(a) + masked(mask) + ",", from = text(b) + "," + text(c);
          code.multiply(a, b, c, mask);
          say("vmulps" + to + from);
          code.maximum(a, b, c, mask);
          say("vmaxps" + to + from);
          code.minimum(a, b, c, mask);
          say("vminps" + to + from);
          code.move(a, c, mask);
          say("vmovaps" + to + text(c));
        }
        code.less_than(Opmask::k2, b, c);
        say("vcmplt_oqps k2," + text(b) + "," + text(c));
      }
    code.zero(a);
    say("vpxord " + text(a) + "," + text(a) + "," + text(a));
  }
  for (const auto base : bases) {
    for (const int32_t disp : disps) {
      const pc::Memory m{base, disp};
      code.prefetch_l1(m);
      say("prefetcht0 " + at(m, "BYTE PTR "));
      code.prefetch_l2(m);
      say("prefetcht1 " + at(m, "BYTE PTR "));
      code.prefetch_for_write(m);
      say("prefetchw " + at(m, "BYTE PTR "));
    }
  }
  const auto add = [&](Reg64 to, int32_t value) {
    code.add_immediate(to, value);
    say("add " + text(to) + "," + (value < 0 ? "0xffffffff" + hex(static_cast<uint32_t>(value)).substr(2) : hex(value)));
  };
  for (const int32_t value : {1024, 1, -1, 0x7fffffff}) add(Reg64::rsi, value);
  for (const auto base : {Reg64::rcx, Reg64::r9}) {
    for (const int32_t disp : {0, 64, -2, 100, 1 << 20}) {
      const pc::Memory m{base, disp};
      code.load_mask(Opmask::k1, m);
      say("kmovw k1," + at(m, "WORD PTR "));
      code.load_mask(Opmask::k7, m);
      say("kmovw k7," + at(m, "WORD PTR "));
    }
  }
  code.end();
  say("vzeroupper");
  say("ret");
  for (const auto to : {Reg64::rcx, Reg64::rdi, Reg64::r8, Reg64::r9}) add(to, -512);
  if (code.overflowed()) return 1;
  FILE* file = std::fopen(argv[1], "wb");
  if (file == nullptr) return 1;
  const auto size = static_cast<size_t>(code.at() - buffer.data());
  const bool written = std::fwrite(buffer.data(), 1, size, file) == size;
  return std::fclose(file) == 0 && written ? 0 : 1;
}
