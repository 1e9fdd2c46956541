// libcurand.so.10: needed by the loader alone.
#include "standin.h"

STANDIN int curand_stands_in() { return 0; }
