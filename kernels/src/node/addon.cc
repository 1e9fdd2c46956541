// The Node addon. onnxruntime-node has no function that registers custom operators. When this
// library is loaded as an addon, it therefore replaces two entries of the runtime's function table
// (CreateSession and CreateSessionFromArray). Every session that is created from then on has the
// operators; sessions of models that do not use them do not change. Two more entries are replaced
// for options of providers (provider_options.h). The table is data, so its pages are made writable
// for the stores.
//
// exports.h lists what the addon exports.
//
// Building needs no header of Node: an addon is a library with the symbol napi_register_module_v1.
// Functions of Node are bound weakly because other programs load this library as well.
#if defined(__linux__)
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "node/exports.h"
#include "node/provider_options.h"
#include "ort_abi.h"

extern "C" __attribute__((weak)) int napi_throw_error(void* environment, const char* code, const char* message);
extern "C" OrtStatus* RegisterCustomOps(OrtSessionOptions*, const OrtApiBase*);

namespace {

constexpr int kCreateSession = 7, kCreateSessionFromArray = 8;
using Create = OrtStatus* (*)(const void*, const char*, const OrtSessionOptions*, void**);
using CreateFromArray = OrtStatus* (*)(const void*, const void*, size_t, const OrtSessionOptions*, void**);

const OrtApiBase* base = nullptr;
Create create = nullptr;
CreateFromArray create_from_array = nullptr;

// The options belong to the caller and to this session: onnxruntime-node creates new ones each
// time. Other callers in the process may pass null.
OrtStatus* registered(const OrtSessionOptions* options) {
  if (options == nullptr) return nullptr;
  return RegisterCustomOps(const_cast<OrtSessionOptions*>(options), base);
}

OrtStatus* create_with_operators(const void* env, const char* path, const OrtSessionOptions* options, void** out) {
  OrtStatus* failed = registered(options);
  return failed != nullptr ? failed : create(env, path, options, out);
}

OrtStatus* create_from_array_with_operators(const void* env, const void* data, size_t size, const OrtSessionOptions* options,
                                            void** out) {
  OrtStatus* failed = registered(options);
  return failed != nullptr ? failed : create_from_array(env, data, size, options, out);
}

// Whether the page of the address is writable. Other data may share the page and must stay writable
// then.
bool is_writable(uintptr_t address) {
  std::FILE* maps = std::fopen("/proc/self/maps", "re");
  if (maps == nullptr) return false;
  char line[512], access[5];
  bool writable = false;
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    uintptr_t from = 0, to = 0;
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, access) != 3) continue;
    if (address >= from && address < to) writable = access[1] == 'w';
  }
  std::fclose(maps);
  return writable;
}

bool store(void* const* entry, void* value) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)), address = reinterpret_cast<uintptr_t>(entry);
  // An entry is aligned, so it does not cross pages.
  auto* start = reinterpret_cast<void*>(address & ~(page - 1));
  const bool writable = is_writable(address);
  if (!writable && mprotect(start, page, PROT_READ | PROT_WRITE) != 0) return false;
  reinterpret_cast<std::atomic<void*>*>(const_cast<void**>(entry))->store(value);
  return writable || mprotect(start, page, PROT_READ) == 0;
}

const char* hook() {
  // Node's workers load addons concurrently. The saved entries must be the runtime's own, not the
  // replacements.
  static std::mutex mutex;
  static bool hooked = false;
  const std::lock_guard lock(mutex);
  if (hooked) return nullptr;
  const char* path = std::getenv("PRUNE_COMPILE_ONNXRUNTIME");
  // Only the copy that is already loaded: another copy would have a table of its own.
  void* runtime = path == nullptr ? nullptr : dlopen(path, RTLD_NOW | RTLD_NOLOAD);
  if (runtime == nullptr) return "prune_compile: onnxruntime-node is not loaded from where it was found";
  auto get_base = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(runtime, "OrtGetApiBase"));
  base = get_base == nullptr ? nullptr : get_base();
  OrtApiTable* api = base == nullptr ? nullptr : base->GetApi(ort::kApiVersion);
  if (api == nullptr) return "prune_compile: needs ONNX Runtime 1.18 or newer";
  if (create == nullptr) {
    create_from_array = reinterpret_cast<CreateFromArray>(api[kCreateSessionFromArray]);
    create = reinterpret_cast<Create>(api[kCreateSession]);
  }
  hooked = store(api + kCreateSession, reinterpret_cast<void*>(create_with_operators)) &&
      store(api + kCreateSessionFromArray, reinterpret_cast<void*>(create_from_array_with_operators)) &&
      pc::hook_providers(api, store);
  return hooked ? nullptr : "prune_compile: this system refuses to change the runtime's function table";
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void* napi_register_module_v1(void* environment, void* exports) {
  const char* failed = hook();
  if (failed != nullptr && napi_throw_error != nullptr) napi_throw_error(environment, "E-KERNELS", failed);
  if (failed == nullptr) pc::export_facts(environment, exports);
  return exports;
}
#endif
