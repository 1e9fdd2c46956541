// What one core could do at best: the yardstick for kernels.
#pragma once

namespace pc {

// Fused multiply-adds of floats that this core does in a second with its widest registers, two operations each, in GFLOP/s. Takes some
// milliseconds. 0 where there is no such loop: only x86 with AVX2 or AVX-512 has one.
double fma_peak();

}  // namespace pc
