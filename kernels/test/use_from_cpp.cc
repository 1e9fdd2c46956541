// Runs a sparse model in a C++ program, through the C API of ONNX Runtime:
//   use_from_cpp LIBONNXRUNTIME LIBRARY MODEL INPUT OUTPUT EXTENT...
// Prints the extents of the output on one line, then one value per line. Element i of the input is
// ((37 i) mod 101 - 50) / 64, which every language computes to the bit.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "ort_abi.h"

namespace {

struct OrtEnv;
struct OrtSession;
struct OrtRunOptions;
struct OrtMemoryInfo;

using ort::Function;
constexpr Function<3, OrtStatus*, int, const char*, OrtEnv**> CreateEnv;
constexpr Function<7, OrtStatus*, const OrtEnv*, const char*, const OrtSessionOptions*, OrtSession**> CreateSession;
constexpr Function<9, OrtStatus*, OrtSession*, const OrtRunOptions*, const char* const*, const OrtValue* const*, size_t,
                   const char* const*, size_t, OrtValue**>
    Run;
constexpr Function<10, OrtStatus*, OrtSessionOptions**> CreateSessionOptions;
constexpr Function<24, OrtStatus*, OrtSessionOptions*, int> SetIntraOpNumThreads;
constexpr Function<49, OrtStatus*, const OrtMemoryInfo*, void*, size_t, const int64_t*, size_t, int, OrtValue**>
    CreateTensorWithDataAsOrtValue;
constexpr Function<69, OrtStatus*, int, int, OrtMemoryInfo**> CreateCpuMemoryInfo;
constexpr Function<92, void, OrtEnv*> ReleaseEnv;
constexpr Function<94, void, OrtMemoryInfo*> ReleaseMemoryInfo;
constexpr Function<95, void, OrtSession*> ReleaseSession;
constexpr Function<96, void, OrtValue*> ReleaseValue;
constexpr Function<100, void, OrtSessionOptions*> ReleaseSessionOptions;
constexpr Function<228, OrtStatus*, OrtSessionOptions*, const char*> RegisterCustomOpsLibrary;

constexpr int kErrorsOnly = 3, kDeviceAllocator = 0, kDefaultMemory = 0;

OrtApiTable* api = nullptr;

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

void check(OrtStatus* status) {
  if (status != nullptr) fail(ort::GetErrorMessage(api, status));
}

void load_api(const char* path) {
  void* runtime = dlopen(path, RTLD_NOW);
  if (runtime == nullptr) fail(dlerror());
  const auto get_base = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(runtime, "OrtGetApiBase"));
  if (get_base == nullptr) fail("that is no ONNX Runtime");
  api = get_base()->GetApi(ort::kApiVersion);
  if (api == nullptr) fail("ONNX Runtime is too old");
}

void print(const OrtValue* value) {
  OrtTensorTypeAndShapeInfo* info = nullptr;
  check(ort::GetTensorTypeAndShape(api, value, &info));
  size_t rank = 0;
  check(ort::GetDimensionsCount(api, info, &rank));
  std::vector<int64_t> extents(rank);
  check(ort::GetDimensions(api, info, extents.data(), rank));
  ort::ReleaseTensorTypeAndShapeInfo(api, info);
  void* data = nullptr;
  check(ort::GetTensorMutableData(api, const_cast<OrtValue*>(value), &data));
  size_t count = 1;
  for (const int64_t extent : extents) {
    std::printf("%lld ", static_cast<long long>(extent));
    count *= static_cast<size_t>(extent);
  }
  std::printf("\n");
  // Nine digits distinguish any two floats.
  for (size_t i = 0; i < count; i++) std::printf("%.9g\n", static_cast<double>(static_cast<const float*>(data)[i]));
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kFirstExtent = 6;
  if (argc <= kFirstExtent) fail("use_from_cpp LIBONNXRUNTIME LIBRARY MODEL INPUT OUTPUT EXTENT...");
  load_api(argv[1]);
  const char *const library = argv[2], *const model = argv[3], *const input = argv[4], *const output = argv[5];
  std::vector<int64_t> extents;
  size_t count = 1;
  for (int i = kFirstExtent; i < argc; i++) {
    extents.push_back(std::atoll(argv[i]));
    count *= static_cast<size_t>(extents.back());
  }
  std::vector<float> x(count);
  for (size_t i = 0; i < count; i++) x[i] = (static_cast<float>(37 * i % 101) - 50) / 64;

  OrtEnv* environment = nullptr;
  OrtSessionOptions* options = nullptr;
  OrtSession* session = nullptr;
  OrtMemoryInfo* memory = nullptr;
  OrtValue *fed = nullptr, *result = nullptr;
  check(CreateEnv(api, kErrorsOnly, "use_from_cpp", &environment));
  check(CreateSessionOptions(api, &options));
  check(SetIntraOpNumThreads(api, options, 1));
  check(RegisterCustomOpsLibrary(api, options, library));
  check(CreateSession(api, environment, model, options, &session));
  check(CreateCpuMemoryInfo(api, kDeviceAllocator, kDefaultMemory, &memory));
  check(CreateTensorWithDataAsOrtValue(api, memory, x.data(), count * sizeof(float), extents.data(), extents.size(), ORT_FLOAT,
                                       &fed));
  check(Run(api, session, nullptr, &input, &fed, 1, &output, 1, &result));
  print(result);

  ReleaseValue(api, result);
  ReleaseValue(api, fed);
  ReleaseMemoryInfo(api, memory);
  ReleaseSession(api, session);
  ReleaseSessionOptions(api, options);
  ReleaseEnv(api, environment);
}
