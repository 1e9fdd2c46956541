// Activations that layers apply to their sums before they store them.
#pragma once
#include <stdint.h>

namespace pc {

enum class ActivationKind : uint32_t { none, relu, clip, leaky_relu, sigmoid, silu, hard_sigmoid, hard_swish, tanh, gelu };

struct Activation {
  ActivationKind kind = ActivationKind::none;
  float alpha = 0, beta = 0;  // clip: least, most; leaky relu: slope; hard sigmoid: slope, offset
};

// Whether the activation takes one or two instructions and is therefore part of emitted code.
bool is_simple(ActivationKind kind);

// Names are those of the ONNX operators, or None. Throws if the name is unknown, a parameter is
// NaN, or the bounds of Clip are in the wrong order.
Activation make_activation(const char* name, float alpha, float beta);

}  // namespace pc
