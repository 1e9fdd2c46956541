// Plans are kept once per process: sessions of one model use one copy of its emitted code and packed weights. A plan goes
// when the last layer that uses it goes.
#pragma once
#include <cstddef>
#include <memory>

#include "operators/conv.h"
#include "operators/matmul.h"

namespace pc {

// The plan of an equal key, or a new one, not made yet.
std::shared_ptr<SharedPlan<ConvKey, ConvPlan>> share_plan(ConvKey);
std::shared_ptr<SharedPlan<MatMulKey, MatMulPlan>> share_plan(MatMulKey);

// How many there are in this process; for tests.
size_t live_plans();

}  // namespace pc
