#define PC_ISA avx2
#define PC_WIDTH 8
#include "isa/body.inc"
