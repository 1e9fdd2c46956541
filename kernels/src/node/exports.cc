#include "node/exports.h"

#if defined(__linux__)
#include <cstddef>
#include <cstdint>
#include <string>

#include "isa/isa.h"
#include "isa/peak.h"
#include "jit/executable.h"
#include "node/provider_options.h"
#include "program/program.h"

extern "C" {
__attribute__((weak)) int napi_create_double(void* environment, double value, void** made);
__attribute__((weak)) int napi_create_function(void* environment, const char* name, size_t length,
                                               void* (*callback)(void*, void*), void* data, void** made);
__attribute__((weak)) int napi_create_string_utf8(void* environment, const char* text, size_t length, void** made);
__attribute__((weak)) int napi_get_boolean(void* environment, bool value, void** made);
__attribute__((weak)) int napi_get_cb_info(void* environment, void* info, size_t* count, void** arguments, void** self,
                                           void** data);
__attribute__((weak)) int napi_get_value_string_utf8(void* environment, void* value, char* text, size_t room,
                                                     size_t* length);
__attribute__((weak)) int napi_set_named_property(void* environment, void* object, const char* name, void* value);
const char* PruneCompileKernelsVersion() noexcept;
}

namespace pc {
namespace {

constexpr size_t kWhole = SIZE_MAX;  // NAPI_AUTO_LENGTH

// The kernel that a layer gets on this machine. Makes a program of one weight, so that the choice
// is not implemented twice.
const char* kernel_name() {
  const Matrix matrix{.rows = 1, .columns = 1, .ends = {1}, .column = {0}, .value = {1}};
  const uint32_t offset = 0;
  const float bias = 0;
  ProgramSpec spec;
  spec.matrix = &matrix;
  spec.offsets = {&offset, 1};
  spec.bias = {&bias, 1};
  spec.y_stride = kLane;
  spec.tiles = spec.tiles_per_run = 1;
  // The names are literals and outlive the program.
  return make_program(spec, kernel_from_environment(), default_isa())->name();
}

bool has_executable_memory() {
  const auto memory = Executable::reserve(1);
  return memory != nullptr && memory->seal(1);
}

// Null, which JavaScript sees as undefined, if the figure is unknown.
template <double (*Measure)()>
void* measured(void* environment, void*) {
  const double figure = Measure();
  void* number = nullptr;
  if (figure > 0) napi_create_double(environment, figure, &number);
  return number;
}

std::string text_of(void* environment, void* value) {
  size_t length = 0;
  if (value == nullptr || napi_get_value_string_utf8(environment, value, nullptr, 0, &length) != 0) return {};
  std::string text(length + 1, '\0');
  napi_get_value_string_utf8(environment, value, text.data(), text.size(), &length);
  text.resize(length);
  return text;
}

// Takes the provider and the lines of its options; returns whether the provider is known.
void* set_provider_options(void* environment, void* info) {
  void* arguments[2] = {nullptr, nullptr};
  size_t count = 2;
  void* known = nullptr;
  if (napi_get_cb_info(environment, info, &count, arguments, nullptr, nullptr) != 0) return nullptr;
  const std::string provider = text_of(environment, arguments[0]), options = text_of(environment, arguments[1]);
  napi_get_boolean(environment, PruneCompileSetProviderOptions(provider.c_str(), options.c_str()) != 0, &known);
  return known;
}

}  // namespace

// Properties that cannot be set are left out; sessions need none of them.
void export_facts(void* environment, void* exports) {
  if (napi_create_double == nullptr || napi_create_function == nullptr || napi_create_string_utf8 == nullptr ||
      napi_get_boolean == nullptr || napi_set_named_property == nullptr) {
    return;
  }
  void* value = nullptr;
  const auto set = [&](const char* name, int status) {
    if (status == 0) napi_set_named_property(environment, exports, name, value);
  };
  const auto text = [&](const char* words) { return napi_create_string_utf8(environment, words, kWhole, &value); };
  set("version", text(PruneCompileKernelsVersion()));
  set("isa", text(default_isa().name));
  set("kernel", text(kernel_name()));
  set("executableMemory", napi_get_boolean(environment, has_executable_memory(), &value));
  if (napi_get_cb_info != nullptr && napi_get_value_string_utf8 != nullptr) {
    const auto function = set_provider_options;
    set("setProviderOptions",
        napi_create_function(environment, "setProviderOptions", kWhole, function, nullptr, &value));
  }
  set("fmaPeak", napi_create_function(environment, "fmaPeak", kWhole, measured<fma_peak>, nullptr, &value));
  set("fmaPerCycle",
      napi_create_function(environment, "fmaPerCycle", kWhole, measured<fma_per_cycle>, nullptr, &value));
}

}  // namespace pc

#else

void pc::export_facts(void*, void*) {}

#endif
