#define PC_ISA avx512
#define PC_WIDTH 16
#include "isa/body.inc"
