/**
 * A node with what its operator's row says about it, resolved to axes that have positions. Links go
 * from input to output, always; the interpreters need not look anything up.
 */
import type { Node } from '../ir/graph.js';
import {
  type AxisRef,
  type Blocks,
  type Choice,
  type Feedback,
  groupsOf,
  type HeadPart,
  type Heads,
  type LayerRelation,
  type Link,
  type Picks,
  type Relation,
  weightsRefs,
} from '../ops/axes.js';
import type { Kept } from '../ops/operator.js';
import { operatorOf } from '../ops/registry.js';
import type { Site } from '../ops/site.js';
import type { Axis, Positions, Slot } from './positions.js';

/** Before positions are numbered. */
export interface NodeSite {
  readonly node: Node;
  readonly site: Site;
  /** Undefined: every axis it touches is pinned. */
  readonly relation: Relation | undefined;
  /** Per input: its slot; undefined where the input is left out. */
  readonly inSlots: readonly (Slot | undefined)[];
}

/**
 * A link of a row. A side without positions is undefined, and so is the input where the extents of
 * the two contradict each other.
 */
export interface ResolvedLink {
  /** Which input of the node. */
  readonly operand: number;
  readonly input: Axis | undefined;
  readonly output: Axis | undefined;
  readonly blocks: Blocks | Picks | undefined;
}

/**
 * The axes of a layer: what it sums over, what its weights make, and the axes of its constant
 * operands that go with these.
 */
export interface LayerAxes {
  readonly relation: LayerRelation;
  readonly x: Axis | undefined;
  readonly y: Axis | undefined;
  /** Of the weights; undefined for the axis that counts the channels of one group. */
  readonly weightsIn: Axis | undefined;
  readonly weightsOut: Axis | undefined;
  readonly bias: Axis | undefined;
}

/** Positions from `base` on, `size` of them for each head of keys and values. */
export interface HeadPartAxis {
  readonly base: number;
  readonly size: number;
}

/** Heads that lie side by side (`Heads` of src/ops/axes.ts). */
export interface HeadAxes extends Pick<Heads, 'count' | 'served' | 'channels' | 'valueChannels'> {
  readonly query: readonly HeadPartAxis[];
  readonly key: readonly HeadPartAxis[];
  readonly value: readonly HeadPartAxis[];
  readonly masks: readonly HeadPartAxis[];
  readonly output: HeadPartAxis;
  /** All axes that have a part. */
  readonly axes: readonly Axis[];
}

export interface AnalyzedNode extends NodeSite {
  /** Those that always hold. */
  readonly links: readonly ResolvedLink[];
  /** Of each list one holds. */
  readonly choices: readonly (readonly ResolvedLink[])[];
  /** Of each list the axes are summed over together. */
  readonly sums: readonly (readonly (Axis | undefined)[])[];
  /** Set where the relation is that of a layer. */
  readonly layer: LayerAxes | undefined;
  readonly feedback: FeedbackAxes | undefined;
  /** Set where heads lie side by side along axes that have positions. */
  readonly heads: HeadAxes | undefined;
}

/** Of a recurrent layer: see Feedback of src/ops/axes.ts. */
export interface FeedbackAxes {
  readonly outputs: readonly Axis[];
  readonly weights: Axis | undefined;
  /** Undefined entries have no positions: nothing is known of them. */
  readonly states: readonly (Axis | undefined)[];
  readonly zeros: readonly number[];
}

export function analyzedNode(at: NodeSite, positions: Positions): AnalyzedNode {
  const { relation } = at;
  const resolved = (link: Link) => resolve(at, link, positions);
  return {
    ...at,
    links: relation === undefined || relation.kind === 'extents' ? [] : relation.links.map(resolved),
    choices: choicesOf(at).map((candidates) => candidates.map(resolved)),
    sums: sumsOf(at).map((axes) => axes.map((ref) => inputAxis(at, ref, positions))),
    layer: relation?.kind === 'linear' || relation?.kind === 'grouped' ? layerAxes(at, relation, positions) : undefined,
    feedback: relation?.kind === 'pointwise' ? feedbackAxes(at, relation.feedback, positions) : undefined,
    heads: headAxes(at, positions),
  };
}

function feedbackAxes(at: NodeSite, feedback: Feedback | undefined, positions: Positions): FeedbackAxes | undefined {
  if (feedback === undefined) return undefined;
  const { outputs, weights, states, zeros } = feedback;
  return {
    outputs: outputs.flatMap((ref) => outputAxis(at, ref, positions) ?? []),
    weights: inputAxis(at, weights, positions),
    states: states.map((ref) => inputAxis(at, ref, positions)),
    zeros,
  };
}

export function choicesOf({ relation }: NodeSite): readonly Choice[] {
  return relation?.kind === 'pointwise' ? (relation.choices ?? []) : [];
}

