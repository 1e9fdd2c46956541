#include "node/provider_options.h"

#if defined(__linux__)
#include <algorithm>
#include <iterator>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct OrtProviderOptions;  // of either provider

using Append = OrtStatus* (*)(OrtSessionOptions*, const OrtProviderOptions*);
using Update = OrtStatus* (*)(OrtProviderOptions*, const char* const* keys, const char* const* values, size_t count);

// The slots are those of SessionOptionsAppendExecutionProvider_…_V2 and Update…ProviderOptions.
struct Provider {
  std::string_view name;
  int append_slot, update_slot;
  Append append = nullptr;
  Update update = nullptr;
  std::vector<std::string> keys = {}, values = {};
};

Provider providers[] = {{"cuda", 204, 206}, {"tensorrt", 170, 172}};
std::mutex mutex;

// The options belong to the caller, who made them for this session.
OrtStatus* append(Provider& provider, OrtSessionOptions* session, const OrtProviderOptions* options) {
  std::vector<const char*> keys, values;
  const std::lock_guard lock(mutex);
  for (const std::string& key : provider.keys) keys.push_back(key.c_str());
  for (const std::string& value : provider.values) values.push_back(value.c_str());
  if (!keys.empty() && provider.update != nullptr) {
    OrtStatus* failed =
        provider.update(const_cast<OrtProviderOptions*>(options), keys.data(), values.data(), keys.size());
    if (failed != nullptr) return failed;
  }
  return provider.append(session, options);
}

template <int Index>
OrtStatus* append_to(OrtSessionOptions* session, const OrtProviderOptions* options) {
  return append(providers[Index], session, options);
}

constexpr Append replacements[] = {append_to<0>, append_to<1>};

}  // namespace

namespace pc {

bool hook_providers(OrtApiTable* api, bool (*store)(void* const* entry, void* value)) {
  for (size_t index = 0; index < std::size(providers); index++) {
    Provider& provider = providers[index];
    void* const* entry = api + provider.append_slot;
    void* const replacement = reinterpret_cast<void*>(replacements[index]);
    if (*entry == nullptr || *entry == replacement) continue;
    provider.append = reinterpret_cast<Append>(*entry);
    provider.update = reinterpret_cast<Update>(api[provider.update_slot]);
    if (!store(entry, replacement)) return false;
  }
  return true;
}

}  // namespace pc

extern "C" __attribute__((visibility("default"))) int PruneCompileSetProviderOptions(const char* name,
                                                                                     const char* options) noexcept {
  const std::lock_guard lock(mutex);
  for (Provider& provider : providers) {
    if (provider.name != name) continue;
    provider.keys.clear();
    provider.values.clear();
    for (std::string_view rest = options; !rest.empty();) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      const size_t equals = std::min(line.find('='), line.size());
      provider.keys.emplace_back(line.substr(0, equals));
      provider.values.emplace_back(line.substr(std::min(line.size(), equals + 1)));
    }
    return 1;
  }
  return 0;
}
#endif
