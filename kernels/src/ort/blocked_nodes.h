// The operators on blocked images, as nodes. They keep whole stages of a network in the blocked
// layout.
#pragma once
#include "ort/node.h"

namespace pc {

std::unique_ptr<Node> make_to_blocked(const Info&);
std::unique_ptr<Node> make_from_blocked(const Info&);
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
