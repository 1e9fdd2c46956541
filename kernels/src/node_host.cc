// For Node: onnxruntime-node has no call that registers custom operators. When this library is loaded as an addon, it changes two
// entries of the runtime's own function table (CreateSession, CreateSessionFromArray), so that every session made from then on has
// the operators. Sessions of models that do not use them are as before. The table is data: its page is made writable for two stores.
//
// It says what it would run on this machine, too: `isa` (avx512, avx2, baseline), `kernel` (jit, stream) and `executableMemory`.
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
#include <cstring>

#include "executable.h"
#include "isa.h"
#include "ort_abi.h"
#include "program.h"

extern "C" {
__attribute__((weak)) int napi_throw_error(void* environment, const char* code, const char* message);
__attribute__((weak)) int napi_create_string_utf8(void* environment, const char* text, size_t length, void** made);
__attribute__((weak)) int napi_get_boolean(void* environment, bool value, void** made);
__attribute__((weak)) int napi_set_named_property(void* environment, void* object, const char* name, void* value);
}
extern "C" OrtStatus* RegisterCustomOps(OrtSessionOptions*, const OrtApiBase*);

namespace {

constexpr int kCreateSession = 7, kCreateSessionFromArray = 8;
using Create = OrtStatus* (*)(const void*, const char*, const OrtSessionOptions*, void**);
using CreateFromArray = OrtStatus* (*)(const void*, const void*, size_t, const OrtSessionOptions*, void**);

const OrtApiBase* base = nullptr;
Create create = nullptr;
CreateFromArray create_from_array = nullptr;

// Options are the caller's own object, made for this one session: onnxruntime-node makes new ones each time.
OrtStatus* registered(const OrtSessionOptions* options) {
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
  if (create != nullptr) return nullptr;
  const char* path = std::getenv("PRUNE_COMPILE_ONNXRUNTIME");
  // Only the copy that is in the process already: another one would have a table of its own.
  void* runtime = path == nullptr ? nullptr : dlopen(path, RTLD_NOW | RTLD_NOLOAD);
  if (runtime == nullptr) return "prune_compile: onnxruntime-node is not loaded from where it was found";
  auto get_base = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(runtime, "OrtGetApiBase"));
  base = get_base == nullptr ? nullptr : get_base();
  OrtApiTable* api = base == nullptr ? nullptr : base->GetApi(ort::kApiVersion);
  if (api == nullptr) return "prune_compile: needs ONNX Runtime 1.18 or newer";
  create_from_array = reinterpret_cast<CreateFromArray>(api[kCreateSessionFromArray]);
  create = reinterpret_cast<Create>(api[kCreateSession]);
  if (store(api + kCreateSession, reinterpret_cast<void*>(create_with_operators)) &&
      store(api + kCreateSessionFromArray, reinterpret_cast<void*>(create_from_array_with_operators))) {
    return nullptr;
  }
  return "prune_compile: this system refuses to change the runtime's function table";
}

// The name of the kernel that a layer gets here: one weight is made a program of, so nothing is repeated of how the choice is made.
const char* kernel_name() {
  const pc::Matrix matrix{.rows = 1, .columns = 1, .ends = {1}, .column = {0}, .value = {1}};
  const uint32_t offset = 0;
  const float bias = 0;
  pc::ProgramSpec spec;
  spec.matrix = &matrix;
  spec.offsets = {&offset, 1};
  spec.bias = {&bias, 1};
  spec.y_stride = pc::kLane;
  spec.tiles = spec.tiles_per_run = 1;
  // Both names are literals: they outlive the program.
  return pc::make_program(spec, pc::kernel_from_environment(), pc::default_isa())->name();
}

bool has_executable_memory() {
  const auto memory = pc::Executable::reserve(1);
  return memory != nullptr && memory->seal(1);
}

void describe(void* environment, void* exports) {
  if (napi_create_string_utf8 == nullptr || napi_get_boolean == nullptr || napi_set_named_property == nullptr) return;
  const auto set_text = [&](const char* name, const char* text) {
    void* made = nullptr;
    if (napi_create_string_utf8(environment, text, std::strlen(text), &made) == 0) {
      napi_set_named_property(environment, exports, name, made);
    }
  };
  set_text("isa", pc::default_isa().name);
  set_text("kernel", kernel_name());
  void* allowed = nullptr;
  if (napi_get_boolean(environment, has_executable_memory(), &allowed) == 0) {
    napi_set_named_property(environment, exports, "executableMemory", allowed);
  }
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void* napi_register_module_v1(void* environment, void* exports) {
  const char* failed = hook();
  if (failed != nullptr && napi_throw_error != nullptr) napi_throw_error(environment, "E-KERNELS", failed);
  if (failed == nullptr) describe(environment, exports);
  return exports;
}
#endif
