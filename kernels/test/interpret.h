// Interprets emitted code. Every memory access is checked against the memory that the code may use,
// and reading a register that was not set is a fault. Results equal those of a processor to the
// bit; of a NaN only that it is one.
#pragma once
#include <array>
#include <span>
#include <vector>

#include "decode.h"

namespace test {

// The numbers of the integer registers.
enum : int { kRax, kRcx, kRdx, kRbx, kRsp, kRbp, kRsi, kRdi, kR8, kR9, kRegisters = 16 };

// Memory that the code may read, and write if `writable`. `address` is the address that the code
// sees: regions far apart cannot be confused.
struct Region {
  const char* name;
  uint64_t address;
  const void* begin;
  size_t bytes;
  bool writable = false;
};

class Machine {
 public:
  Machine(std::span<const uint8_t> code, std::span<const Region> regions)
      : code_(code), regions_(regions.begin(), regions.end()) {}

  // Calls the code as a function of these integers (System V: rdi, rsi, rdx, rcx, r8, r9). Returns
  // rax, or 0 if it was not set. Throws Fault, which names the place and the instruction, if the
  // code violates a rule or has not returned after `most` instructions.
  uint64_t call(std::span<const uint64_t> arguments, size_t most);

 private:
  using Lanes = std::array<float, 16>;
  template <typename Value>
  struct Slot {
    Value value{};
    bool set = false;
  };
  enum class Access { read, write };

  void step(const Instruction&);
  void vector(const Instruction&);
  void integer(const Instruction&);
  void jump(const Instruction&);
  void finish();

  uint64_t place(const Instruction&) const;
  uint8_t* reach(const Instruction&, size_t bytes, Access) const;
  Lanes last_operand(const Instruction&) const;
  const Lanes& lanes(int number) const;
  uint64_t get(int number) const;
  void put(int number, uint64_t value);
  void put_lanes(const Instruction&, const Lanes& value);
  void compare(const Instruction&, const Lanes& b);
  uint64_t arithmetic(Op, uint64_t a, uint64_t b);

  std::span<const uint8_t> code_;
  std::vector<Region> regions_;
  size_t at_ = 0;  // of the next instruction
  bool running_ = false;
  std::array<Slot<Lanes>, 32> vectors_;
  std::array<Slot<uint16_t>, 8> masks_;
  std::array<Slot<uint64_t>, kRegisters> integers_;
  bool flags_set_ = false, zero_ = false, sign_ = false, carry_ = false, overflow_ = false;
  bool uppers_ = false;  // the upper halves of vectors 0 to 15 were written
};

}  // namespace test
