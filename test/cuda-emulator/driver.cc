// libcuda.so.1, the driver: needed by the loader alone.
#include "standin.h"

STANDIN int cuTensorMapEncodeTiled() { not_emulated("cuTensorMapEncodeTiled"); }
