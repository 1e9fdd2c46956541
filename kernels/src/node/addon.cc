// For Node: onnxruntime-node has no call that registers custom operators. When this library is loaded as an addon, it changes two
// entries of the runtime's own function table (CreateSession, CreateSessionFromArray), so that every session made from then on has
// the operators. Sessions of models that do not use them are as before. The table is data: its page is made writable for two stores.
//
// It says what it is and what it would run on this machine, too (node_exports.h).
//
// No header of Node is needed: an addon is a library with the symbol napi_register_module_v1. Other programs load this library too, so
// what Node provides is bound weakly.
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

// Options are the caller's own object, made for this one session: onnxruntime-node makes new ones each time. Others in
// the process may give none.
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

// Whether the address lies in memory that may be written; data of others may share its page, and must stay writable then.
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
  // An entry is aligned, so it lies in one page.
  auto* start = reinterpret_cast<void*>(address & ~(page - 1));
  const bool writable = is_writable(address);
  if (!writable && mprotect(start, page, PROT_READ | PROT_WRITE) != 0) return false;
  reinterpret_cast<std::atomic<void*>*>(const_cast<void**>(entry))->store(value);
  return writable || mprotect(start, page, PROT_READ) == 0;
}

const char* hook() {
  // Workers of Node load addons at the same time: what was put into the table must not be taken for the runtime's own.
  static std::mutex mutex;
  static bool hooked = false;
  const std::lock_guard lock(mutex);
  if (hooked) return nullptr;
  const char* path = std::getenv("PRUNE_COMPILE_ONNXRUNTIME");
  // Only the copy that is in the process already: another one would have a table of its own.
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
      store(api + kCreateSessionFromArray, reinterpret_cast<void*>(create_from_array_with_operators));
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
