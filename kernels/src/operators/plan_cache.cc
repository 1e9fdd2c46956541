#include "operators/plan_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "support/interning_cache.h"

namespace pc {
namespace {

// Floats are compared by their bits: 0 and -0 differ, a NaN equals itself.
bool same_bits(float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); }

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// Structured bindings name every member, so that a new one fails to compile until it is compared
// here.
bool same(const Activation& one, const Activation& other) {
  const auto& [kind, alpha, beta] = one;
  return kind == other.kind && same_bits(alpha, other.alpha) && same_bits(beta, other.beta);
}

bool same(const ConvOptions& one, const ConvOptions& other) {
  const auto& [channels, filters, groups, kernel, strides, dilations, pads, activation, addend, x_blocked, y_blocked,
               may_write_tiles, kernel_choice, isa] = one;
  return channels == other.channels && filters == other.filters && groups == other.groups && kernel == other.kernel &&
         strides == other.strides && dilations == other.dilations && pads == other.pads &&
         same(activation, other.activation) && addend == other.addend && x_blocked == other.x_blocked &&
         y_blocked == other.y_blocked && may_write_tiles == other.may_write_tiles && kernel_choice == other.kernel_choice && isa == other.isa;
}

bool same(const MatMulOptions& one, const MatMulOptions& other) {
  const auto& [inputs, outputs, transposed, activation, kernel_choice, isa] = one;
  return inputs == other.inputs && outputs == other.outputs && transposed == other.transposed &&
         same(activation, other.activation) && kernel_choice == other.kernel_choice && isa == other.isa;
}

bool same(const ConvKey& one, const ConvKey& other) {
  const auto& [options, weights, bias, height, width, tile_major] = one;
  return tile_major == other.tile_major && weights == other.weights && height == other.height && width == other.width && same(options, other.options) &&
         same_bits(bias, other.bias);
}

bool same(const MatMulKey& one, const MatMulKey& other) {
  const auto& [options, weights, bias] = one;
  return weights == other.weights && same(options, other.options) && same_bits(bias, other.bias);
}

bool same(const ChainStep& one, const ChainStep& other) {
  const auto& [channels, filters, groups, kernel, activation, source, residual] = one;
  return channels == other.channels && filters == other.filters && groups == other.groups && kernel == other.kernel &&
         same(activation, other.activation) && source == other.source && residual == other.residual;
}

template <typename Items, typename Same>
bool all_same(const Items& one, const Items& other, Same&& same_items) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(), same_items);
}

bool same(const ChainOptions& one, const ChainOptions& other) {
  const auto& [steps, kernel_choice, isa, cache_bytes, strip_tiles, may_write_tiles] = one;
  return kernel_choice == other.kernel_choice && isa == other.isa && cache_bytes == other.cache_bytes &&
         strip_tiles == other.strip_tiles && may_write_tiles == other.may_write_tiles &&
         all_same(steps, other.steps, [](const ChainStep& a, const ChainStep& b) { return same(a, b); });
}

bool same(const ChainKey& one, const ChainKey& other) {
  const auto& [options, weights, biases, height, width, is_x_tile_major] = one;
  return is_x_tile_major == other.is_x_tile_major && weights == other.weights && height == other.height &&
         width == other.width && same(options, other.options) &&
         all_same(biases, other.biases, [](const auto& a, const auto& b) { return same_bits(a, b); });
}

uint64_t hash_of(const void* weights) { return std::hash<const void*>()(weights); }
uint64_t hash_of(const ConvKey& key) { return hash_of(key.weights.get()); }
uint64_t hash_of(const MatMulKey& key) { return hash_of(key.weights.get()); }
uint64_t hash_of(const ChainKey& key) { return hash_of(key.weights.front().get()); }

// The cache is never destroyed: sessions may end after static destructors have run.
template <typename Plan>
InterningCache<Plan>& cache() {
  static auto* const one = new InterningCache<Plan>;
  return *one;
}

template <typename Plan, typename Key>
std::shared_ptr<Plan> find_or_add(Key key, typename Plan::Make make) {
  const uint64_t hash = hash_of(key);
  return cache<Plan>().find_or_make(
      hash, [&](const Plan& one) { return same(one.key, key); },
      [&] { return std::make_shared<Plan>(std::move(key), make); });
}

using SharedConv = SharedPlan<ConvKey, ConvPlan>;
using SharedMatMul = SharedPlan<MatMulKey, MatMulPlan>;
using SharedChain = SharedPlan<ChainKey, ChainPlan>;

}  // namespace

std::shared_ptr<SharedConv> cached_plan(ConvKey key) {
  return find_or_add<SharedConv>(std::move(key), make_conv_plan);
}

std::shared_ptr<SharedMatMul> cached_plan(MatMulKey key) {
  return find_or_add<SharedMatMul>(std::move(key), make_matmul_plan);
}

std::shared_ptr<SharedChain> cached_plan(ChainKey key) {
  return find_or_add<SharedChain>(std::move(key), make_chain_plan);
}

size_t live_plans() {
  return cache<SharedConv>().live() + cache<SharedMatMul>().live() + cache<SharedChain>().live();
}

}  // namespace pc
