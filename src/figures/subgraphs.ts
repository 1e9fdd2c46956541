/** Layers inside If, Loop and Scan: no rule looks there, and no figure counts them. */
import type { GraphProto, NodeProto } from '../onnx/proto.js';
import { subgraphsOf } from '../onnx/subgraphs.js';
import { operators } from '../ops/registry.js';

/** Operators that are layers where their weights are constant. */
const LAYERS: ReadonlySet<string> = new Set(
  operators.flatMap(({ type, domain = '', weights }) => (weights === undefined || domain !== '' ? [] : [type])),
);
const WEIGHTS = 1;

/**
 * How many nodes of all subgraphs, nested ones too, are layers with weights that are constants of
 * theirs or of what is around them.
 */
export function countSubgraphLayers(graph: GraphProto | undefined): number {
  return graph === undefined ? 0 : countInside(graph, new Set(constantsOf(graph)));
}

function countInside({ node: nodes = [] }: GraphProto, constants: ReadonlySet<string>): number {
  let count = 0;
  for (const inner of nodes.flatMap(subgraphsOf)) {
    const visible = new Set([...constants, ...constantsOf(inner)]);
    count += (inner.node ?? []).filter((node) => isLayer(node, visible)).length + countInside(inner, visible);
  }
  return count;
}

function constantsOf({ initializer = [], node: nodes = [] }: GraphProto): string[] {
  const constants = nodes.filter(({ opType }) => opType === 'Constant').flatMap(({ output = [] }) => output);
  return [...initializer.flatMap(({ name }) => name ?? []), ...constants];
}

function isLayer({ opType = '', domain = '', input = [] }: NodeProto, constants: ReadonlySet<string>): boolean {
  return (domain === '' || domain === 'ai.onnx') && LAYERS.has(opType) && constants.has(input[WEIGHTS] ?? '');
}
