// A node of a model: reads its attributes when the session is created, checks its inputs and calls
// an operator at each run.
#pragma once
#include <memory>

#include "ort/api.h"

namespace pc {

class Node {
 public:
  virtual ~Node() = default;
  virtual void compute(const Call&) = 0;
};

}  // namespace pc
