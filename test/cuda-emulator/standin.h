// Stand-ins for NVIDIA's libraries, by their public C interfaces: what is enough for ONNX Runtime's
// real CUDA provider to make sessions and run ResNets without a card. "Device memory" is memory of
// the host, streams do nothing, every call is done when it returns. Numbers of enumerations and
// offsets in structs are those of CUDA 13 and cuDNN 9; no header of NVIDIA is needed or copied.
//
// Whatever is not emulated ends the process and says its name: no result is ever made up.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#define STANDIN extern "C" __attribute__((visibility("default")))

[[noreturn]] inline void not_emulated(const char* what) {
  std::fprintf(stderr, "not emulated: %s\n", what);
  std::abort();
}

// A variable of the environment that plants a fault: EMULATED_FAILS=35, EMULATED_WRONG=conv, …
inline const char* planted(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}
