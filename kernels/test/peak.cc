// Prints the peak of one core in GFLOP/s of fused multiply-adds. Prints nothing on machines without
// a loop that measures it.
#include "isa/peak.h"

#include <cstdio>

int main() {
  const double peak = pc::fma_peak();
  if (peak > 0) std::printf("%.1f\n", peak);
}
