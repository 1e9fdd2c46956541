// What this library is, for whoever wants to know before or after loading it: the text also stands in the file as it is.
#ifndef PC_VERSION
#error "PC_VERSION is the version of the package, as a string"
#endif

namespace {

// The package's version, then the version of the operators (kernels/README.md); src/runtime/kernels.ts reads the file for it.
constexpr char kVersion[] = "prune-compile-kernels;version=" PC_VERSION ";operators=1;";

}  // namespace

extern "C" __attribute__((visibility("default"))) const char* PruneCompileKernelsVersion() noexcept { return kVersion; }
