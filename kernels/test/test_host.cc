// The library as an addon of Node: several workers load it at the same time, the system refuses to
// change the function table, sessions are created without options.
//   test_host LIBRARY
#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "fake_runtime.h"

static std::atomic<int> errors = 0;

extern "C" __attribute__((visibility("default"))) int napi_throw_error(void*, const char*, const char*) {
  return errors++, 0;
}

namespace {

void expect(bool holds, const char* what) {
  if (holds) return;
  std::printf("addon: %s\n", what);
  std::exit(1);
}

using Load = void* (*)(void*, void*);

// Creates a session by each of the two functions. A real session would have the operators.
void make_sessions(const OrtSessionOptions* options) {
  OrtApiTable* api = OrtGetApiBase()->GetApi(ort::kApiVersion);
  ort::Function<7, OrtStatus*, const void*, const char*, const OrtSessionOptions*, void**>{}(api, nullptr, nullptr, options,
                                                                                            nullptr);
  ort::Function<8, OrtStatus*, const void*, const void*, size_t, const OrtSessionOptions*, void**>{}(
      api, nullptr, nullptr, size_t{0}, options, nullptr);
}

template <typename Work>
void by_workers(const Work& work) {
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; i++) workers.emplace_back(work);
  for (std::thread& worker : workers) worker.join();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  alarm(60);  // ends an endless recursion, if an entry of the table calls itself
  void* library = dlopen(argv[1], RTLD_NOW);
  expect(library != nullptr, "the library cannot be loaded");
  const auto load = reinterpret_cast<Load>(dlsym(library, "napi_register_module_v1"));
  expect(load != nullptr, "it is no addon");

  unsetenv("PRUNE_COMPILE_ONNXRUNTIME");
  load(nullptr, nullptr);
  expect(errors == 1, "no runtime is no error");
  Dl_info where{};
  expect(dladdr(reinterpret_cast<void*>(OrtGetApiBase), &where) != 0, "where is the runtime?");
  setenv("PRUNE_COMPILE_ONNXRUNTIME", where.dli_fname, 1);

  fake::use_sealed_table(true);
  load(nullptr, nullptr);
  expect(errors == 2, "a table that cannot be changed is no error");
  load(nullptr, nullptr);
  expect(errors == 3, "a table that cannot be changed is no error the second time");
  make_sessions(nullptr);
  expect(fake::sessions == 2, "sessions behind a table that cannot be changed");

  fake::use_sealed_table(false);
  fake::interleave_callers();
  by_workers([&] { load(nullptr, nullptr); });
  expect(errors == 3, "a worker could not load it");

  int options = 0;
  by_workers([&] { make_sessions(reinterpret_cast<const OrtSessionOptions*>(&options)); });
  expect(fake::sessions == 2 + 8 && fake::registrations == 8, "sessions get the operators once");
  make_sessions(nullptr);
  expect(fake::sessions == 2 + 8 + 2 && fake::registrations == 8, "sessions without options are as before");

  const auto set = reinterpret_cast<int (*)(const char*, const char*)>(dlsym(library, "PruneCompileSetProviderOptions"));
  expect(set != nullptr, "provider options cannot be set");
  const auto append_cuda = [&] {
    constexpr ort::Function<204, OrtStatus*, OrtSessionOptions*, const void*> append;
    return append(OrtGetApiBase()->GetApi(ort::kApiVersion), reinterpret_cast<OrtSessionOptions*>(&options), &options);
  };
  expect(append_cuda() == nullptr && fake::appended == 1 && fake::updated.empty(), "CUDA without options is as before");
  expect(set("cuda", "use_tf32=0\nlimit=a=b\nempty=") == 1 && set("webgpu", "a=1") == 0, "providers that are known");
  expect(append_cuda() == nullptr && fake::appended == 2, "CUDA with options");
  expect(fake::updated == "use_tf32:0;limit:a=b;empty:;", "the options of CUDA");
  expect(set("cuda", "no=1") == 1 && append_cuda() != nullptr && fake::appended == 2, "an option that is refused");
  fake::updated.clear();
  expect(set("cuda", "") == 1 && append_cuda() == nullptr && fake::updated.empty(), "options that were taken back");
  std::puts("addon: loaded by four workers at once");
  return 0;
}
