/** A node as the operator rows see it. */
import type { Dim, Graph, Node, Value } from '../ir/graph.js';
import type { Site } from '../ops/site.js';
import { copiedExtents, fixedIntegers, type Known } from './shape-elements.js';

export function siteOf(node: Node, known: Known & { readonly graph: Graph }): Site {
  const { graph, shapes, constants } = known;
  const dims = (value: Value | undefined): readonly Dim[] | undefined =>
    constants.tensor(value)?.dims ?? shapes.of(value);
  return {
    node,
    opset: graph.opset,
    inDims: (index) => dims(node.inputs[index]),
    outDims: (index) => dims(node.outputs[index]),
    constant: (index) => constants.tensor(node.inputs[index]),
    ownExtents: (index) => copiedExtents(node.inputs[index], node.inputs[0], known),
    integers: (index) => fixedIntegers(node.inputs[index], known),
  };
}
