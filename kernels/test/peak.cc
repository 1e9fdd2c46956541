// Prints how many GFLOP/s of fused multiply-adds one core does. Nothing where there is no loop that measures it.
#include "isa/peak.h"

#include <cstdio>

int main() {
  const double peak = pc::fma_peak();
  if (peak > 0) std::printf("%.1f\n", peak);
}
