// Writes instructions to a file and their expected disassembly, "place: text", to standard output.
// kernels/test.mjs compares it with `objdump -D -b binary -m i386:x86-64 -M intel`.
#pragma once
#include <memory>

#include "decode.h"
#include "support.h"

namespace test {

class Listing {
 public:
  explicit Listing(const char* path) : file_(std::fopen(path, "wb"), std::fclose) {
    if (file_ == nullptr) throw Fault(std::string("cannot write ") + path);
  }

  void add(const uint8_t* at, size_t size) {
    const Instruction one = decode(at, at + size);
    if (one.length != size || std::fwrite(at, 1, size, file_.get()) != size) throw Fault("cannot write an instruction");
    std::printf("%zx: %s\n", place_, text(one, place_).c_str());
    place_ += size;
  }

  // Adds mutants with randomly flipped bits, if these are valid instructions.
  void add_mutants(Random& random, const uint8_t* at, size_t size, int count) {
    for (; count > 0; count--) {
      std::vector<uint8_t> bytes(at, at + size);
      for (int64_t flips = random.integer(1, 3); flips > 0; flips--) {
        bytes[random.engine() % size] ^= static_cast<uint8_t>(1 << random.integer(0, 7));
      }
      try {
        if (decode(bytes.data(), bytes.data() + size).length != size) continue;
      } catch (const Fault&) {
        continue;
      }
      add(bytes.data(), size);
    }
  }

  // Adds all instructions up to the ret.
  void add_code(Random& random, const uint8_t* at, const uint8_t* end, int mutants) {
    for (;;) {
      const Instruction one = decode(at, end);
      add(at, one.length);
      add_mutants(random, at, one.length, mutants);
      if (one.op == Op::end) return;
      at += one.length;
    }
  }

 private:
  std::unique_ptr<FILE, int (*)(FILE*)> file_;
  size_t place_ = 0;
};

}  // namespace test
