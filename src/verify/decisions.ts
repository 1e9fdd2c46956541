/**
 * Where a model decides: operators whose result jumps where what they read moves by a rounding. Of
 * two models that are equal within rounding such an operator may order a tie otherwise, or fall on
 * the other side of a threshold, and whatever follows differs as a whole.
 *
 * Only nodes count that read what depends on the model's inputs; sizes (Shape, Size) are the same
 * in both models, and so is what another decision gave, once it is compared up to ties
 * (up-to-ties.ts).
 */
import { encodeProto } from '../onnx/encode.js';
import { capturedNames } from '../onnx/read.js';
import { type AttributeProto, DataType, type ModelProto, type NodeProto } from '../onnx/proto.js';
import { subgraphsOf } from '../onnx/subgraphs.js';

export interface Decision {
  readonly node: NodeProto;
  /** Its name for people. */
  readonly label: string;
  /** Names of all it reads, those that its subgraphs capture included. */
  readonly reads: readonly string[];
  readonly outputs: readonly string[];
  /** Of two nodes with the same one: the same function. */
  readonly signature: string;
}

const COMPARISONS = ['Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'Equal', 'IsNaN', 'IsInf'];
const ROUNDINGS = ['Ceil', 'Floor', 'Round', 'Sign', 'Mod', 'QuantizeLinear', 'DynamicQuantizeLinear'];
const SELECTIONS = ['TopK', 'NonMaxSuppression', 'ArgMax', 'ArgMin', 'Hardmax', 'NonZero', 'Unique'];
/** Continuous but for a jump at a threshold, at a border, or between grids of sampling points. */
const JUMPS = ['ThresholdedRelu', 'Shrink', 'RoiAlign', 'MaxRoiPool'];
const DECIDING: ReadonlySet<string> = new Set([...COMPARISONS, ...ROUNDINGS, ...SELECTIONS, ...JUMPS]);

/** Other numbers in every run: a decision whatever they read. */
const RANDOM: ReadonlySet<string> = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
]);

export const SIZES: ReadonlySet<string> = new Set(['Shape', 'Size']);

const FLOATING: ReadonlySet<number> = new Set([DataType.FLOAT, DataType.FLOAT16, DataType.DOUBLE, DataType.BFLOAT16]);

/**
 * Decisions of the main graph, in its order. A node with subgraphs that decide is one as a whole.
 */
export function decisionsOf(model: ModelProto): Decision[] {
  const found: Decision[] = [];
  walkNoise(model, (decision) => found.push(decision));
  return found;
}

/**
 * Values that rounding may move: computed from the model's inputs, and not by a decision. In the
 * graph's order.
 */
export function noisyValues(model: ModelProto): Set<string> {
  return walkNoise(model, () => {});
}

function walkNoise(model: ModelProto, visit: (decision: Decision) => void): Set<string> {
  const { graph = {}, functions = [] } = model;
  const constants = new Set((graph.initializer ?? []).map(({ name }) => name));
  const noisy = new Set((graph.input ?? []).flatMap(({ name = '' }) => (constants.has(name) ? [] : [name])));
  const doFunctionsDecide = functions.some(({ node = [] }) => node.some(decides));
  for (const node of graph.node ?? []) {
    const reads = readsOf(node);
    const isNoisy = reads.some((name) => noisy.has(name));
    const isOfFunction = doFunctionsDecide && node.domain !== undefined && !PLAIN_DOMAINS.has(node.domain);
    if (isRandom(node) || (isNoisy && (decides(node) || isOfFunction))) {
      visit(decisionAt(node, reads, model));
      continue;
    }
    if (isNoisy && !(isPlain(node) && SIZES.has(node.opType ?? '')))
      for (const name of node.output ?? []) noisy.add(name);
  }
  return noisy;
}

const PLAIN_DOMAINS: ReadonlySet<string> = new Set(['', 'ai.onnx']);

export function isPlain({ domain = '' }: NodeProto): boolean {
  return PLAIN_DOMAINS.has(domain);
}

function decides(node: NodeProto): boolean {
  return (
    (isPlain(node) && decidesItself(node)) || subgraphsOf(node).some(({ node: inner = [] }) => inner.some(decides))
  );
}

