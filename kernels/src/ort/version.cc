// The identification of this library. The text is also in the file, so it can be read without
// loading.
#ifndef PC_VERSION
#error "PC_VERSION is the version of the package, as a string"
#endif

namespace {

// The version of the package and that of the operators (kernels/README.md). src/runtime/kernels.ts
// searches the file for this text.
constexpr char kVersion[] = "prune-compile-kernels;version=" PC_VERSION ";operators=1;";

}  // namespace

extern "C" __attribute__((visibility("default"))) const char* PruneCompileKernelsVersion() noexcept { return kVersion; }
