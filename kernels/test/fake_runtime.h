// A fake ONNX Runtime: the part of its C ABI that the hook uses, and a count of the calls.
#pragma once
#include <atomic>
#include <string>

#include "ort_abi.h"

namespace fake {

// The function table. It is in memory that may become writable, or, if sealed, in memory that may
// not.
__attribute__((visibility("default"))) void use_sealed_table(bool sealed);
// The next caller that asks for the table waits for a second one, and that one waits until the
// table has changed. Both wait for a moment at most.
__attribute__((visibility("default"))) void interleave_callers();

extern __attribute__((visibility("default"))) std::atomic<int> sessions, registrations;
// CUDA providers that were appended, and the options that the last one got, as "key:value;…".
extern __attribute__((visibility("default"))) std::atomic<int> appended;
extern __attribute__((visibility("default"))) std::string updated;

}  // namespace fake

extern "C" __attribute__((visibility("default"))) const OrtApiBase* OrtGetApiBase();
