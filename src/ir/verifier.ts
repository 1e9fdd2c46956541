/** The graph's invariants. Runs at the end of every transaction; it cannot be switched off. */
import type { Graph, Node, Value } from './graph.js';

/** Returns one sentence per broken invariant; empty when the graph is sound. */
export function verifyGraph(graph: Graph): string[] {
  const problems: string[] = [];
  const seen = new Set<Node>();
  const available = new Set<Value>();
  for (const value of graph.values.values()) {
    if (value.isGraphInput || value.isOpaqueConstant || value.initializer !== undefined) available.add(value);
  }

  for (const node of graph.nodes) {
    for (const [index, value] of node.inputs.entries()) {
      if (value === undefined) continue;
      if (!available.has(value)) problems.push(`${node.label} reads ${value.name} before it is computed`);
      if (!value.uses.some((use) => use.node === node && use.index === index))
        problems.push(`${node.label} input ${index} is missing from the uses of ${value.name}`);
      if (graph.values.get(value.name) !== value) problems.push(`${value.name} is not a value of the graph`);
    }
    for (const value of node.outputs) {
      if (value === undefined) continue;
      if (value.producer !== node) problems.push(`${value.name} does not know its producer ${node.label}`);
      if (available.has(value)) problems.push(`${value.name} is defined twice`);
      available.add(value);
    }
    seen.add(node);
  }

  for (const value of graph.values.values()) {
    for (const { node, index } of value.uses) {
      if (node.inputs[index] !== value || !seen.has(node))
        problems.push(`${value.name} lists a use by ${node.label} that does not exist`);
    }
    for (const node of value.capturedBy) {
      if (!seen.has(node) || !available.has(value))
        problems.push(`${value.name}, read inside a subgraph of ${node.label}, is gone`);
    }
  }
  for (const output of graph.outputs) {
    if (!available.has(output)) problems.push(`graph output ${output.name} is not computed`);
  }
  return problems;
}
