// Runs emitted code without the processor it is meant for: every access to memory is checked against what the code may
// touch, and nothing may be read that was not set. What the code leaves behind is what a processor would leave, to the
// bit; of NaN only that it is one.
#pragma once
#include <array>
#include <span>
#include <vector>

#include "decode.h"

namespace test {

// Intel's numbers of the integer registers.
enum : int { kRax, kRcx, kRdx, kRbx, kRsp, kRbp, kRsi, kRdi, kR8, kR9, kRegisters = 16 };

// Memory that code may read, and write where that is said. `address` is where the code sees it: regions that lie far
// apart there cannot be taken for each other.
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

  // Calls the code as a function of these integers (System V: rdi, rsi, rdx, rcx, r8, r9). Returns what is then in rax,
  // 0 where that was not set. Throws Fault, which names the place and the instruction, where the code does what it may
  // not; also where it has not returned after `most` instructions.
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
  bool uppers_ = false;  // something was written above the low halves of vectors 0 to 15
};

}  // namespace test
