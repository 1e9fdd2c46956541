// The node of a chain of sparse convolutions.
#pragma once
#include "ort/node.h"

namespace pc {

std::unique_ptr<Node> make_sparse_chain(const Info&);

}  // namespace pc
