#include "ort/api.h"

#include <cstring>
#include <new>

#include "support/check.h"

namespace pc {
namespace {

OrtApiTable* table = nullptr;

constexpr size_t kMostItems = 64;  // of a list attribute

bool given(OrtStatus* status) {
  if (status != nullptr) ort::ReleaseStatus(table, status);
  return status == nullptr;
}

Tensor read_tensor(const OrtValue* value) {
  OrtTensorTypeAndShapeInfo* info = nullptr;
  check(ort::GetTensorTypeAndShape(table, value, &info));
  struct Owner {
    OrtTensorTypeAndShapeInfo* info;
    ~Owner() { ort::ReleaseTensorTypeAndShapeInfo(table, info); }
  } const owner{info};
  Tensor tensor;
  size_t rank = 0;
  check(ort::GetTensorElementType(table, info, &tensor.type));
  check(ort::GetDimensionsCount(table, info, &rank));
  tensor.shape.resize(rank);
  check(ort::GetDimensions(table, info, tensor.shape.data(), rank));
  check(ort::GetTensorMutableData(table, const_cast<OrtValue*>(value), &tensor.data));
  return tensor;
}

}  // namespace

void use_api(OrtApiTable* api) { table = api; }
OrtApiTable* api() { return table; }

void check(OrtStatus* status) {
  if (status == nullptr) return;
  std::string message = ort::GetErrorMessage(table, status);
  ort::ReleaseStatus(table, status);
  throw Failure(message);
}

OrtStatus* status_of_exception(const char* where) noexcept {
  try {
    try {
      throw;
    } catch (const std::bad_alloc&) {
      return ort::CreateStatus(table, ORT_FAIL, (std::string(where) + ": out of memory").c_str());
    } catch (const std::exception& error) {
      return ort::CreateStatus(table, ORT_INVALID_ARGUMENT, (std::string(where) + ": " + error.what()).c_str());
    }
  } catch (...) {
    return ort::CreateStatus(table, ORT_FAIL, "prune_compile: out of memory");
  }
}

size_t Tensor::count() const {
  size_t product = 1;
  for (const int64_t extent : shape) {
    require(extent >= 0, "a tensor has a negative extent");
    product = times(product, static_cast<size_t>(extent));
  }
  return product;
}

std::span<const float> Tensor::floats() const {
  require(type == ORT_FLOAT, "an input must be of type float");
  return {static_cast<const float*>(data), count()};
}

std::span<const uint8_t> Tensor::bytes() const {
  require(type == ORT_UINT8, "an input must be of type uint8");
  return {static_cast<const uint8_t*>(data), count()};
}

std::string Info::name() const {
  char buffer[512];
  size_t size = sizeof buffer;
  if (!given(ort::KernelInfo_GetNodeName(table, info_, buffer, &size))) return "";
  return std::string(buffer, strnlen(buffer, sizeof buffer));
}

size_t Info::inputs() const {
  size_t count = 0;
  check(ort::KernelInfo_GetInputCount(table, info_, &count));
  return count;
}

// ONNX Runtime reports a missing attribute and one of another type alike. Asking for the length of
// an integer list succeeds for every attribute that exists (0 if it is no such list), so it tells
// the two apart.
void Info::require_missing(const char* attribute, const char* type) const {
  size_t size = 0;
  if (!given(ort::KernelInfoGetAttributeArray_int64(table, info_, attribute, nullptr, &size))) return;
  throw Failure(std::string("attribute '") + attribute + "' is not of type " + type);
}

std::optional<int64_t> Info::integer(const char* attribute) const {
  int64_t value = 0;
  if (given(ort::KernelInfoGetAttribute_int64(table, info_, attribute, &value))) return value;
  require_missing(attribute, "int");
  return std::nullopt;
}

float Info::number(const char* attribute, float otherwise) const {
  float value = 0;
  if (given(ort::KernelInfoGetAttribute_float(table, info_, attribute, &value))) return value;
  require_missing(attribute, "float");
  return otherwise;
}

std::string Info::text(const char* attribute, const char* otherwise) const {
  char buffer[256];
  size_t size = sizeof buffer;
  if (given(ort::KernelInfoGetAttribute_string(table, info_, attribute, buffer, &size))) {
    return std::string(buffer, strnlen(buffer, sizeof buffer));
  }
  // A missing attribute leaves the size unchanged. One that is too long sets it to its length.
  require(size <= sizeof buffer, "a text attribute is too long");
  require_missing(attribute, "string");
  return otherwise;
}

std::optional<std::vector<int64_t>> Info::integers(const char* attribute) const {
  size_t size = 0;
  if (!given(ort::KernelInfoGetAttributeArray_int64(table, info_, attribute, nullptr, &size))) return std::nullopt;
  if (size == 0) throw Failure(std::string("attribute '") + attribute + "' is empty, or not of type ints");
  require(size <= kMostItems, "a list attribute is too long");
  std::vector<int64_t> values(size);
  check(ort::KernelInfoGetAttributeArray_int64(table, info_, attribute, values.data(), &size));
  return values;
}

std::optional<std::vector<float>> Info::numbers(const char* attribute) const {
  size_t size = 0;
  if (!given(ort::KernelInfoGetAttributeArray_float(table, info_, attribute, nullptr, &size))) {
    require_missing(attribute, "floats");
    return std::nullopt;
  }
  if (size == 0) throw Failure(std::string("attribute '") + attribute + "' is empty, or not of type floats");
  require(size <= kMostItems, "a list attribute is too long");
  std::vector<float> values(size);
  check(ort::KernelInfoGetAttributeArray_float(table, info_, attribute, values.data(), &size));
  return values;
}

std::optional<Tensor> Info::constant(size_t input) const {
  int is_constant = 0;
  const OrtValue* value = nullptr;
  if (input >= inputs()) return std::nullopt;
  if (!given(ort::KernelInfoGetConstantInput_tensor(table, info_, input, &is_constant, &value))) return std::nullopt;
  if (is_constant == 0 || value == nullptr) return std::nullopt;
  return read_tensor(value);
}

std::optional<Tensor> Call::input(size_t index) const {
  size_t count = 0;
  check(ort::KernelContext_GetInputCount(table, context_, &count));
  if (index >= count) return std::nullopt;
  const OrtValue* value = nullptr;
  check(ort::KernelContext_GetInput(table, context_, index, &value));
  if (value == nullptr) return std::nullopt;
  return read_tensor(value);
}

float* Call::output(size_t index, std::span<const int64_t> shape) const {
  OrtValue* value = nullptr;
  check(ort::KernelContext_GetOutput(table, context_, index, shape.data(), shape.size(), &value));
  require(value != nullptr, "an output could not be made");
  void* data = nullptr;
  check(ort::GetTensorMutableData(table, value, &data));
  return static_cast<float*>(data);
}

// One batch per piece: if other processes take the core of a thread, the remaining threads do its
// pieces.
void OrtThreads::run(void (*call)(void*, size_t), size_t count, void* work) {
  check(ort::KernelContext_ParallelFor(table, context_, call, count, count, work));
}

}  // namespace pc