export function sumsOf({ relation }: NodeSite): readonly (readonly AxisRef[])[] {
  return relation?.kind === 'pointwise' ? (relation.sums ?? []) : [];
}

function resolve(at: NodeSite, { input: inRef, output: outRef, blocks }: Link, positions: Positions): ResolvedLink {
  const input = inputAxis(at, inRef, positions);
  const output = outputAxis(at, outRef, positions);
  const isContradiction =
    blocks === undefined && input !== undefined && output !== undefined && input.extent !== output.extent;
  return { operand: inRef.index, input: isContradiction ? undefined : input, output, blocks };
}

function layerAxes(at: NodeSite, relation: LayerRelation, positions: Positions): LayerAxes {
  const weights = weightsRefs(relation);
  const bias = relation.bias === undefined ? undefined : at.inSlots[relation.bias.index];
  return {
    relation,
    x: inputAxis(at, relation.x, positions),
    y: outputAxis(at, relation.y, positions),
    weightsIn: weights.in && inputAxis(at, weights.in, positions),
    weightsOut: weights.out && inputAxis(at, weights.out, positions),
    // A bias may have axes of extent 1 in front.
    bias: bias === undefined ? undefined : positions.axesOf(bias).at(-1),
  };
}

/** Undefined where a part has no positions: then none has. */
function headAxes(at: NodeSite, positions: Positions): HeadAxes | undefined {
  const heads = headsOf(at);
  const output = heads && outputAxis(at, { index: 0, axis: heads.output }, positions);
  if (heads === undefined || output === undefined) return undefined;
  const { served, channels, valueChannels } = heads;
  const axes: Axis[] = [output];
  const parts = (list: readonly HeadPart[], size: number): HeadPartAxis[] =>
    list.flatMap((part) => {
      const axis = inputAxis(at, part, positions);
      if (axis === undefined) return [];
      axes.push(axis);
      return [{ base: axis.base + part.start, size }];
    });
  const found: HeadAxes = {
    count: heads.count,
    served,
    channels,
    valueChannels,
    axes,
    query: parts(heads.query, served * channels),
    key: parts(heads.key, channels),
    value: parts(heads.value, valueChannels),
    masks: parts(heads.masks, served),
    output: { base: output.base, size: served * valueChannels },
  };
  const isWhole = axes.length === 1 + heads.query.length + heads.key.length + heads.value.length + heads.masks.length;
  return isWhole ? found : undefined;
}

export function headsOf({ relation }: NodeSite): Heads | undefined {
  return relation?.kind === 'pointwise' ? relation.heads : undefined;
}

function inputAxis(at: NodeSite, { index, axis }: AxisRef, positions: Positions): Axis | undefined {
  const slot = at.inSlots[index];
  return slot === undefined ? undefined : positions.axesOf(slot)[axis];
}

function outputAxis(at: NodeSite, { index, axis }: AxisRef, positions: Positions): Axis | undefined {
  const slot = at.node.outputs[index];
  return slot === undefined ? undefined : positions.axesOf(slot)[axis];
}

/** One input and one output per group: these go together, and need no balance between groups. */
export function isDepthwise({ relation, x, y }: LayerAxes): boolean {
  const groups = groupsOf(relation);
  return relation.kind === 'grouped' && x?.extent === groups && y?.extent === groups;
}

/** What rows ask when channels are removed. */
export function keptAt(
  at: NodeSite,
  positions: Positions,
  keptOf: (axis: Axis | undefined) => readonly number[] | undefined,
): Kept {
  return {
    input: (ref) => keptOf(inputAxis(at, ref, positions)),
    output: (ref) => keptOf(outputAxis(at, ref, positions)),
  };
}

/** Whether the operator looks at the type of input `index`, and at nothing else of it. */
export function readsTypeAlone({ node }: NodeSite, index: number): boolean {
  return operatorOf(node)?.typeOperand === index;
}

/** Calls `visit` with every linked pair of indices. Only where both sides are there. */
export function forEachPair(
  { input, output, blocks }: ResolvedLink,
  visit: (input: number, output: number) => void,
): void {
  if (input === undefined || output === undefined) return;
  if (blocks === undefined) {
    for (let index = 0; index < input.extent; index++) visit(index, index);
    return;
  }
  if (blocks.one === 'picked') {
    for (const [at, from] of blocks.picks.entries()) visit(from, at);
    return;
  }
  const { one, oneStart, manyStart, count, inner, outer, period } = blocks;
  const last = Math.min(count, (one === 'input' ? input : output).extent - oneStart);
  for (let index = 0; index < last; index++) {
    for (let block = 0; block < outer; block++) {
      const start = manyStart + block * period + index * inner;
      for (let at = start; at < start + inner; at++) {
        if (one === 'input') visit(oneStart + index, at);
        else visit(at, oneStart + index);
      }
    }
  }
}
