// The entry points for ONNX Runtime: RegisterCustomOps, and one OrtCustomOp per operator. No
// exception leaves this file.
#include <cstdio>
#include <iterator>
#include <mutex>
#include <utility>

#include "ort/operators.h"

namespace pc {
namespace {

struct Kernel {
  std::string where;
  std::unique_ptr<Node> node;
};

template <size_t Index>
OrtStatus* create(const OrtCustomOp*, OrtApiTable*, const OrtKernelInfo* given, void** out) noexcept {
  const NodeKind& kind = node_kinds[Index];
  std::string where = "prune_compile";
  return guarded(where, [&] {
    const Info info(given);
    where = "node '" + info.name() + "' (" + kind.name + ")";
    auto kernel = std::make_unique<Kernel>(Kernel{.where = where, .node = kind.make(info)});
    *out = kernel.release();  // KernelDestroy deletes it
  });
}

OrtStatus* compute(void* self, OrtKernelContext* context) noexcept {
  auto& kernel = *static_cast<Kernel*>(self);
  return guarded(kernel.where, [&] { kernel.node->compute(Call(context)); });
}

template <size_t Index>
OrtCustomOp describe() {
  static constexpr auto kind = [] { return &node_kinds[Index]; };
  OrtCustomOp op{};
  op.version = ort::kApiVersion;
  op.GetName = [](const OrtCustomOp*) { return kind()->name; };
  op.GetExecutionProviderType = [](const OrtCustomOp*) { return "CPUExecutionProvider"; };
  op.GetInputTypeCount = [](const OrtCustomOp*) { return kind()->inputs; };
  op.GetInputType = [](const OrtCustomOp*, size_t index) -> int {
    if (kind()->any_type && index + 1 == kind()->inputs) return ORT_ANY_TYPE;
    return static_cast<int>(index) == kind()->uint8_input ? ORT_UINT8 : ORT_FLOAT;
  };
  op.GetInputCharacteristic = [](const OrtCustomOp*, size_t index) -> int {
    if (kind()->variadic && index + 1 == kind()->inputs) return ORT_VARIADIC;
    return index < kind()->required ? ORT_REQUIRED : ORT_OPTIONAL;
  };
  op.GetInputMemoryType = [](const OrtCustomOp*, size_t) { return 0; };
  op.GetOutputTypeCount = [](const OrtCustomOp*) { return size_t{1}; };
  op.GetOutputType = [](const OrtCustomOp*, size_t) -> int { return ORT_FLOAT; };
  op.GetOutputCharacteristic = [](const OrtCustomOp*, size_t) -> int { return ORT_REQUIRED; };
  op.GetVariadicInputMinArity = [](const OrtCustomOp*) { return 1; };
  op.GetVariadicInputHomogeneity = [](const OrtCustomOp*) { return kind()->any_type ? 0 : 1; };
  op.GetVariadicOutputMinArity = [](const OrtCustomOp*) { return 1; };
  op.GetVariadicOutputHomogeneity = [](const OrtCustomOp*) { return 1; };
  op.GetStartVersion = [](const OrtCustomOp*) { return 1; };
  op.GetEndVersion = [](const OrtCustomOp*) { return 0x7fffffff; };
  op.CreateKernelV2 = create<Index>;
  op.KernelComputeV2 = compute;
  op.KernelDestroy = [](void* self) { delete static_cast<Kernel*>(self); };
  op.GetMayInplace = [](int** inputs, int** outputs) -> size_t {
    static int input[1] = {kind()->in_place_input}, output[1] = {0};
    *inputs = input;
    *outputs = output;
    return kind()->in_place_input < 0 ? 0 : 1;
  };
  op.ReleaseMayInplace = [](int*, int*) {};
  op.GetAliasMap = [](int**, int**) -> size_t { return 0; };
  op.ReleaseAliasMap = [](int*, int*) {};
  return op;
}

constexpr size_t kNodeKinds = std::size(node_kinds);

template <size_t... Index>
void describe_all(OrtCustomOp (&ops)[kNodeKinds], std::index_sequence<Index...>) {
  ((ops[Index] = describe<Index>()), ...);
}

// The domain outlives all sessions, which refer to it. It is made once per process, for the first
// runtime that asks.
OrtStatus* domain(OrtApiTable* asking, OrtCustomOpDomain** out) {
  static std::mutex mutex;
  static OrtCustomOp ops[kNodeKinds];
  static OrtCustomOpDomain* made = nullptr;
  const std::lock_guard lock(mutex);
  if (api() == nullptr) use_api(asking);
  if (api() != asking) {
    return ort::CreateStatus(asking, ORT_FAIL, "prune_compile: already used by another copy of ONNX Runtime");
  }
  if (made == nullptr) {
    describe_all(ops, std::make_index_sequence<kNodeKinds>());
    OrtCustomOpDomain* fresh = nullptr;
    if (OrtStatus* failed = ort::CreateCustomOpDomain(api(), "prune_compile", &fresh)) return failed;
    for (const OrtCustomOp& op : ops) {
      if (OrtStatus* failed = ort::CustomOpDomain_Add(api(), fresh, &op)) return failed;
    }
    made = fresh;
  }
  *out = made;
  return nullptr;
}

}  // namespace
}  // namespace pc

extern "C" __attribute__((visibility("default"))) OrtStatus* RegisterCustomOps(OrtSessionOptions* options,
                                                                               const OrtApiBase* base) {
  OrtApiTable* api = base->GetApi(ort::kApiVersion);
  if (api == nullptr) {
    // The runtime is too old. Slot 0 creates a status in every version.
    char message[160];
    std::snprintf(message, sizeof message, "prune_compile needs ONNX Runtime 1.18 or newer; this is %.60s",
                  base->GetVersionString());
    return ort::CreateStatus(base->GetApi(1), ORT_FAIL, message);
  }
  OrtCustomOpDomain* domain = nullptr;
  if (OrtStatus* failed = pc::domain(api, &domain)) return failed;
  return ort::AddCustomOpDomain(api, options, domain);
}
