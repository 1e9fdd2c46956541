// Writes every instruction form with many operands to a file, and what each should read as to standard output; the
// test that runs it compares that with `objdump -D -b binary -m i386:x86-64 -M intel`.
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

std::string zmm(int n) { return "zmm" + std::to_string(n); }

std::string at(pc::Memory m, const char* size) {
  const char* base = m.base == pc::kRcx   ? "rcx"
                     : m.base == pc::kRdx ? "rdx"
                     : m.base == pc::kRsi ? "rsi"
                     : m.base == pc::kRdi ? "rdi"
                                          : "r8";
  return std::string(size) + "[" + base + (m.disp < 0 ? "-" + hex(-static_cast<int64_t>(m.disp)) : "+" + hex(m.disp)) +
         "]";
}

std::string masked(pc::Mask mask) {
  return mask.k == 0 ? "" : "{k" + std::to_string(mask.k) + "}" + (mask.zeroing ? "{z}" : "");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::vector<uint8_t> buffer(1 << 22);
  pc::Assembler code(buffer.data(), buffer.data() + buffer.size());
  const auto say = [](const std::string& text) { std::puts(text.c_str()); };
  const char* const kZmm = "ZMMWORD PTR ";
  const int registers[] = {0, 1, 7, 8, 15, 16, 23, 24, 29, 31};
  const int32_t disps[] = {0, 4, 64, -64, 508, -512, 512, 8128, 8192, -8192, -8256, 100, 1 << 20, 0x3fffffc0, -0x3fffff00};
  const pc::Mask masks[] = {{}, {1, false}, {1, true}, {2, false}, {7, true}};
  for (const int a : registers) {
    for (const auto base : {pc::kRcx, pc::kRdx, pc::kRsi, pc::kRdi, pc::kR8}) {
      for (const int32_t disp : disps) {
        const pc::Memory m{base, disp};
        code.load(a, m);
        say("vmovups " + zmm(a) + "," + at(m, kZmm));
        code.store(m, a);
        say("vmovups " + at(m, kZmm) + "," + zmm(a));
        code.broadcast(a, m);
        say("vbroadcastss " + zmm(a) + "," + at(m, "DWORD PTR "));
        code.fma_broadcast(a, 31 - a, m);
        say("vfmadd231ps " + zmm(a) + "," + zmm(31 - a) + "," + at(m, "DWORD BCST "));
        code.add(a, 30 - a < 0 ? 5 : 30 - a, m);
        say("vaddps " + zmm(a) + "," + zmm(30 - a < 0 ? 5 : 30 - a) + "," + at(m, kZmm));
      }
    }
    for (const int b : registers)
      for (const int c : registers) {
        for (const pc::Mask mask : masks) {
          const std::string to = " " + zmm(a) + masked(mask) + ",", from = zmm(b) + "," + zmm(c);
          code.multiply(a, b, c, mask);
          say("vmulps" + to + from);
          code.maximum(a, b, c, mask);
          say("vmaxps" + to + from);
          code.minimum(a, b, c, mask);
          say("vminps" + to + from);
          code.move(a, c, mask);
          say("vmovaps" + to + zmm(c));
        }
        code.less_than(2, b, c);
        say("vcmplt_oqps k2," + zmm(b) + "," + zmm(c));
      }
    code.zero(a);
    say("vpxord " + zmm(a) + "," + zmm(a) + "," + zmm(a));
  }
  for (const auto base : {pc::kRcx, pc::kRdx, pc::kRsi, pc::kRdi, pc::kR8}) {
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
  for (const int32_t value : {1024, 1, -1, 0x7fffffff}) {
    code.add_to_rsi(value);
    say("add rsi," + (value < 0 ? "0xffffffff" + hex(static_cast<uint32_t>(value)).substr(2) : hex(value)));
  }
  code.mask_from_r9(1);
  say("kmovw k1,r9d");
  code.mask_from_r9(7);
  say("kmovw k7,r9d");
  code.end();
  say("vzeroupper");
  say("ret");
  if (code.overflowed()) return 1;
  FILE* file = std::fopen(argv[1], "wb");
  if (file == nullptr) return 1;
  const auto size = static_cast<size_t>(code.at() - buffer.data());
  const bool written = std::fwrite(buffer.data(), 1, size, file) == size;
  return std::fclose(file) == 0 && written ? 0 : 1;
}
