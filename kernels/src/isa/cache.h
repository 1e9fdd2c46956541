// The caches of this machine.
#pragma once
#include <cstddef>

namespace pc {

// Bytes of the second-level cache of one core; 512 KB, the least of common server cores, if the
// system does not say.
size_t second_level_cache();

}  // namespace pc
