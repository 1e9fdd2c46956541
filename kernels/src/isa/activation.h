// What a layer does with its sums before it stores them.
#pragma once
#include <stdint.h>

namespace pc {

enum class ActivationKind : uint32_t { none, relu, clip, leaky_relu, sigmoid, silu, hard_sigmoid, hard_swish, tanh, gelu };

struct Activation {
  ActivationKind kind = ActivationKind::none;
  float alpha = 0, beta = 0;  // clip: least, most; leaky relu: slope; hard sigmoid: slope, offset
};

// Whether it takes an instruction or two, and is therefore part of emitted code.
bool is_simple(ActivationKind kind);

// Names are those of the ONNX operators, and None. Throws on an unknown name.
Activation make_activation(const char* name, float alpha, float beta);

}  // namespace pc
