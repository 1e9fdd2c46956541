// The part of ONNX Runtime's C ABI that this library uses. Building therefore needs no header of
// ONNX Runtime.
//
// `OrtApi` is one struct of function pointers that only grows at its end: a function keeps its
// place ("slot") forever. It is therefore read as an array here, and every function is a slot and a
// signature. All slots below exist since API version 18 (ONNX Runtime 1.18). RegisterCustomOps
// refuses older runtimes before it uses one.
//
// `OrtCustomOp` grows at its end as well. Its `version` tells the runtime how much of it may be
// read.
#pragma once
#include <cstddef>
#include <cstdint>

extern "C" {
struct OrtStatus;
struct OrtValue;
struct OrtKernelInfo;
struct OrtKernelContext;
struct OrtSessionOptions;
struct OrtCustomOpDomain;
struct OrtTensorTypeAndShapeInfo;
struct OrtShapeInferContext;

using OrtApiTable = void* const;  // the first function pointer

struct OrtApiBase {
  OrtApiTable* (*GetApi)(uint32_t version);  // null when the runtime is older than `version`
  const char* (*GetVersionString)();
};

// The values of enumerations that are used. They are part of the ABI.
enum OrtErrorCode : int { ORT_FAIL = 1, ORT_INVALID_ARGUMENT = 2 };
enum OrtElementType : int { ORT_ANY_TYPE = 0, ORT_FLOAT = 1, ORT_UINT8 = 2 };
enum OrtCharacteristic : int { ORT_REQUIRED = 0, ORT_OPTIONAL = 1, ORT_VARIADIC = 2 };

struct OrtCustomOp {
  uint32_t version;
  void* (*CreateKernel)(const OrtCustomOp*, OrtApiTable*, const OrtKernelInfo*);
  const char* (*GetName)(const OrtCustomOp*);
  const char* (*GetExecutionProviderType)(const OrtCustomOp*);
  int (*GetInputType)(const OrtCustomOp*, size_t index);
  size_t (*GetInputTypeCount)(const OrtCustomOp*);
  int (*GetOutputType)(const OrtCustomOp*, size_t index);
  size_t (*GetOutputTypeCount)(const OrtCustomOp*);
  void (*KernelCompute)(void*, OrtKernelContext*);
  void (*KernelDestroy)(void*);
  int (*GetInputCharacteristic)(const OrtCustomOp*, size_t index);
  int (*GetOutputCharacteristic)(const OrtCustomOp*, size_t index);
  int (*GetInputMemoryType)(const OrtCustomOp*, size_t index);
  int (*GetVariadicInputMinArity)(const OrtCustomOp*);
  int (*GetVariadicInputHomogeneity)(const OrtCustomOp*);
  int (*GetVariadicOutputMinArity)(const OrtCustomOp*);
  int (*GetVariadicOutputHomogeneity)(const OrtCustomOp*);
  // since version 16: creation and execution that can report an error
  OrtStatus* (*CreateKernelV2)(const OrtCustomOp*, OrtApiTable*, const OrtKernelInfo*, void** kernel);
  OrtStatus* (*KernelComputeV2)(void* kernel, OrtKernelContext*);
  // since version 17
  OrtStatus* (*InferOutputShapeFn)(const OrtCustomOp*, OrtShapeInferContext*);
  int (*GetStartVersion)(const OrtCustomOp*);
  int (*GetEndVersion)(const OrtCustomOp*);
  // since version 18: pairs of inputs and outputs that may share one buffer
  size_t (*GetMayInplace)(int** inputs, int** outputs);
  void (*ReleaseMayInplace)(int* inputs, int* outputs);
  size_t (*GetAliasMap)(int** inputs, int** outputs);
  void (*ReleaseAliasMap)(int* inputs, int* outputs);
};
}

namespace ort {

// The API version that is requested, and the version of OrtCustomOp above.
inline constexpr uint32_t kApiVersion = 18;

// A slot of the table and its signature.
template <int Slot, typename Result, typename... Arguments>
struct Function {
  Result operator()(OrtApiTable* api, Arguments... arguments) const {
    return reinterpret_cast<Result (*)(Arguments...)>(api[Slot])(arguments...);
  }
};

inline constexpr Function<0, OrtStatus*, int, const char*> CreateStatus;
inline constexpr Function<2, const char*, const OrtStatus*> GetErrorMessage;
inline constexpr Function<26, OrtStatus*, const char*, OrtCustomOpDomain**> CreateCustomOpDomain;
inline constexpr Function<27, OrtStatus*, OrtCustomOpDomain*, const OrtCustomOp*> CustomOpDomain_Add;
inline constexpr Function<28, OrtStatus*, OrtSessionOptions*, OrtCustomOpDomain*> AddCustomOpDomain;
inline constexpr Function<51, OrtStatus*, const OrtValue*, void**> GetTensorMutableData;
inline constexpr Function<60, OrtStatus*, const OrtTensorTypeAndShapeInfo*, int*> GetTensorElementType;
inline constexpr Function<61, OrtStatus*, const OrtTensorTypeAndShapeInfo*, size_t*> GetDimensionsCount;
inline constexpr Function<62, OrtStatus*, const OrtTensorTypeAndShapeInfo*, int64_t*, size_t> GetDimensions;
inline constexpr Function<65, OrtStatus*, const OrtValue*, OrtTensorTypeAndShapeInfo**> GetTensorTypeAndShape;
inline constexpr Function<85, OrtStatus*, const OrtKernelInfo*, const char*, float*> KernelInfoGetAttribute_float;
inline constexpr Function<86, OrtStatus*, const OrtKernelInfo*, const char*, int64_t*> KernelInfoGetAttribute_int64;
inline constexpr Function<87, OrtStatus*, const OrtKernelInfo*, const char*, char*, size_t*> KernelInfoGetAttribute_string;
inline constexpr Function<88, OrtStatus*, const OrtKernelContext*, size_t*> KernelContext_GetInputCount;
inline constexpr Function<90, OrtStatus*, const OrtKernelContext*, size_t, const OrtValue**> KernelContext_GetInput;
inline constexpr Function<91, OrtStatus*, OrtKernelContext*, size_t, const int64_t*, size_t, OrtValue**>
    KernelContext_GetOutput;
inline constexpr Function<93, void, OrtStatus*> ReleaseStatus;
inline constexpr Function<99, void, OrtTensorTypeAndShapeInfo*> ReleaseTensorTypeAndShapeInfo;
inline constexpr Function<162, OrtStatus*, const OrtKernelInfo*, const char*, float*, size_t*>
    KernelInfoGetAttributeArray_float;
inline constexpr Function<163, OrtStatus*, const OrtKernelInfo*, const char*, int64_t*, size_t*>
    KernelInfoGetAttributeArray_int64;
inline constexpr Function<230, OrtStatus*, const OrtKernelInfo*, size_t*> KernelInfo_GetInputCount;
inline constexpr Function<244, OrtStatus*, const OrtKernelInfo*, char*, size_t*> KernelInfo_GetNodeName;
inline constexpr Function<249, OrtStatus*, const OrtKernelInfo*, size_t, int*, const OrtValue**>
    KernelInfoGetConstantInput_tensor;
inline constexpr Function<274, OrtStatus*, const OrtKernelContext*, void (*)(void*, size_t), size_t, size_t, void*>
    KernelContext_ParallelFor;

}  // namespace ort
