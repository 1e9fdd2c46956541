#include "decode.h"

#include <cstdio>

namespace test {
namespace {

[[noreturn]] void unknown(const char* why) { throw Fault(std::string("unknown instruction: ") + why); }

void expect(bool holds, const char* why) {
  if (!holds) unknown(why);
}

struct Reader {
  const uint8_t *at, *end;
  int byte() {
    expect(at < end, "it is cut off");
    return *at++;
  }
  int64_t number(int bytes) {
    uint32_t bits = 0;
    for (int i = 0; i < bytes; i++) bits |= static_cast<uint32_t>(byte()) << (8 * i);
    return bytes == 1 ? static_cast<int8_t>(bits) : static_cast<int32_t>(bits);
  }
};

// The bits that prefixes add to register numbers, as values: r, x and b are 8 (r may be 16 as well)
// if set.
struct Extension {
  int r = 0, x = 0, b = 0;
};

// ModRM, SIB and displacement. A displacement of one byte counts in units of `unit`.
void read_operands(Reader& in, Instruction& to, Extension extension, int unit) {
  const int modrm = in.byte(), mode = modrm >> 6;
  int low = modrm & 7;
  to.reg = extension.r | (modrm >> 3 & 7);
  to.memory = mode != 3;
  if (!to.memory) {
    to.rm = extension.x << 1 | extension.b | low;  // for vectors, x is bit 4
    return;
  }
  if (low == 4) {
    const int sib = in.byte(), index = extension.x | (sib >> 3 & 7);
    low = sib & 7;
    if (index != 4) to.at.index = index;
    to.at.scale = 1 << (sib >> 6);
    expect(index != 4 || (low == 4 && to.at.scale == 1), "a SIB byte without need");
  } else {
    expect(extension.x == 0, "bit X without an index");
  }
  expect(mode != 0 || low != 5, "an address without a base");
  to.at.base = extension.b | low;
  to.at.has_disp = mode != 0;
  if (mode == 1) to.at.disp = in.number(1) * unit;
  if (mode == 2) to.at.disp = in.number(4);
}

enum class Coding { evex512, vex256, vex128 };

enum Operands : unsigned {
  kRegister = 1,    // the last operand may be a register
  kMemory = 2,      // the last operand may be memory
  kOneFloat = 4,    // the memory operand is one float
  kEmbedded = 8,    // bit b says that it is one float
  kSecond = 16,     // vvvv is an operand
  kMasked = 32,     // a write mask is possible
  kToMask = 64,     // the result is a mask
  kPredicate = 128, // an immediate byte is the predicate of a comparison
  kFourth = 256,    // an immediate byte is a fourth register
  kNone = 512       // no ModRM
};

struct Form {
  Coding coding;
  int map, prefix, opcode;  // map 1: 0F, 2: 0F 38, 3: 0F 3A; prefix 0: none, 1: 66
  Op op;
  const char* name;
  unsigned operands;
};

constexpr unsigned kEither = kRegister | kMemory;
constexpr Form kForms[] = {
    {Coding::evex512, 1, 0, 0x10, Op::load, "vmovups", kMemory},
    {Coding::evex512, 1, 0, 0x11, Op::store, "vmovups", kMemory},
    {Coding::evex512, 2, 1, 0x18, Op::broadcast, "vbroadcastss", kMemory | kOneFloat},
    {Coding::evex512, 2, 1, 0xb8, Op::fma, "vfmadd231ps", kMemory | kOneFloat | kEmbedded | kSecond},
    {Coding::evex512, 1, 0, 0x58, Op::add, "vaddps", kMemory | kSecond},
    {Coding::evex512, 1, 0, 0x59, Op::multiply, "vmulps", kRegister | kSecond | kMasked},
    {Coding::evex512, 1, 0, 0x5f, Op::maximum, "vmaxps", kRegister | kSecond | kMasked},
    {Coding::evex512, 1, 0, 0x5d, Op::minimum, "vminps", kRegister | kSecond | kMasked},
    {Coding::evex512, 1, 0, 0x28, Op::move, "vmovaps", kRegister | kMasked},
    {Coding::evex512, 1, 1, 0xef, Op::exclusive_or, "vpxord", kRegister | kSecond},
    {Coding::evex512, 1, 0, 0xc2, Op::compare, "vcmp", kRegister | kSecond | kToMask | kPredicate},
    {Coding::vex256, 1, 0, 0x10, Op::load, "vmovups", kMemory},
    {Coding::vex256, 1, 0, 0x11, Op::store, "vmovups", kMemory},
    {Coding::vex256, 2, 1, 0x18, Op::broadcast, "vbroadcastss", kMemory | kOneFloat},
    {Coding::vex256, 2, 1, 0xb8, Op::fma, "vfmadd231ps", kEither | kSecond},
    {Coding::vex256, 1, 0, 0x58, Op::add, "vaddps", kEither | kSecond},
    {Coding::vex256, 1, 0, 0x59, Op::multiply, "vmulps", kEither | kSecond},
    {Coding::vex256, 1, 0, 0x5f, Op::maximum, "vmaxps", kEither | kSecond},
    {Coding::vex256, 1, 0, 0x5d, Op::minimum, "vminps", kEither | kSecond},
    {Coding::vex256, 1, 0, 0x54, Op::bitwise_and, "vandps", kEither | kSecond},
    {Coding::vex256, 1, 0, 0x57, Op::exclusive_or, "vxorps", kEither | kSecond},
    {Coding::vex256, 1, 0, 0xc2, Op::compare, "vcmp", kEither | kSecond | kPredicate},
    {Coding::vex256, 3, 1, 0x4a, Op::blend, "vblendvps", kEither | kSecond | kFourth},
    {Coding::vex128, 1, 0, 0x90, Op::load_mask, "kmovw", kMemory | kToMask},
    {Coding::vex128, 1, 0, 0x77, Op::zero_uppers, "vzeroupper", kNone},
};

// The fields that VEX and EVEX prefixes share. EVEX has the last three as well.
struct Prefix {
  Coding coding;
  int map, prefix, second;
  Extension extension;
  bool embedded = false, zeroing = false;
  int mask = 0;
};

Prefix read_vex(Reader& in, bool two_bytes) {
  const int first = in.byte(), last = two_bytes ? first & 0x7f : in.byte();
  expect(last >> 7 == 0, "bit W");
  Extension extension{~first >> 4 & 8, 0, 0};
  if (!two_bytes) extension = {~first >> 4 & 8, ~first >> 3 & 8, ~first >> 2 & 8};
  const Coding coding = (last >> 2 & 1) != 0 ? Coding::vex256 : Coding::vex128;
  return {coding, two_bytes ? 1 : first & 31, last & 3, ~last >> 3 & 15, extension, false, false, 0};
}

Prefix read_evex(Reader& in) {
  const int first = in.byte(), middle = in.byte(), last = in.byte();
  expect((first & 12) == 0 && (middle & 4) == 4, "bits that are fixed");
  expect(middle >> 7 == 0, "bit W");
  expect((last >> 5 & 3) == 2, "not 512 bits");
  const Extension extension{(~first >> 4 & 8) | (~first & 16), ~first >> 3 & 8, ~first >> 2 & 8};
  const int second = (~middle >> 3 & 15) | (~last << 1 & 16);
  return {Coding::evex512, first & 3, middle & 3, second, extension, (last & 16) != 0, last >> 7 != 0, last & 7};
}

const char* predicate(int64_t value) {
  expect(value == 0x11 || value == 0x1e, "a comparison other than lt_oq and gt_oq");
  return value == 0x11 ? "vcmplt_oqps" : "vcmpgt_oqps";
}

Instruction read_vector(Reader& in, const Prefix& prefix) {
  const int opcode = in.byte();
  const Form* form = nullptr;
  for (const Form& one : kForms) {
    const bool same = one.coding == prefix.coding && one.map == prefix.map && one.prefix == prefix.prefix;
    if (same && one.opcode == opcode) form = &one;
  }
  expect(form != nullptr, "no such opcode");
  const auto has = [&](unsigned flag) { return (form->operands & flag) != 0; };
  Instruction to;
  to.op = form->op;
  to.name = form->name;
  to.bytes = form->coding == Coding::evex512 ? 64 : form->coding == Coding::vex256 ? 32 : 0;
  to.has_second = has(kSecond);
  to.one_float = has(kOneFloat);
  to.embedded = has(kEmbedded);
  to.to_mask = has(kToMask);
  to.second = prefix.second;
  to.mask = prefix.mask;
  to.zeroing = prefix.zeroing;
  expect(prefix.embedded == has(kEmbedded), "bit b");
  expect(has(kSecond) || prefix.second == 0, "vvvv is no operand");
  expect(has(kMasked) || prefix.mask == 0, "a mask");
  expect(prefix.mask != 0 || !prefix.zeroing, "zeroing without a mask");
  if (has(kNone)) {
    expect(prefix.extension.r == 0, "bit R");
    return to;
  }
  const bool evex = form->coding == Coding::evex512;
  read_operands(in, to, prefix.extension, !evex ? 1 : has(kOneFloat) ? 4 : 64);
  expect(has(to.memory ? kMemory : kRegister), "the kind of its last operand");
  expect(to.memory || evex || prefix.extension.x == 0, "bit X without an index");
  expect(!has(kToMask) || to.reg < 8, "no such mask register");
  if (has(kPredicate)) {
    to.immediate = in.number(1);
    to.name = predicate(to.immediate);
  }
  if (has(kFourth)) {
    to.has_fourth = true;
    to.fourth = in.byte();
    expect((to.fourth & 15) == 0, "the low bits of the byte for a register");
    to.fourth >>= 4;
  }
  return to;
}

// 64-bit integer instructions. `extension` is the part of ModRM that extends the opcode, or -1 if
// that is a register.
struct IntegerForm {
  int opcode, extension;
  Op op;
  const char* name;
  int immediate;  // bytes
  bool memory;    // otherwise a register
  bool to_rm;
};

constexpr IntegerForm kIntegerForms[] = {
    {0x83, 0, Op::integer_add, "add", 1, false, true},       {0x81, 0, Op::integer_add, "add", 4, false, true},
    {0x83, 5, Op::integer_subtract, "sub", 1, false, true},  {0x81, 5, Op::integer_subtract, "sub", 4, false, true},
    {0x83, 7, Op::integer_compare, "cmp", 1, false, true},   {0x81, 7, Op::integer_compare, "cmp", 4, false, true},
    {0x01, -1, Op::integer_add, "add", 0, false, true},      {0x29, -1, Op::integer_subtract, "sub", 0, false, true},
    {0x39, -1, Op::integer_compare, "cmp", 0, false, true},  {0x85, -1, Op::integer_test, "test", 0, false, true},
    {0x89, -1, Op::integer_move, "mov", 0, false, true},     {0x8b, -1, Op::integer_move, "mov", 0, true, false},
    {0x8d, -1, Op::address, "lea", 0, true, false},          {0xff, 0, Op::increment, "inc", 0, false, true},
    {0xff, 1, Op::decrement, "dec", 0, false, true},
};

Instruction read_integer(Reader& in, int opcode, Extension extension) {
  Instruction to;
  read_operands(in, to, extension, 1);
  for (const IntegerForm& form : kIntegerForms) {
    const bool same = form.opcode == opcode && (form.extension < 0 || form.extension == (to.reg & 7));
    if (!same || form.memory != to.memory) continue;
    expect(form.extension < 0 || extension.r == 0, "bit R");
    expect(to.memory || extension.x == 0, "bit X without an index");
    to.op = form.op;
    to.name = form.name;
    to.to_rm = form.to_rm;
    to.has_second = form.to_rm && form.extension < 0;  // reg is the other operand
    to.has_immediate = form.immediate > 0;
    if (to.has_immediate) to.immediate = in.number(form.immediate);
    return to;
  }
  unknown("no such integer instruction");
}

constexpr const char* kConditions[] = {"jo", "jno", "jb", "jae", "je", "jne", "jbe", "ja",
                                       "js", "jns", "jp", "jnp", "jl", "jge", "jle", "jg"};

Instruction read_jump(Reader& in, int condition, int bytes) {
  Instruction to;
  to.op = Op::jump_if;
  to.name = kConditions[condition];
  to.reg = condition;
  expect(condition != 10 && condition != 11, "a jump by parity");
  to.immediate = in.number(bytes);
  return to;
}

Instruction read_prefetch(Reader& in, int opcode, Extension extension) {
  Instruction to;
  read_operands(in, to, extension, 1);
  to.op = Op::prefetch;
  expect(to.memory && extension.r == 0, "a prefetch of no memory");
  expect(opcode == 0x18 ? to.reg == 1 || to.reg == 2 : to.reg == 1, "another prefetch");
  to.name = opcode == 0x0d ? "prefetchw" : to.reg == 1 ? "prefetcht0" : "prefetcht1";
  return to;
}

Instruction read_any(Reader& in) {
  int opcode = in.byte();
  if (opcode == 0x62) return read_vector(in, read_evex(in));
  if (opcode == 0xc4 || opcode == 0xc5) return read_vector(in, read_vex(in, opcode == 0xc5));
  Instruction end;
  end.name = "ret";
  if (opcode == 0xc3) return end;
  if (opcode >> 4 == 7) return read_jump(in, opcode & 15, 1);
  Extension extension;
  const bool rex = opcode >> 4 == 4, wide = rex && (opcode & 8) != 0;
  if (rex) {
    expect(opcode != 0x40, "a prefix that says nothing");
    extension = {opcode << 1 & 8, opcode << 2 & 8, opcode << 3 & 8};
    opcode = in.byte();
  }
  if (wide) return read_integer(in, opcode, extension);
  expect(opcode == 0x0f, "no such opcode");
  opcode = in.byte();
  if (opcode >> 4 == 8 && !rex) return read_jump(in, opcode & 15, 4);
  expect(opcode == 0x18 || opcode == 0x0d, "no such opcode");
  return read_prefetch(in, opcode, extension);
}

std::string hex(int64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

std::string integer(int number) {
  constexpr const char* kNames[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"};
  return number < 8 ? kNames[number] : "r" + std::to_string(number);
}

std::string last_operand(const Instruction& one, const std::string& vector) {
  if (!one.memory) return one.bytes == 0 ? integer(one.rm) : vector + std::to_string(one.rm);
  std::string size = one.bytes == 64 ? "ZMMWORD PTR " : one.bytes == 32 ? "YMMWORD PTR " : "QWORD PTR ";
  if (one.op == Op::prefetch) size = "BYTE PTR ";
  if (one.op == Op::load_mask) size = "WORD PTR ";
  if (one.op == Op::address) size = "";
  if (one.one_float) size = one.embedded ? "DWORD BCST " : "DWORD PTR ";
  std::string place = integer(one.at.base);
  if (one.at.index >= 0) place += "+" + integer(one.at.index) + "*" + std::to_string(one.at.scale);
  if (one.at.has_disp) place += one.at.disp < 0 ? "-" + hex(-one.at.disp) : "+" + hex(one.at.disp);
  return size + "[" + place + "]";
}

}  // namespace

Instruction decode(const uint8_t* at, const uint8_t* end) {
  Reader in{at, end};
  Instruction one = read_any(in);
  one.length = static_cast<size_t>(in.at - at);
  return one;
}

std::string text(const Instruction& one, size_t place) {
  const std::string name = one.name, vector = one.bytes == 64 ? "zmm" : "ymm";
  const auto numbered = [&](int number) { return one.bytes == 0 ? integer(number) : vector + std::to_string(number); };
  if (one.op == Op::end || one.op == Op::zero_uppers) return name;
  if (one.op == Op::jump_if) return name + " " + hex(static_cast<int64_t>(place + one.length) + one.immediate);
  const std::string last = last_operand(one, vector);
  if (one.op == Op::prefetch) return name + " " + last;
  if (one.op == Op::store) return name + " " + last + "," + numbered(one.reg);
  if (one.to_rm) {
    if (one.has_immediate) return name + " " + last + "," + hex(one.immediate);
    return name + " " + last + (one.has_second ? "," + numbered(one.reg) : "");
  }
  std::string to = one.to_mask ? "k" + std::to_string(one.reg) : numbered(one.reg);
  if (one.mask != 0) to += "{k" + std::to_string(one.mask) + "}" + (one.zeroing ? "{z}" : "");
  return name + " " + to + (one.has_second ? "," + numbered(one.second) : "") + "," + last +
         (one.has_fourth ? "," + numbered(one.fourth) : "");
}

}  // namespace test
