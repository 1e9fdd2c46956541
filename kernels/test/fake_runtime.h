// A stand-in for ONNX Runtime's library: as much of its C ABI as hooking needs, and a count of what was called.
#pragma once
#include <atomic>

#include "ort_abi.h"

namespace fake {

// The function table: as it comes, in memory that may become writable; sealed, in memory that must not.
__attribute__((visibility("default"))) void use_sealed_table(bool sealed);
// Whoever asks for the table next waits for another to ask too, and that one until the table has changed; both at most
// for a moment.
__attribute__((visibility("default"))) void interleave_callers();

extern __attribute__((visibility("default"))) std::atomic<int> sessions, registrations;

}  // namespace fake

extern "C" __attribute__((visibility("default"))) const OrtApiBase* OrtGetApiBase();
