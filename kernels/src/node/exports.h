// What the Node addon tells of itself and of the machine.
#pragma once

namespace pc {

// Sets on `exports`, where Node is there to do so: `version` (ort_library's statement), `isa` (avx512, avx2, baseline), `kernel` (jit,
// stream), `executableMemory`, and fmaPeak(), what one core could do at best in GFLOP/s (undefined where that is not known).
void export_facts(void* environment, void* exports);

}  // namespace pc
