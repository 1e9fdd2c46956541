// libcudnn.so.9: convolutions and what is fused with them (the backend interface: descriptors with
// numbered attributes), pools, activations and sums. EMULATED_WRONG=conv: convolutions are off by a
// thousandth, unless they are as small as that of the model that providers are tried with. EMULATED_TF32=1: operands of convolutions are rounded to TF32, as cards do.
// EMULATED_CUDNN_FAILS=N: cudnnCreate fails with that code.
#include "standin.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

namespace {

enum Type { kHandle = 0, kBoolean = 2, kInt64 = 3, kDouble = 5, kPointer = 6, kDescriptor = 15, kChar = 24 };
enum Attribute {
  kPointwiseMode = 0,
  kDilations = 102,
  kStrides = 103,
  kPadding = 105,
  kHeuristicGraph = 201,
  kHeuristicResults = 202,
  kConfigEngine = 300,
  kConfigKnobs = 302,
  kConfigWorkspace = 303,
  kConfigSharedMemory = 304,
  kPlanConfig = 401,
  kPlanWorkspace = 402,
  kConvolution = 702,
  kConvolutionW = 703,
  kConvolutionX = 704,
  kConvolutionY = 705,
  kPointwise = 750,
  kPointwiseX = 751,
  kPointwiseB = 752,
  kPointwiseY = 753,
  kGraphOperations = 801,
  kGraphEngineCount = 802,
  kDimensions = 902,
  kTensorStrides = 903,
  kTensorId = 906,
  kPackIds = 1000,
  kPackPointers = 1001,
  kEngineGraph = 1300,
  kEngineIndex = 1301,
  kEngineKnobs = 1302,
  kEngineNumerics = 1303,
  kEngineBehaviour = 1305,
};
enum Kind { kEngine = 2, kConvolutionForward = 10, kPointwiseOperation = 13 };
enum Mode { kAdd = 0, kMul = 1, kIdentity = 21, kRelu = 100 };

size_t size_of(int type) {
  if (type == kBoolean || type == kChar) return 1;
  return type == kHandle || type == kInt64 || type == kDouble || type == kPointer || type == kDescriptor ? 8 : 4;
}

struct Descriptor {
  int kind;
  std::map<int, std::vector<char>> attributes = {};

  template <typename T>
  std::vector<T> all(int attribute) const {
    const auto found = attributes.find(attribute);
    if (found == attributes.end()) return {};
    std::vector<T> values(found->second.size() / sizeof(T));
    std::memcpy(values.data(), found->second.data(), values.size() * sizeof(T));
    return values;
  }
  Descriptor* part(int attribute) const {
    const auto parts = all<Descriptor*>(attribute);
    return parts.empty() ? nullptr : parts[0];
  }
  void set(int attribute, const void* values, size_t size) {
    const char* bytes = static_cast<const char*>(values);
    attributes[attribute].assign(bytes, bytes + size);
  }
};

// Of four dimensions at most; those that are missing are 1.
struct Image {
  float* data = nullptr;
  int64_t extents[4] = {1, 1, 1, 1}, strides[4] = {0, 0, 0, 0};

  int64_t offset(const int64_t* place) const {
    int64_t sum = 0;
    for (int i = 0; i < 4; i++) sum += (extents[i] == 1 ? 0 : place[i]) * strides[i];
    return sum;
  }
};

template <typename Work>
void each_place(const Image& image, const Work& work) {
  int64_t at[4];
  for (at[0] = 0; at[0] < image.extents[0]; at[0]++)
    for (at[1] = 0; at[1] < image.extents[1]; at[1]++)
      for (at[2] = 0; at[2] < image.extents[2]; at[2]++)
        for (at[3] = 0; at[3] < image.extents[3]; at[3]++) work(at);
}

// The memory of one run: what the caller gave, and what lies between two operations of a graph.
struct Memory {
  std::map<int64_t, float*> given;
  std::map<int64_t, std::vector<float>> between;

