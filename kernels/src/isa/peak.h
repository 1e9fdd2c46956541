// The peak of one core, against which kernels are measured.
#pragma once

namespace pc {

// The fused multiply-adds of floats that this core does per second with its widest registers,
// counted as two operations each, in GFLOP/s. Takes some milliseconds. 0 on machines without AVX2:
// the loops are for x86 only.
double fma_peak();

// The fused multiply-adds of its widest registers that this core does per cycle: 1 or 2, measured,
// so only near that. Takes some milliseconds. 0 on machines without AVX2.
double fma_per_cycle();

}  // namespace pc
