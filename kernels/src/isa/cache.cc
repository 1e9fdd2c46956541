#include "isa/cache.h"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace pc {

size_t second_level_cache() {
#ifdef _SC_LEVEL2_CACHE_SIZE
  const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (bytes > 0) return static_cast<size_t>(bytes);
#endif
  return size_t{512} << 10;
}

}  // namespace pc
