// The operators between sparse layers, as nodes: they keep whole stages of a network in the internal layout.
#pragma once
#include "ort/nodes.h"

namespace pc {

std::unique_ptr<Node> make_depthwise(const Info&);
std::unique_ptr<Node> make_max_pool(const Info&);
std::unique_ptr<Node> make_average_pool(const Info&);
std::unique_ptr<Node> make_global_average_pool(const Info&);
std::unique_ptr<Node> make_add(const Info&);
std::unique_ptr<Node> make_mul(const Info&);
std::unique_ptr<Node> make_scale(const Info&);
std::unique_ptr<Node> make_activate(const Info&);
std::unique_ptr<Node> make_concat(const Info&);
std::unique_ptr<Node> make_upsample(const Info&);

}  // namespace pc
