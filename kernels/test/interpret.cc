#include "interpret.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace test {
namespace {

void expect(bool holds, const std::string& what) {
  if (!holds) throw Fault(what);
}

// Callee-saved registers.
bool is_callers(int number) { return number == kRbx || number == kRsp || number == kRbp || number >= 12; }

float bitwise(float a, float b, Op op) {
  const auto x = std::bit_cast<uint32_t>(a), y = std::bit_cast<uint32_t>(b);
  return std::bit_cast<float>(op == Op::bitwise_and ? x & y : x ^ y);
}

// a and b are the sources in Intel order. Maximum and minimum return the second if either is NaN or
// both are zeros.
float lane(Op op, float sum, float a, float b) {
  switch (op) {
    case Op::fma:
      return std::fma(a, b, sum);
    case Op::add:
      return a + b;
    case Op::multiply:
      return a * b;
    case Op::maximum:
      return a > b ? a : b;
    case Op::minimum:
      return a < b ? a : b;
    case Op::bitwise_and:
    case Op::exclusive_or:
      return bitwise(a, b, op);
    default:  // load, broadcast, move
      return b;
  }
}

std::string bytes_of(std::span<const uint8_t> code, size_t at) {
  constexpr size_t kLongest = 15;  // bytes of an instruction
  std::string all;
  char text[8];
  for (size_t i = at; i < std::min(code.size(), at + kLongest); i++) {
    std::snprintf(text, sizeof text, i == at ? "%02x" : " %02x", code[i]);
    all += text;
  }
  return all;
}

}  // namespace

uint64_t Machine::call(std::span<const uint64_t> arguments, size_t most) {
  constexpr int kArguments[] = {kRdi, kRsi, kRdx, kRcx, kR8, kR9};
  vectors_.fill({});
  masks_.fill({});
  integers_.fill({});
  flags_set_ = uppers_ = false;
  for (size_t i = 0; i < arguments.size(); i++) put(kArguments[i], arguments[i]);
  at_ = 0;
  running_ = true;
  for (size_t steps = 0; running_; steps++) {
    const size_t at = at_;
    Instruction now;
    try {
      expect(steps < most, "it does not return");
      expect(at < code_.size(), "it runs out of the code");
      now = decode(code_.data() + at, code_.data() + code_.size());
      at_ += now.length;
      step(now);
    } catch (const Fault& fault) {
      char where[32];
      std::snprintf(where, sizeof where, "code + 0x%zx: ", at);
      const std::string what = now.length > 0 ? text(now, at) : bytes_of(code_, at);
      throw Fault(where + what + ": " + fault.what());
    }
  }
  return integers_[kRax].value;
}

void Machine::step(const Instruction& now) {
  switch (now.op) {
    case Op::prefetch:
      return;  // any address is valid: it never faults
    case Op::end:
      return finish();
    case Op::jump_if:
      return jump(now);
    case Op::zero_uppers:
      for (size_t i = 0; i < 16; i++) std::fill(vectors_[i].value.begin() + 4, vectors_[i].value.end(), 0.0f);
      uppers_ = false;
      return;
    case Op::load_mask: {
      uint16_t mask = 0;
      std::memcpy(&mask, reach(now, sizeof mask, Access::read), sizeof mask);
      masks_[static_cast<size_t>(now.reg)] = {mask, true};
      return;
    }
    default:
      return now.bytes > 0 ? vector(now) : integer(now);
  }
}

// Dirty upper halves of vector registers would slow down the caller.
void Machine::finish() {
  expect(!uppers_, "no vzeroupper before it");
  running_ = false;
}

uint64_t Machine::get(int number) const {
  const auto& slot = integers_[static_cast<size_t>(number)];
  expect(slot.set, "reads an integer register that was not set");
  return slot.value;
}

void Machine::put(int number, uint64_t value) {
  expect(!is_callers(number), "writes a register that belongs to the caller");
  integers_[static_cast<size_t>(number)] = {value, true};
}

const Machine::Lanes& Machine::lanes(int number) const {
  const auto& slot = vectors_[static_cast<size_t>(number)];
  expect(slot.set, "reads a vector register that was not set");
  return slot.value;
}

uint64_t Machine::place(const Instruction& now) const {
  const uint64_t index = now.at.index < 0 ? 0 : get(now.at.index) * static_cast<uint64_t>(now.at.scale);
  return get(now.at.base) + index + static_cast<uint64_t>(now.at.disp);
}

uint8_t* Machine::reach(const Instruction& now, size_t bytes, Access access) const {
  const uint64_t from = place(now);
  const Region* nearest = nullptr;
  uint64_t least = 0;
  for (const Region& region : regions_) {
    const uint64_t begin = region.address, end = begin + region.bytes;
    if (from >= begin && from <= end && bytes <= end - from) {
      expect(access == Access::read || region.writable, std::string("writes into ") + region.name);
      return static_cast<uint8_t*>(const_cast<void*>(region.begin)) + (from - begin);
    }
    const uint64_t distance = from < begin ? begin - from : from > end ? from - end : 0;
    if (nearest != nullptr && distance >= least) continue;
    nearest = &region;
    least = distance;
  }
  expect(nearest != nullptr, "there is no memory");
  char text[160];
  std::snprintf(text, sizeof text, "%s %zu bytes %lld bytes from the start of %s, which has %zu",
                access == Access::read ? "reads" : "writes", bytes,
                static_cast<long long>(from - nearest->address), nearest->name, nearest->bytes);
  throw Fault(text);
}

