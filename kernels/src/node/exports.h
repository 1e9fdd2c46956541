// The properties that the Node addon exports: facts about itself and the machine.
#pragma once

namespace pc {

// Sets on `exports`: `version` (PruneCompileKernelsVersion), `isa` (avx512, avx2, baseline),
// `kernel` (jit, stream), `executableMemory` (boolean), fmaPeak(): the peak of one core in GFLOP/s,
// undefined if unknown, and setProviderOptions(provider, lines) (provider_options.h). Does nothing outside Node.
void export_facts(void* environment, void* exports);

}  // namespace pc
