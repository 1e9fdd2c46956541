// libcudart.so.13. EMULATED_FAILS=N: cudaSetDevice fails with that code. EMULATED_WRONG=add: sums
// are off by a hundredth.
#include "standin.h"

#include <string>
#include <unordered_map>

namespace {

using Status = int;
using Stream = void*;
constexpr Status kSuccess = 0, kOutOfMemory = 2;

struct Dim3 {
  unsigned x, y, z;
};

Status allocate(void** memory, size_t size) {
  *memory = std::aligned_alloc(256, (size + 256) / 256 * 256);
  return *memory == nullptr ? kOutOfMemory : kSuccess;
}

template <typename T>
void put(void* target, size_t offset, T value) {
  std::memcpy(static_cast<char*>(target) + offset, &value, sizeof value);
}

// Kernels of the provider by the address that stands for them.
std::unordered_map<const void*, std::string>& kernels() {
  static std::unordered_map<const void*, std::string> names;
  return names;
}

template <typename T>
T argument(void** arguments, int index) {
  T value;
  std::memcpy(&value, arguments[index], sizeof value);
  return value;
}

// Three elementwise kernels are done here; their names are those of the provider's templates.
Status launch(const void* kernel, void** arguments) {
  const auto found = kernels().find(kernel);
  const std::string name = found == kernels().end() ? "a kernel without a name" : found->second;
  const auto is = [&](const char* part) { return name.find(part) != std::string::npos; };
  if (is("UnaryElementWise") && is("OP_ReluIfE")) {
    const auto* x = argument<const float*>(arguments, 0);
    auto* y = argument<float*>(arguments, 1);
    const auto count = argument<int>(arguments, 3);
    for (int i = 0; i < count; i++) y[i] = x[i] > 0 ? x[i] : 0;
    return kSuccess;
  }
  if (is("BinaryElementWiseSimpleILb1ELb1EfffN") && is("OP_AddIfff")) {
    const auto* a = argument<const float*>(arguments, 0);
    const auto* b = argument<const float*>(arguments, 1);
    auto* y = argument<float*>(arguments, 2);
    const auto count = argument<int>(arguments, 4);
    const float wrong = std::strcmp(planted("EMULATED_WRONG"), "add") == 0 ? 0.01f : 0;
    for (int i = 0; i < count; i++) y[i] = a[i] + b[i] + wrong;
    return kSuccess;
  }
  if (is("cuda5_FillIfLi")) {
    auto* y = argument<float*>(arguments, 0);
    const auto value = argument<float>(arguments, 1);
    const auto count = argument<int>(arguments, 2);
    for (int i = 0; i < count; i++) y[i] = value;
    return kSuccess;
  }
  not_emulated(name.c_str());
}

thread_local struct {
  Dim3 grid, block;
  size_t shared;
  Stream stream;
} configuration;

}  // namespace

STANDIN Status cudaGetDeviceCount(int* count) { return *count = 1, kSuccess; }
STANDIN Status cudaGetDevice(int* device) { return *device = 0, kSuccess; }
STANDIN Status cudaSetDevice(int) { return std::atoi(planted("EMULATED_FAILS")); }
STANDIN Status cudaDriverGetVersion(int* version) { return *version = 13050, kSuccess; }
STANDIN Status cudaRuntimeGetVersion(int* version) { return *version = 13050, kSuccess; }
STANDIN Status cudaGetDeviceProperties(void* properties, int) {
  std::memset(properties, 0, 1008);
  std::strcpy(static_cast<char*>(properties), "emulated, no card");
  put(properties, 288, size_t{4} << 30);    // totalGlobalMem
  put(properties, 296, size_t{48} << 10);   // sharedMemPerBlock
  put(properties, 304, 65536);              // regsPerBlock
  put(properties, 308, 32);                 // warpSize
  put(properties, 320, 1024);               // maxThreadsPerBlock
  for (int i = 0; i < 3; i++) put(properties, 324 + 4 * i, i < 2 ? 1024 : 64);            // maxThreadsDim
  for (int i = 0; i < 3; i++) put(properties, 336 + 4 * i, i == 0 ? 2147483647 : 65535);  // maxGridSize
  put(properties, 360, 8);                  // major: Ampere, which has TF32
  put(properties, 364, 0);                  // minor
  put(properties, 368, size_t{512});        // textureAlignment
  put(properties, 384, 1);                  // multiProcessorCount
  put(properties, 596, 4 << 20);            // l2CacheSize
  put(properties, 604, 2048);               // maxThreadsPerMultiProcessor
  put(properties, 624, size_t{96} << 10);   // sharedMemPerMultiprocessor
  put(properties, 672, size_t{96} << 10);   // sharedMemPerBlockOptin
  return kSuccess;
}
STANDIN Status cudaDeviceGetAttribute(int* value, int attribute, int) {
  *value = attribute == 75 ? 8 : attribute == 10 ? 32 : attribute == 16 ? 1 : attribute == 1 ? 1024 : 0;
  return kSuccess;
}
STANDIN Status cudaDeviceSynchronize() { return kSuccess; }

