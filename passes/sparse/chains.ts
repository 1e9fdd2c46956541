/**
 * Which sparse convolutions of a graph run as chains: their contract is in kernels/README.md.
 *
 * A segment is a run of convolutions that begins at one value X, reads X and results of its own
 * alone, and leaves one result: a residual unit.
 *
 *   X -> 1x1 -> 3x3 -> 1x1 + X -> y        X -> 1x1 -> 3x3 -> 1x1 + s -> y,  X -> 1x1 -> s
 *
 * It is cut at the first result after which no step reads X: before that, two images would be alive
 * at the cut. Segments that follow each other are joined as long as their code stays in the cache.
 */
import { type Node, SPARSE_DOMAIN, type Value } from '../../src/ir/graph.js';
import type { Tensor } from '../../src/ir/tensor.js';
import { tilesOf } from './blocked-layout.js';

/**
 * A chain reads its code and data again for every strip of an image. At 11 bytes for each weight
 * that is kept, 60,000 weights are 660 KB: a third of a second-level cache of 2 MB, whose other
 * parts hold the strips of the results. The stage of 56 x 56 in ResNet-50 has 43,000 at 80 % zeros.
 */
const CHAIN_WEIGHTS = 60_000;
/**
 * 1.3 MB, two thirds of that cache. With more, a segment's code leaves the cache between two strips:
 * measured, no gain at 60 % zeros.
 */
const SEGMENT_WEIGHTS = 120_000;
/** Below it there are hardly more strips than one: measured, no gain. */
const LEAST_TILES = 100;
/** By the contract. */
const MOST_STEPS = 16;

/** A sparse convolution that may be a step. */
export interface ChainStep {
  readonly node: Node;
  readonly x: Value;
  readonly residual: Value | undefined;
  readonly output: Value;
  readonly filters: number;
  /** Height and width. */
  readonly size: readonly [number, number];
  readonly keptWeights: number;
}

/** Chains in the order of the graph; their steps are in that order as well. */
export function findChains(nodes: readonly Node[]): ChainStep[][] {
  const steps = nodes.flatMap((node) => stepAt(node) ?? []);
  return joined(segments(steps));
}

function stepAt(node: Node): ChainStep | undefined {
  const { domain, opType, inputs, outputs } = node;
  const [x, values, bits, bias, residual] = inputs;
  const [output] = outputs;
  if (domain !== SPARSE_DOMAIN || opType !== 'SparseConv' || x === undefined || output === undefined) return undefined;
  const constants: readonly (Tensor | undefined)[] = [values?.initializer, bits?.initializer];
  const keptWeights = values?.initializer?.size;
  if (keptWeights === undefined || constants.includes(undefined)) return undefined;
  if (bias !== undefined && bias.initializer === undefined) return undefined;
  const [height, width] = node.ints('input_size') ?? [];
  if (height === undefined || width === undefined || tilesOf(height, width) < LEAST_TILES) return undefined;
  if (!keepsSize(node) || !isBlocked(node) || node.attributes.has('kernel')) return undefined;
  return { node, x, residual, output, filters: node.int('filters', 0), size: [height, width], keptWeights };
}

function keepsSize(node: Node): boolean {
  const kernel = node.ints('kernel_shape') ?? [];
  const isOne = (extent: number) => extent === 1;
  if (kernel.length !== 2 || !kernel.every((extent) => extent === 1 || extent === 3)) return false;
  if (![...(node.ints('strides') ?? []), ...(node.ints('dilations') ?? [])].every(isOne)) return false;
  const pads = node.ints('pads') ?? [0, 0, 0, 0];
  return [...kernel, ...kernel].every((extent, side) => pads[side] === (extent - 1) / 2);
}

/** The blocked layout is called internal in files. */
function isBlocked(node: Node): boolean {
  return node.string('x_layout', 'NCHW') === 'internal' && node.string('y_layout', 'NCHW') === 'internal';
}

/** In the order of the graph; each step is in one at most. */
function segments(steps: readonly ChainStep[]): ChainStep[][] {
  const found: ChainStep[][] = [];
  const taken = new Set<ChainStep>();
  for (const [at, first] of steps.entries()) {
    if (taken.has(first)) continue;
    const rest = steps.slice(at).filter((step) => !taken.has(step));
    const segment = segmentFrom(first, rest);
    if (segment.length === 1) continue;
    for (const step of segment) taken.add(step);
    found.push(segment);
  }
  return found;
}

/** `steps` begins with `first`. */
function segmentFrom(first: ChainStep, steps: readonly ChainStep[]): ChainStep[] {
  const run: ChainStep[] = [];
  const values = new Set([first.x]);
  /** Lengths at which the run leaves no result but its last. */
  const closed: number[] = [];
  for (const step of steps) {
    if (run.length === MOST_STEPS) break;
    if (!readsOnly(step, values) || !isOfSize(step, first.size)) continue;
    run.push(step);
    values.add(step.output);
    if (leavesLastOnly(run)) closed.push(run.length);
  }
  const last = run.slice(0, closed.at(-1)).findLastIndex((step) => reads(step, first.x)) + 1;
  return run.slice(
    0,
    closed.find((length) => length >= last),
  );
}

function reads({ x, residual }: ChainStep, value: Value): boolean {
  return x === value || residual === value;
}

function readsOnly({ x, residual }: ChainStep, values: ReadonlySet<Value>): boolean {
  return values.has(x) && (residual === undefined || values.has(residual));
}

function isOfSize({ size }: ChainStep, [height, width]: ChainStep['size']): boolean {
  return size[0] === height && size[1] === width;
}

function leavesLastOnly(run: readonly ChainStep[]): boolean {
  const own = new Set(run.map(({ node }) => node));
  return run
    .slice(0, -1)
    .every(({ output }) => !output.isSeenOutside && output.uses.every(({ node }) => own.has(node)));
}

function joined(found: readonly ChainStep[][]): ChainStep[][] {
  const chains: ChainStep[][] = [];
  for (const segment of found) {
    if (weightsOf(segment) > SEGMENT_WEIGHTS) continue;
    const before = chains.find((chain) => canFollow(segment, chain));
    if (before === undefined) chains.push(segment);
    else before.push(...segment);
  }
  return chains;
}

/** Whether the segment alone reads the result of the chain, and both together are small enough. */
function canFollow(segment: readonly ChainStep[], chain: readonly ChainStep[]): boolean {
  const [first, result] = [segment[0], chain.at(-1)?.output];
  if (first === undefined || first.x !== result) return false;
  if (chain.length + segment.length > MOST_STEPS || weightsOf([...chain, ...segment]) >= CHAIN_WEIGHTS) return false;
  return leavesLastOnly([...chain, ...segment]);
}

function weightsOf(steps: readonly ChainStep[]): number {
  return steps.reduce((total, { keptWeights }) => total + keptWeights, 0);
}
