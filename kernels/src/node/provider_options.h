// Options of execution providers. onnxruntime-node passes a device number to CUDA and TensorRT and
// nothing else, so the addon adds the others where the runtime is asked for such a provider.
#pragma once
#include "ort_abi.h"

namespace pc {

// Replaces the two entries of the function table that append a provider. `store` writes one entry;
// returns whether all were written. An entry that is null stays.
bool hook_providers(OrtApiTable* api, bool (*store)(void* const* entry, void* value));

}  // namespace pc

// From now on sessions get these options for `provider` ("cuda" or "tensorrt"): lines of KEY=VALUE.
// An empty text sets none. Returns whether the provider is known. A key that the provider does not
// know fails the creation of the session, with the provider's own message.
extern "C" int PruneCompileSetProviderOptions(const char* provider, const char* options) noexcept;
