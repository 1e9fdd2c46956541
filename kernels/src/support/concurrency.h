// How many threads share work: ONNX Runtime does not tell operators.
#pragma once
#include <cstddef>

#include "support/parallel.h"

namespace pc {

// The number of threads, `most` at most, that were seen to work at the same time. Threads that are
// asleep may be missed. Takes up to 50 us for each of `most`.
size_t concurrency(Parallel&, size_t most);

}  // namespace pc
