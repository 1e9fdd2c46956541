#define PC_ISA baseline
#define PC_WIDTH 4
#include "isa_body.inc"