STANDIN Status cudaMalloc(void** memory, size_t size) { return allocate(memory, size); }
STANDIN Status cudaMallocFromPoolAsync(void** memory, size_t size, void*, Stream) { return allocate(memory, size); }
STANDIN Status cudaMallocHost(void** memory, size_t size) { return allocate(memory, size); }
STANDIN Status cudaHostAlloc(void** memory, size_t size, unsigned) { return allocate(memory, size); }
STANDIN Status cudaFree(void* memory) { return std::free(memory), kSuccess; }
STANDIN Status cudaFreeAsync(void* memory, Stream) { return std::free(memory), kSuccess; }
STANDIN Status cudaFreeHost(void* memory) { return std::free(memory), kSuccess; }
STANDIN Status cudaMemcpy(void* to, const void* from, size_t size, int) { return std::memcpy(to, from, size), kSuccess; }
STANDIN Status cudaMemcpyAsync(void* to, const void* from, size_t size, int, Stream) {
  return std::memcpy(to, from, size), kSuccess;
}
STANDIN Status cudaMemset(void* memory, int value, size_t size) { return std::memset(memory, value, size), kSuccess; }
STANDIN Status cudaMemsetAsync(void* memory, int value, size_t size, Stream) {
  return std::memset(memory, value, size), kSuccess;
}
STANDIN Status cudaMemGetInfo(size_t* free, size_t* total) {
  *free = size_t{3} << 30;
  *total = size_t{4} << 30;
  return kSuccess;
}
STANDIN Status cudaPointerGetAttributes(void* attributes, const void* memory) {
  std::memset(attributes, 0, 88);
  put(attributes, 0, 2);  // type: device
  put(attributes, 8, memory);
  return kSuccess;
}

STANDIN Status cudaStreamCreate(Stream* stream) { return *stream = std::malloc(8), kSuccess; }
STANDIN Status cudaStreamCreateWithFlags(Stream* stream, unsigned) { return *stream = std::malloc(8), kSuccess; }
STANDIN Status cudaStreamDestroy(Stream stream) { return std::free(stream), kSuccess; }
STANDIN Status cudaStreamSynchronize(Stream) { return kSuccess; }
STANDIN Status cudaStreamWaitEvent(Stream, void*, unsigned) { return kSuccess; }
STANDIN Status cudaStreamIsCapturing(Stream, int* state) { return *state = 0, kSuccess; }
STANDIN Status cudaEventCreate(void** event) { return *event = std::malloc(8), kSuccess; }
STANDIN Status cudaEventCreateWithFlags(void** event, unsigned) { return *event = std::malloc(8), kSuccess; }
STANDIN Status cudaEventDestroy(void* event) { return std::free(event), kSuccess; }
STANDIN Status cudaEventRecord(void*, Stream) { return kSuccess; }
STANDIN Status cudaEventSynchronize(void*) { return kSuccess; }
STANDIN Status cudaLaunchHostFunc(Stream, void (*function)(void*), void* data) { return function(data), kSuccess; }

STANDIN Status cudaGetLastError() { return kSuccess; }
STANDIN Status cudaPeekAtLastError() { return kSuccess; }
STANDIN const char* cudaGetErrorName(Status) { return "emulated"; }
STANDIN const char* cudaGetErrorString(Status status) {
  return status == 35 ? "CUDA driver version is insufficient for CUDA runtime version"
                      : status == 100 ? "no CUDA-capable device is detected" : "emulated error";
}

STANDIN Status cudaFuncGetAttributes(void* attributes, const void*) {
  std::memset(attributes, 0, 144);
  put(attributes, 24, 1024);  // maxThreadsPerBlock
  return kSuccess;
}
STANDIN Status cudaFuncSetAttribute(const void*, int, int) { return kSuccess; }

// What a compiler writes for every kernel: its registration when the library is loaded, its launch.
STANDIN void** __cudaRegisterFatBinary(void*) {
  static void* handle;
  return &handle;
}
STANDIN void __cudaRegisterFatBinaryEnd(void**) {}
STANDIN void __cudaUnregisterFatBinary(void**) {}
STANDIN void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, void*, void*, void*, void*,
                                    int*) {
  kernels()[host] = name;
}
STANDIN void __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int) {}
STANDIN unsigned __cudaPushCallConfiguration(Dim3 grid, Dim3 block, size_t shared, Stream stream) {
  configuration = {grid, block, shared, stream};
  return 0;
}
STANDIN Status __cudaPopCallConfiguration(Dim3* grid, Dim3* block, size_t* shared, void* stream) {
  *grid = configuration.grid;
  *block = configuration.block;
  *shared = configuration.shared;
  *static_cast<Stream*>(stream) = configuration.stream;
  return kSuccess;
}
STANDIN Status __cudaGetKernel(const void** kernel, const void* function) { return *kernel = function, kSuccess; }
STANDIN Status __cudaLaunchKernel(const void* kernel, Dim3, Dim3, void** arguments, size_t, Stream) {
  return launch(kernel, arguments);
}
STANDIN Status cudaLaunchKernel(const void* kernel, Dim3, Dim3, void** arguments, size_t, Stream) {
  return launch(kernel, arguments);
}