  Image image(const Descriptor* tensor) {
    const auto extents = tensor->all<int64_t>(kDimensions), strides = tensor->all<int64_t>(kTensorStrides);
    const int64_t id = tensor->all<int64_t>(kTensorId)[0];
    if (extents.size() > 4) not_emulated("cuDNN tensors of more than four dimensions");
    Image image;
    size_t size = 1;
    for (size_t i = 0; i < extents.size(); i++) {
      image.extents[i] = extents[i];
      image.strides[i] = strides[i];
      size += static_cast<size_t>((extents[i] - 1) * strides[i]);
    }
    const auto found = given.find(id);
    if (found == given.end()) between[id].resize(std::max(between[id].size(), size));
    image.data = found == given.end() ? between[id].data() : found->second;
    return image;
  }
};

float operand(float value) {
  static const bool rounds = *planted("EMULATED_TF32") != '\0';
  if (!rounds) return value;
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits = (bits + 0xfff + ((bits >> 13) & 1)) & ~0x1fffu;
  std::memcpy(&value, &bits, sizeof bits);
  return value;
}

void convolve(const Descriptor* operation, Memory& memory) {
  const Image x = memory.image(operation->part(kConvolutionX)), w = memory.image(operation->part(kConvolutionW)),
              y = memory.image(operation->part(kConvolutionY));
  const Descriptor* form = operation->part(kConvolution);
  const auto padding = form->all<int64_t>(kPadding), steps = form->all<int64_t>(kStrides),
             dilations = form->all<int64_t>(kDilations);
  const int64_t per_group = w.extents[0] / (x.extents[1] / w.extents[1]);
  const double wrong = x.extents[1] > 2 && std::strcmp(planted("EMULATED_WRONG"), "conv") == 0 ? 1.001 : 1;
  each_place(y, [&](const int64_t* at) {
    const float* filter = w.data + at[1] * w.strides[0];
    const float* first = x.data + at[0] * x.strides[0] + at[1] / per_group * w.extents[1] * x.strides[1];
    double sum = 0;
    for (int64_t row = 0; row < w.extents[2]; row++) {
      const int64_t from_row = at[2] * steps[0] - padding[0] + row * dilations[0];
      if (from_row < 0 || from_row >= x.extents[2]) continue;
      for (int64_t column = 0; column < w.extents[3]; column++) {
        const int64_t from = at[3] * steps[1] - padding[1] + column * dilations[1];
        if (from < 0 || from >= x.extents[3]) continue;
        const float* pixels = first + from_row * x.strides[2] + from * x.strides[3];
        const float* weights = filter + row * w.strides[2] + column * w.strides[3];
        for (int64_t c = 0; c < w.extents[1]; c++)
          sum += double{operand(pixels[c * x.strides[1]])} * operand(weights[c * w.strides[1]]);
      }
    }
    y.data[y.offset(at)] = static_cast<float>(sum * wrong);
  });
}

void map(const Descriptor* operation, Memory& memory) {
  const int mode = operation->part(kPointwise)->all<int>(kPointwiseMode)[0];
  const Image x = memory.image(operation->part(kPointwiseX)), y = memory.image(operation->part(kPointwiseY));
  const Descriptor* second = operation->part(kPointwiseB);
  const Image b = second == nullptr ? x : memory.image(second);
  each_place(y, [&](const int64_t* at) {
    const float value = x.data[x.offset(at)], other = b.data[b.offset(at)];
    float& result = y.data[y.offset(at)];
    switch (mode) {
      case kAdd: result = value + other; break;
      case kMul: result = value * other; break;
      case kRelu: result = value > 0 ? value : 0; break;
      case kIdentity: result = value; break;
      default: not_emulated("a pointwise mode of cuDNN");
    }
  });
}

}  // namespace

STANDIN size_t cudnnGetVersion() { return 92801; }
STANDIN const char* cudnnGetErrorString(int status) {
  return status == 1001 ? "CUDNN_STATUS_NOT_INITIALIZED" : "emulated";
}
STANDIN void cudnnGetLastErrorString(char* text, size_t room) { std::snprintf(text, room, "emulated"); }
STANDIN int cudnnCreate(void** handle) {
  *handle = std::malloc(8);
  return std::atoi(planted("EMULATED_CUDNN_FAILS"));
}
STANDIN int cudnnDestroy(void* handle) { return std::free(handle), 0; }
STANDIN int cudnnSetStream(void*, void*) { return 0; }
STANDIN int cudnnGetStream(void*, void** stream) { return *stream = nullptr, 0; }

