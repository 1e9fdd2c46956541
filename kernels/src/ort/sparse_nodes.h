// The operators with sparse weights, as nodes.
#pragma once
#include "ort/node.h"

namespace pc {

std::unique_ptr<Node> make_sparse_conv(const Info&);
std::unique_ptr<Node> make_sparse_matmul(const Info&);

}  // namespace pc
