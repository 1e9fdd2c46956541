/**
 * Refuses models that no rule, and no runtime, could make sense of (src/ops/validity.ts), before
 * anybody tries.
 */
import { PruneCompileError } from '../errors.js';
import { type ModelProto, type NodeProto, toClampedNumber } from '../onnx/proto.js';
import { subgraphsOf } from '../onnx/subgraphs.js';
import { attributeProblem, extentProblem } from '../ops/validity.js';
import { type GraphInfo, siteOf } from './graph-info.js';

/**
 * Throws E-MODEL-INVALID for attributes that ONNX Runtime would divide by, or loop over, unseen:
 * also in subgraphs and functions.
 */
export function checkAttributes({ graph, functions = [] }: ModelProto): void {
  checkNodes(graph?.node ?? []);
  for (const { node = [] } of functions) checkNodes(node);
}

function checkNodes(nodes: readonly NodeProto[]): void {
  for (const node of nodes) {
    const { domain = '', opType = '', attribute = [] } = node;
    const numbersOf = (wanted: string): readonly number[] => {
      const found = attribute.find(({ name }) => name === wanted);
      return [...(found?.ints ?? []), ...(found?.i === undefined ? [] : [found.i])].map(toClampedNumber);
    };
    const problem = attributeProblem(domain === 'ai.onnx' ? '' : domain, opType, numbersOf);
    if (problem !== undefined) throw invalid(labelOf(node), problem);
    for (const inner of subgraphsOf(node)) checkNodes(inner.node ?? []);
  }
}

/** Throws E-MODEL-INVALID where extents contradict each other. */
export function checkExtents(graphInfo: GraphInfo): void {
  for (const node of graphInfo.graph.nodes) {
    const problem = extentProblem(siteOf(node, graphInfo));
    if (problem !== undefined) throw invalid(node.label, problem);
  }
}

function labelOf({ name = '', opType = '', output = [] }: NodeProto): string {
  return name === '' ? `${opType} -> ${output[0] ?? '?'}` : name;
}

function invalid(node: string, why: string): PruneCompileError {
  return new PruneCompileError('E-MODEL-INVALID', {
    what: `the model has a node that cannot be computed: ${node}`,
    facts: [
      ['why', why],
      ['try', 'python -c "import onnx; onnx.checker.check_model(\'model.onnx\', full_check=True)" and export it again'],
    ],
  });
}