STANDIN int cudnnBackendCreateDescriptor(int kind, void** made) { return *made = new Descriptor{kind}, 0; }
// Descriptors refer to each other and are copied: they stay until the process ends.
STANDIN int cudnnBackendDestroyDescriptor(void*) { return 0; }
STANDIN int cudnnBackendFinalize(void*) { return 0; }
STANDIN int cudnnBackendSetAttribute(void* descriptor, int attribute, int type, int64_t count, const void* values) {
  static_cast<Descriptor*>(descriptor)->set(attribute, values, static_cast<size_t>(count) * size_of(type));
  return 0;
}
STANDIN int cudnnBackendGetAttribute(void* from, int attribute, int type, int64_t room, int64_t* count, void* values) {
  const auto* descriptor = static_cast<const Descriptor*>(from);
  const auto answer = [&](auto value) {
    if (count != nullptr) *count = 1;
    if (values != nullptr && room > 0) std::memcpy(values, &value, sizeof value);
    return 0;
  };
  switch (attribute) {
    case kHeuristicResults: {  // one engine, which takes every graph
      if (values != nullptr && room > 0) {
        auto* engine = new Descriptor{kEngine};
        const Descriptor* graph = descriptor->part(kHeuristicGraph);
        engine->set(kEngineGraph, &graph, sizeof graph);
        (*static_cast<Descriptor**>(values))->set(kConfigEngine, &engine, sizeof engine);
      }
      if (count != nullptr) *count = 1;
      return 0;
    }
    case kGraphEngineCount: return answer(int64_t{1});
    case kPlanWorkspace:
    case kConfigWorkspace:
    case kEngineIndex: return answer(int64_t{0});
    case kConfigSharedMemory: return answer(int32_t{0});
    case kEngineNumerics:
    case kEngineBehaviour:
    case kEngineKnobs:
    case kConfigKnobs:
      if (count != nullptr) *count = 0;
      return 0;
    default: break;
  }
  const auto found = descriptor->attributes.find(attribute);
  const size_t size = found == descriptor->attributes.end() ? 0 : found->second.size();
  if (count != nullptr) *count = static_cast<int64_t>(size / size_of(type));
  if (size == 0 || values == nullptr || room <= 0) return 0;
  if (type == kDescriptor) {
    auto** target = static_cast<Descriptor**>(values);
    Descriptor* source = descriptor->part(attribute);
    if (*target == nullptr) *target = source;
    else **target = *source;
  } else {
    std::memcpy(values, found->second.data(), std::min(size, static_cast<size_t>(room) * size_of(type)));
  }
  return 0;
}
STANDIN int cudnnBackendExecute(void*, void* plan, void* pack) {
  const Descriptor* graph =
      static_cast<Descriptor*>(plan)->part(kPlanConfig)->part(kConfigEngine)->part(kEngineGraph);
  const auto ids = static_cast<Descriptor*>(pack)->all<int64_t>(kPackIds);
  const auto pointers = static_cast<Descriptor*>(pack)->all<float*>(kPackPointers);
  Memory memory;
  for (size_t i = 0; i < ids.size(); i++) memory.given[ids[i]] = pointers[i];
  for (const Descriptor* operation : graph->all<Descriptor*>(kGraphOperations)) {
    if (operation->kind == kConvolutionForward) convolve(operation, memory);
    else if (operation->kind == kPointwiseOperation) map(operation, memory);
    else not_emulated("an operation of cuDNN's graphs");
  }
  return 0;
}

namespace {

struct Tensor {
  int count, extents[8], strides[8];

  Image image(const void* data) const {
    if (count > 4) not_emulated("cuDNN tensors of more than four dimensions");
    Image image;
    image.data = static_cast<float*>(const_cast<void*>(data));
    for (int i = 0; i < count; i++) image.extents[i] = extents[i], image.strides[i] = strides[i];
    return image;
  }
};
struct Pool {
  int mode, count, window[8], padding[8], strides[8];
};
struct Activation {
  int mode;
};

}  // namespace

