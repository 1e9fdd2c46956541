// The operators as ONNX Runtime sees them: reads attributes and shapes, calls the kernels.
#pragma once
#include <memory>
#include <string>

#include "ort/api.h"

namespace pc {

class Node {
 public:
  virtual ~Node() = default;
  virtual void compute(const Call&) = 0;
};

// How an operator looks from outside.
struct NodeKind {
  const char* name;
  size_t inputs, required;  // those after the required ones are optional
  std::unique_ptr<Node> (*make)(const Info&);
  int may_replace = -1;   // input whose buffer the output may take, or -1
  int bytes = -1;         // input that is uint8, or -1
  bool variadic = false;  // the last input stands for any number of them
};

inline constexpr size_t kNodeKinds = 14;
extern const NodeKind node_kinds[kNodeKinds];

}  // namespace pc
