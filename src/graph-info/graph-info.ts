/** A node as the operator rows see it. */
import type { Dim, Graph, Node, Value } from '../ir/graph.js';
import type { Site } from '../ops/site.js';
import type { Constants } from './constants.js';
import type { Shapes } from './shapes.js';

/** What is known of a graph before any rule is asked. */
export interface GraphInfo {
  readonly graph: Graph;
  readonly shapes: Shapes;
  readonly constants: Constants;
}

export function siteOf(node: Node, { graph, shapes, constants }: GraphInfo): Site {
  const dims = (value: Value | undefined): readonly Dim[] | undefined =>
    constants.tensor(value)?.dims ?? shapes.of(value);
  return {
    node,
    opset: graph.opset,
    inDims: (index) => dims(node.inputs[index]),
    outDims: (index) => dims(node.outputs[index]),
    constant: (index) => constants.tensor(node.inputs[index]),
  };
}