STANDIN int cudnnCreateFilterDescriptor(void** made) { return *made = new Tensor{}, 0; }
STANDIN int cudnnDestroyFilterDescriptor(void* tensor) { return delete static_cast<Tensor*>(tensor), 0; }
STANDIN int cudnnCreateTensorDescriptor(void** made) { return *made = new Tensor{}, 0; }
STANDIN int cudnnDestroyTensorDescriptor(void* tensor) { return delete static_cast<Tensor*>(tensor), 0; }
STANDIN int cudnnSetTensorNdDescriptor(void* made, int, int count, const int* extents, const int* strides) {
  auto* tensor = static_cast<Tensor*>(made);
  tensor->count = count;
  std::copy_n(extents, count, tensor->extents);
  std::copy_n(strides, count, tensor->strides);
  return 0;
}
STANDIN int cudnnCreatePoolingDescriptor(void** made) { return *made = new Pool{}, 0; }
STANDIN int cudnnDestroyPoolingDescriptor(void* pool) { return delete static_cast<Pool*>(pool), 0; }
STANDIN int cudnnSetPoolingNdDescriptor(void* made, int mode, int, int count, const int* window, const int* padding,
                                        const int* strides) {
  auto* pool = static_cast<Pool*>(made);
  pool->mode = mode;
  pool->count = count;
  std::copy_n(window, count, pool->window);
  std::copy_n(padding, count, pool->padding);
  std::copy_n(strides, count, pool->strides);
  return 0;
}
STANDIN int cudnnPoolingForward(void*, const void* form, const void*, const void* from, const void* data, const void*,
                                const void* to, void* results) {
  const auto* pool = static_cast<const Pool*>(form);
  if (pool->count != 2) not_emulated("pools of other than two dimensions");
  const Image x = static_cast<const Tensor*>(from)->image(data), y = static_cast<const Tensor*>(to)->image(results);
  const bool is_maximum = pool->mode == 0 || pool->mode == 3, counts_padding = pool->mode == 1;
  each_place(y, [&](const int64_t* at) {
    double sum = 0;
    float most = -INFINITY;
    int inside = 0;
    for (int row = 0; row < pool->window[0]; row++) {
      for (int column = 0; column < pool->window[1]; column++) {
        const int64_t place[4] = {at[0], at[1], at[2] * pool->strides[0] - pool->padding[0] + row,
                                  at[3] * pool->strides[1] - pool->padding[1] + column};
        if (place[2] < 0 || place[3] < 0 || place[2] >= x.extents[2] || place[3] >= x.extents[3]) continue;
        const float value = x.data[x.offset(place)];
        sum += value;
        most = std::max(most, value);
        inside++;
      }
    }
    const int divisor = counts_padding ? pool->window[0] * pool->window[1] : inside;
    y.data[y.offset(at)] = is_maximum ? most : static_cast<float>(sum / divisor);
  });
  return 0;
}
STANDIN int cudnnAddTensor(void*, const void* alpha, const void* from, const void* data, const void* beta,
                           const void* to, void* results) {
  const Image a = static_cast<const Tensor*>(from)->image(data), c = static_cast<const Tensor*>(to)->image(results);
  const float of_a = *static_cast<const float*>(alpha), of_c = *static_cast<const float*>(beta);
  each_place(c, [&](const int64_t* at) {
    float& result = c.data[c.offset(at)];
    result = of_a * a.data[a.offset(at)] + of_c * result;
  });
  return 0;
}
STANDIN int cudnnCreateActivationDescriptor(void** made) { return *made = new Activation{}, 0; }
STANDIN int cudnnDestroyActivationDescriptor(void* made) { return delete static_cast<Activation*>(made), 0; }
STANDIN int cudnnSetActivationDescriptor(void* made, int mode, int, double) {
  return static_cast<Activation*>(made)->mode = mode, 0;
}
STANDIN int cudnnActivationForward(void*, const void* form, const void*, const void* from, const void* data,
                                   const void*, const void* to, void* results) {
  if (static_cast<const Activation*>(form)->mode != 1) not_emulated("an activation of cuDNN other than Relu");
  const Image x = static_cast<const Tensor*>(from)->image(data), y = static_cast<const Tensor*>(to)->image(results);
  each_place(y, [&](const int64_t* at) {
    const float value = x.data[x.offset(at)];
    y.data[y.offset(at)] = value > 0 ? value : 0;
  });
  return 0;
}
