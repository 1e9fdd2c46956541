#define PC_ISA baseline
#define PC_WIDTH 4
#include "isa/body.inc"