/** Operators that decide in one of their forms only. */
const SOMETIMES: ReadonlyMap<string, (node: NodeProto) => boolean> = new Map([
  // To whole numbers and truth values; of CastLike another value says the type.
  ['Cast', (node: NodeProto) => !FLOATING.has(Number(attributeOf(node, 'to')?.i ?? DataType.FLOAT))],
  ['CastLike', () => true],
  // Which of the values was the largest.
  ['MaxPool', ({ output = [] }: NodeProto) => (output[1] ?? '') !== ''],
  ['GridSample', (node: NodeProto) => Buffer.from(attributeOf(node, 'mode')?.s ?? []).toString('utf8') === 'nearest'],
  // In training mode it is random.
  ['Dropout', ({ input = [] }: NodeProto) => (input[2] ?? '') !== ''],
]);

function decidesItself(node: NodeProto): boolean {
  const { opType = '' } = node;
  return DECIDING.has(opType) || RANDOM.has(opType) || SOMETIMES.get(opType)?.(node) === true;
}

function isRandom(node: NodeProto): boolean {
  return (
    (isPlain(node) && RANDOM.has(node.opType ?? '')) ||
    subgraphsOf(node).some(({ node: inner = [] }) => inner.some(isRandom))
  );
}

export function attributeOf({ attribute = [] }: NodeProto, name: string): AttributeProto | undefined {
  return attribute.find((entry) => entry.name === name);
}

/** What the node and its subgraphs read of the graph around it. */
export function readsOf(node: NodeProto): string[] {
  const captured = subgraphsOf(node).flatMap((graph) => [...capturedNames(graph)]);
  return [...(node.input ?? []), ...captured].filter((name) => name !== '');
}

function decisionAt(node: NodeProto, reads: readonly string[], { opsetImport = [] }: ModelProto): Decision {
  const { opType = '', domain = '', name = '', input = [], output = [] } = node;
  const version = opsetImport.find((entry) => (entry.domain ?? '') === domain)?.version ?? 0;
  const attribute = (node.attribute ?? []).toSorted((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1));
  // Which inputs are left out matters; how they are called does not, except inside subgraphs.
  const places = input.map((entry) => (entry === '' ? '-' : '+')).join('');
  const results = output.map((entry) => (entry === '' ? '-' : '+')).join('');
  return {
    node,
    label: name === '' ? `${opType} -> ${output[0] ?? '?'}` : `${opType} ${name}`,
    reads,
    outputs: output.filter((entry) => entry !== ''),
    signature: [domain, opType, String(version), places, results, textOf({ graph: { node: [{ attribute }] } })].join(
      '\n',
    ),
  };
}

function textOf(message: ModelProto): string {
  return Buffer.from(encodeProto(message)).toString('base64');
}

export type Pair = readonly [reference: Decision, candidate: Decision];

/**
 * Decisions of two models that are the same function: first those whose results have the same
 * names, then by their order where there are equally many of a kind. A wrong pair is found out:
 * what both read is compared, and all outputs are, but those that are the choice itself in both
 * models, under one name.
 */
export function pairDecisions(reference: ModelProto, candidate: ModelProto): Pair[] {
  const ours = decisionsOf(reference);
  const theirs = decisionsOf(candidate);
  const pairs = new Map<Decision, Decision>();
  const taken = new Set<Decision>();
  const join = (a: Decision, b: Decision) => {
    pairs.set(a, b);
    taken.add(b);
  };
  const byName = new Map(theirs.map((decision) => [nameOf(decision), decision]));
  for (const decision of ours) {
    const other = byName.get(nameOf(decision));
    if (other?.signature === decision.signature) join(decision, other);
  }
  const rest = ours.filter((decision) => !pairs.has(decision));
  for (const kind of new Set(rest.map(({ signature }) => signature))) {
    const own = rest.filter(({ signature }) => signature === kind);
    const others = theirs.filter((other) => other.signature === kind && !taken.has(other));
    if (others.length !== own.length) continue;
    for (const [at, decision] of own.entries()) {
      const other = others[at];
      if (other !== undefined) join(decision, other);
    }
  }
  const haveSameFunctions =
    textOf({ functions: reference.functions ?? [] }) === textOf({ functions: candidate.functions ?? [] });
  return [...pairs].filter(([{ node }]) => haveSameFunctions || isPlain(node));
}

function nameOf({ outputs, signature }: Decision): string {
  return JSON.stringify([outputs, signature]);
}
