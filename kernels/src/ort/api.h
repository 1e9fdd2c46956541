// Wrappers of ONNX Runtime's C API that report errors as exceptions.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ort_abi.h"
#include "support/parallel.h"

namespace pc {

// The function table; set once, before any kernel is created.
void use_api(OrtApiTable* api);
OrtApiTable* api();

// Throws Failure with the message of the status, unless it is null. Releases the status.
void check(OrtStatus*);

// Runs `work` and converts exceptions to a status whose message starts with `where`.
template <typename Work>
OrtStatus* guarded(const std::string& where, const Work& work) noexcept;
OrtStatus* status_of_exception(const char* where) noexcept;

struct Tensor {
  std::vector<int64_t> shape;
  void* data = nullptr;
  int type = 0;

  size_t count() const;
  std::span<const float> floats() const;   // throws if the type differs
  std::span<const uint8_t> bytes() const;  // throws if the type differs
};

// The attributes and inputs of a node, when its kernel is created. An attribute of another type
// throws.
class Info {
 public:
  explicit Info(const OrtKernelInfo* info) : info_(info) {}
  std::string name() const;
  size_t inputs() const;
  std::optional<int64_t> integer(const char* attribute) const;
  float number(const char* attribute, float otherwise) const;
  std::string text(const char* attribute, const char* otherwise) const;
  std::optional<std::vector<int64_t>> integers(const char* attribute) const;
  std::optional<std::vector<float>> numbers(const char* attribute) const;
  std::optional<Tensor> constant(size_t input) const;  // nothing if it is computed or missing

 private:
  void require_missing(const char* attribute, const char* type) const;

  const OrtKernelInfo* info_;
};

// One execution of a node.
class Call {
 public:
  explicit Call(OrtKernelContext* context) : context_(context) {}
  std::optional<Tensor> input(size_t index) const;
  float* output(size_t index, std::span<const int64_t> shape) const;
  OrtKernelContext* context() const { return context_; }

 private:
  OrtKernelContext* context_;
};

// The intra-op threads of ONNX Runtime.
class OrtThreads final : public Parallel {
 public:
  explicit OrtThreads(const Call& call) : context_(call.context()) {}

 private:
  void run(void (*call)(void*, size_t), size_t count, void* work) override;
  OrtKernelContext* context_;
};

template <typename Work>
OrtStatus* guarded(const std::string& where, const Work& work) noexcept {
  try {
    work();
    return nullptr;
  } catch (...) {
    return status_of_exception(where.c_str());
  }
}

}  // namespace pc
