#include "isa/activation.h"

#include <cmath>
#include <cstring>

#include "support/check.h"

namespace pc {

bool is_simple(ActivationKind kind) {
  return kind == ActivationKind::none || kind == ActivationKind::relu || kind == ActivationKind::clip ||
         kind == ActivationKind::leaky_relu;
}

Activation make_activation(const char* name, float alpha, float beta) {
  static constexpr struct {
    const char* name;
    ActivationKind kind;
  } kinds[] = {{"None", ActivationKind::none},        {"Relu", ActivationKind::relu},
               {"Clip", ActivationKind::clip},        {"LeakyRelu", ActivationKind::leaky_relu},
               {"Sigmoid", ActivationKind::sigmoid},  {"Silu", ActivationKind::silu},
               {"Tanh", ActivationKind::tanh},        {"HardSigmoid", ActivationKind::hard_sigmoid},
               {"Gelu", ActivationKind::gelu},        {"HardSwish", ActivationKind::hard_swish}};
  require(!std::isnan(alpha) && !std::isnan(beta), "an activation parameter is not a number");
  for (const auto& known : kinds) {
    if (std::strcmp(name, known.name) != 0) continue;
    require(known.kind != ActivationKind::clip || alpha <= beta, "activation Clip needs alpha <= beta");
    return {known.kind, alpha, beta};
  }
  throw Failure(std::string("unknown activation '") + name + "'");
}

}  // namespace pc
