// The table of operators: their names in models and their signatures. Each row is registered.
#pragma once
#include "ort/blocked_nodes.h"
#include "ort/chain_node.h"
#include "ort/node.h"
#include "ort/sparse_nodes.h"

namespace pc {

struct NodeKind {
  const char* name;
  size_t inputs, required;  // inputs after the required ones are optional
  std::unique_ptr<Node> (*make)(const Info&);
  int in_place_input = -1;  // the input whose buffer the output may reuse, or -1
  int uint8_input = -1;     // the input of type uint8, or -1; the others are float
  bool variadic = false;    // the last input stands for any number of inputs
  bool any_type = false;    // the variadic inputs have any types
};

inline constexpr NodeKind node_kinds[] = {
    {.name = "SparseConv",
     .inputs = 5,
     .required = 3,
     .make = make_sparse_conv,
     .in_place_input = 4,
     .uint8_input = 2},
    {.name = "SparseMatMul", .inputs = 5, .required = 3, .make = make_sparse_matmul, .uint8_input = 2},
    {.name = "SparseChain",
     .inputs = 2,
     .required = 2,
     .make = make_sparse_chain,
     .variadic = true,
     .any_type = true},
    {.name = "Enter", .inputs = 1, .required = 1, .make = make_to_blocked},
    {.name = "Leave", .inputs = 1, .required = 1, .make = make_from_blocked},
    {.name = "DepthwiseConv", .inputs = 3, .required = 2, .make = make_depthwise},
    {.name = "MaxPool", .inputs = 1, .required = 1, .make = make_max_pool},
    {.name = "AveragePool", .inputs = 1, .required = 1, .make = make_average_pool},
    {.name = "GlobalAveragePool", .inputs = 1, .required = 1, .make = make_global_average_pool},
    {.name = "Add", .inputs = 2, .required = 2, .make = make_add, .in_place_input = 0},
    {.name = "Mul", .inputs = 2, .required = 2, .make = make_mul, .in_place_input = 0},
    {.name = "Scale", .inputs = 2, .required = 2, .make = make_scale, .in_place_input = 0},
    {.name = "Activate", .inputs = 1, .required = 1, .make = make_activate, .in_place_input = 0},
    {.name = "Concat", .inputs = 1, .required = 1, .make = make_concat, .variadic = true},
    {.name = "Upsample", .inputs = 1, .required = 1, .make = make_upsample},
};

}  // namespace pc