Machine::Lanes Machine::last_operand(const Instruction& now) const {
  if (!now.memory) return lanes(now.rm);
  Lanes value{};
  const size_t bytes = now.one_float ? sizeof(float) : now.bytes;
  std::memcpy(value.data(), reach(now, bytes, Access::read), bytes);
  if (now.one_float) value.fill(value[0]);
  return value;
}

// Lanes after the end of the vector become zero, as on the processor.
void Machine::put_lanes(const Instruction& now, const Lanes& value) {
  auto& slot = vectors_[static_cast<size_t>(now.reg)];
  Lanes result{};
  unsigned mask = 0xffff;
  if (now.mask != 0) {
    const auto& given = masks_[static_cast<size_t>(now.mask)];
    expect(given.set, "reads a mask that was not set");
    mask = given.value;
    if (!now.zeroing) result = lanes(now.reg);
  }
  for (size_t i = 0; i < now.bytes / sizeof(float); i++) {
    if ((mask >> i & 1) != 0) result[i] = value[i];
  }
  slot = {result, true};
  uppers_ = uppers_ || now.reg < 16;
}

// Sets all bits of a lane, or one bit of a mask, if the comparison holds. It does not hold for NaN.
void Machine::compare(const Instruction& now, const Lanes& b) {
  constexpr int64_t kLess = 0x11;  // the decoder knows one other predicate: greater
  const Lanes& a = lanes(now.second);
  Lanes result{};
  unsigned mask = 0;
  for (size_t i = 0; i < now.bytes / sizeof(float); i++) {
    if (!(now.immediate == kLess ? a[i] < b[i] : a[i] > b[i])) continue;
    result[i] = std::bit_cast<float>(~uint32_t{0});
    mask |= 1u << i;
  }
  if (!now.to_mask) return put_lanes(now, result);
  masks_[static_cast<size_t>(now.reg)] = {static_cast<uint16_t>(mask), true};
}

void Machine::vector(const Instruction& now) {
  if (now.op == Op::store) {
    std::memcpy(reach(now, now.bytes, Access::write), lanes(now.reg).data(), now.bytes);
    return;
  }
  // An exclusive or of a register with itself is zero, whatever the register holds.
  const bool zero = now.op == Op::exclusive_or && !now.memory && now.second == now.rm;
  if (zero) return put_lanes(now, {});
  const Lanes b = last_operand(now);
  if (now.op == Op::compare) return compare(now, b);
  Lanes result{};
  const Lanes none{};
  const Lanes& a = now.has_second ? lanes(now.second) : none;
  const Lanes& sum = now.op == Op::fma ? lanes(now.reg) : none;
  const Lanes& choice = now.has_fourth ? lanes(now.fourth) : none;
  for (size_t i = 0; i < now.bytes / sizeof(float); i++) {
    result[i] = now.op == Op::blend ? (std::signbit(choice[i]) ? b[i] : a[i]) : lane(now.op, sum[i], a[i], b[i]);
  }
  put_lanes(now, result);
}

// Sets the flags. Returns the result, which comparisons and tests drop.
uint64_t Machine::arithmetic(Op op, uint64_t a, uint64_t b) {
  const bool adds = op == Op::integer_add || op == Op::increment, tests = op == Op::integer_test;
  const uint64_t result = tests ? a & b : adds ? a + b : a - b;
  const uint64_t top = uint64_t{1} << 63;
  // inc and dec do not change the carry.
  if (op != Op::increment && op != Op::decrement) carry_ = !tests && (adds ? result < a : a < b);
  zero_ = result == 0;
  sign_ = (result & top) != 0;
  overflow_ = !tests && ((a ^ result) & (adds ? b ^ result : a ^ b) & top) != 0;
  flags_set_ = true;
  return result;
}

void Machine::integer(const Instruction& now) {
  if (now.op == Op::address) return put(now.reg, place(now));
  if (now.op == Op::integer_move && now.memory) {
    uint64_t value = 0;
    std::memcpy(&value, reach(now, sizeof value, Access::read), sizeof value);
    return put(now.reg, value);
  }
  if (now.op == Op::integer_move) return put(now.rm, get(now.reg));
  const bool by_one = now.op == Op::increment || now.op == Op::decrement;
  const uint64_t b = by_one ? 1 : now.has_immediate ? static_cast<uint64_t>(now.immediate) : get(now.reg);
  const uint64_t result = arithmetic(now.op, get(now.rm), b);
  if (now.op != Op::integer_compare && now.op != Op::integer_test) put(now.rm, result);
}

void Machine::jump(const Instruction& now) {
  expect(flags_set_, "reads flags that were not set");
  // Indexed by condition / 2; odd conditions are negated. Jumps on parity are not supported.
  const bool holds[] = {overflow_, carry_, zero_, carry_ || zero_, sign_, false, sign_ != overflow_,
                        zero_ || sign_ != overflow_};
  if (holds[now.reg / 2] == (now.reg % 2 != 0)) return;
  const auto to = static_cast<int64_t>(at_) + now.immediate;
  expect(to >= 0 && to < static_cast<int64_t>(code_.size()), "jumps out of the code");
  at_ = static_cast<size_t>(to);
}

}  // namespace test
