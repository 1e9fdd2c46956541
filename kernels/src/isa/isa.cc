#include "isa/isa.h"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace pc {

namespace baseline {
extern const Isa isa;
}
#ifdef PC_X86
namespace avx2 {
extern const Isa isa;
}
namespace avx512 {
extern const Isa isa;
}
#endif

// The builtin also checks (by XGETBV) that the operating system saves the wide registers.
bool has_avx512() {
#ifdef PC_X86
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx2");
#else
  return false;
#endif
}

const Isa* find_isa(const char* name) {
#ifdef PC_X86
  if (std::strcmp(name, "avx512") == 0) return has_avx512() ? &avx512::isa : nullptr;
  if (std::strcmp(name, "avx2") == 0) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &avx2::isa : nullptr;
  }
#endif
  return std::strcmp(name, "baseline") == 0 ? &baseline::isa : nullptr;
}

const Isa& default_isa() {
  const char* wanted = std::getenv("PRUNE_COMPILE_ISA");
  bool skipping = wanted != nullptr && (std::strcmp(wanted, "avx2") == 0 || std::strcmp(wanted, "baseline") == 0);
  for (const char* name : {"avx512", "avx2"}) {
    if (skipping && std::strcmp(name, wanted) == 0) skipping = false;
    if (skipping) continue;
    if (const Isa* isa = find_isa(name)) return *isa;
  }
  return baseline::isa;
}

}  // namespace pc
