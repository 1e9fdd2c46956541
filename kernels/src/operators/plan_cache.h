// The plan cache: sessions of one model share one copy of its emitted code and packed weights. A
// plan is destroyed with the last layer that uses it.
#pragma once
#include <cstddef>
#include <memory>

#include "operators/chain.h"
#include "operators/conv.h"
#include "operators/matmul.h"

namespace pc {

// The plan of an equal key, or a new one that is not made yet.
std::shared_ptr<SharedPlan<ConvKey, ConvPlan>> cached_plan(ConvKey);
std::shared_ptr<SharedPlan<MatMulKey, MatMulPlan>> cached_plan(MatMulKey);
std::shared_ptr<SharedPlan<ChainKey, ChainPlan>> cached_plan(ChainKey);

// The number of plans in this process; for tests.
size_t live_plans();

}  // namespace pc
