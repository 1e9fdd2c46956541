/**
 * One cause of what stays, taken away in thought: the analysis is done once more as if it were not
 * there, and tells how much would go. Nothing is ever rewritten by such facts.
 */
import type { Node } from '../ir/graph.js';
import type { Link, Pointwise } from '../ops/axes.js';
import type { Site } from '../ops/site.js';
import type { AnalyzedNode } from './analyzed-node.js';
import { type Deadness, stopsAt } from './stops.js';

/**
 * unknown: the operator passes channels on one by one, and ONNX Runtime says what it makes of
 * constants. extent: what it reads may shrink. The others: where it is the operator that ends
 * deadness for that cause, its output is taken for constant.
 */
export interface Lift {
  readonly cause: 'unknown' | 'extent' | 'gate' | 'place' | 'constant';
  /** By qualified name. */
  readonly operator: string;
  /** These alone; absent: all nodes of the operator. */
  readonly nodes?: ReadonlySet<Node>;
}

/** The relation of an operator of which none is known, if it is the one in question. */
export function liftedRelation(node: Node, site: Site, lift: Lift | undefined): Pointwise | undefined {
  if (lift?.cause !== 'unknown' || node.qualifiedOp !== lift.operator) return undefined;
  const links: Link[] = [];
  for (const output of node.outputs.keys()) {
    const outDims = site.outDims(output);
    for (const index of node.inputs.keys()) {
      const inDims = site.inDims(index);
      if (inDims === undefined || outDims === undefined || inDims.length !== outDims.length) continue;
      for (const [axis, extent] of outDims.entries())
        if (inDims[axis] === extent) links.push({ input: { index, axis }, output: { index: output, axis } });
    }
  }
  return { kind: 'pointwise', links, isAsked: true };
}

/** Takes outputs for constant at which the node ends deadness for the cause that is lifted. */
export function liftStops(
  at: AnalyzedNode,
  lift: Lift | undefined,
  deadness: Deadness,
  set: (position: number, from: number) => void,
): void {
  if (lift === undefined || lift.cause === 'unknown' || lift.cause === 'extent') return;
  if (at.node.qualifiedOp !== lift.operator || lift.nodes?.has(at.node) === false) return;
  for (const { cause, from, to } of stopsAt(at, deadness)) if (cause === lift.cause) set(to, from);
}
