/**
 * part-gates: takes constants out of a product with what is computed from the input, where a
 * convolution without padding reads it.
 *
 *   x [N, C, H, W], constants k in some channels K -> Mul(x, gate [N, C, 1, 1]) -> Conv(W, b)      =>
 *
 *   Gather(x, others) -> Mul(that, Gather(gate, others)) -> Conv(W[:, others], b) -> Add
 *   Gather(gate, K) -> Conv(k * W[:, K]) [N, Cout, 1, 1] ---------------------------/
 *
 * Exact? To rounding: k * gate does not depend on the place, so its share of the sums is one number
 * for each output and sample. Declines where anything but such convolutions reads the product, where
 * the gate is no number per channel, and where the channels of x would stay for another reason.
 * Cost: a pass over the reader's output. With --align 1 that is never too much.
 */
import { analyze, type Facts } from '../src/channels/facts.js';
import type { AnalyzedNode } from '../src/channels/analyzed-node.js';
import { type Axis, isOperand, type Operand } from '../src/channels/positions.js';
import type { LinearRead } from '../src/channels/propagate-demand.js';
import { planRemoval } from '../src/channels/removal-plan.js';
import { WeightMatrix } from '../src/channels/weight-matrix.js';
import type { CostModel } from '../src/cost/width-cost.js';
import type { Editor } from '../src/ir/editor.js';
import type { Node, Value } from '../src/ir/graph.js';
import { sliceTensor } from '../src/ir/slice.js';
import { INT64, Tensor } from '../src/ir/tensor.js';
import { epsilonOf, NORMALIZATION_INPUTS, normalizationScales } from '../src/ops/attributes.js';
import { soleNormalization } from './channels/compensate.js';
import { type Pass, UNCHANGED } from './pass.js';

/** The axis of channels. */
const CHANNELS = 1;

/**
 * What the Add costs, in input channels of the reader. ONNX Runtime 1.30, Zen 3, one thread, 1x1
 * convolutions to 64, 128 and 256 channels on 56x56, 28x28 and 14x14: 64 channels less gained .56,
 * .11 and .04 ms, and the Add took .68, .12 and .07.
 */
const ADD = 96;

interface Reader {
  readonly read: LinearRead;
  readonly weights: Operand;
}

interface Gated {
  readonly at: AnalyzedNode;
  /** Input index of x; the gate is the other one. */
  readonly data: number;
  readonly axis: Axis;
  /** Indices of the channels that are constant, and not zero. */
  readonly held: readonly number[];
  readonly readers: readonly Reader[];
}

export const partGates: Pass = {
  name: 'part-gates',
  summary: 'take constants out of products with a gate',
  exactness: 'rounding',
  async run({ editor, facts: analyzed, cost }) {
    const facts = await analyzed();
    const candidates = facts.nodes.flatMap((at) => gatedAt(at, facts) ?? []);
    if (candidates.length === 0) return UNCHANGED;
    const gated = await thoseThatGo(candidates, facts, cost);
    if (gated.length === 0) return UNCHANGED;
    const changed = editor.transaction('part gates', () => {
      for (const each of gated) part(editor, each, facts);
    });
    const remarks = gated.map(({ at, held }) => ({
      kind: 'applied' as const,
      node: at.node.label,
      message: `${held.length} of its channels are constants times the gate: they are added behind what reads them`,
    }));
    return { changed, gains: false, remarks };
  },
};

function gatedAt(at: AnalyzedNode, facts: Facts): Gated | undefined {
  const { node, site } = at;
  const [product] = node.outputs;
  if (node.opType !== 'Mul' || node.domain !== '' || product === undefined || product.isSeenOutside) return undefined;
  const readers = product.uses.map((use) => readerAt(use.node, use.index, facts));
  if (readers.length === 0 || readers.some((reader) => reader === undefined)) return undefined;
  for (const data of [0, 1]) {
    const [x, gate] = [at.inSlots[data], at.inSlots[1 - data]];
    if (x === undefined || gate === undefined || isOperand(x) || isOperand(gate) || x === gate) continue;
    const axis = facts.positions.axesOf(x)[CHANNELS];
    const others = facts.positions.axesOf(gate)[CHANNELS];
    const dims = site.inDims(1 - data);
    if (axis === undefined || others?.extent !== axis.extent || site.inDims(data)?.length !== dims?.length) continue;
    if (dims === undefined || dims.length < 3 || dims.slice(2).some((dim) => dim !== 1)) continue;
    const made = facts.positions.axesOf(product)[CHANNELS];
    const held = Array.from({ length: axis.extent }, (_, index) => index).filter((index) => {
      const constant = facts.constant[axis.base + index] ?? Number.NaN;
      const isOpen = Number.isNaN(facts.constant[(made?.base ?? 0) + index] ?? Number.NaN);
      return made !== undefined && !Number.isNaN(constant) && constant !== 0 && isOpen;
    });
    if (held.length > 0) return { at, data, axis, held, readers: readers.filter((reader) => reader !== undefined) };
  }
  return undefined;
}

/** A convolution that sums over the product's channels, without padding and of floats. */
function readerAt(node: Node, index: number, { linearReads }: Facts): Reader | undefined {
  const read = linearReads.find(({ at }) => at.node === node);
  const { relation, at } = read ?? {};
  if (read === undefined || at === undefined || relation?.kind !== 'linear' || index !== 0) return undefined;
  if (relation.hasWindow !== true || relation.padded || relation.codes !== undefined) return undefined;
  if (relation.needsCarrier === true || relation.activation !== undefined || relation.alpha !== 1) return undefined;
  const weights = at.inSlots[relation.weights.index];
  const [output] = node.outputs;
  if (weights === undefined || !isOperand(weights) || output === undefined) return undefined;
  return { read, weights };
}

/**
 * Of each what would go if its product were constant, where that pays: a channel that stays for
 * another reason would be copied for nothing.
 */
async function thoseThatGo(candidates: readonly Gated[], facts: Facts, cost: CostModel): Promise<Gated[]> {
  const nodes = new Set(candidates.map(({ at }) => at.node));
  const lifted = await analyze(facts.graphInfo, { cause: 'gate', operator: 'Mul', nodes });
  const plan = planRemoval(lifted, cost);
  return candidates.flatMap((each) => {
    const slot = each.at.inSlots[each.data];
    const axis = slot === undefined ? undefined : lifted.positions.axesOf(slot)[CHANNELS];
    const kept = plan.keptOf(axis);
    if (axis === undefined || kept === undefined) return [];
    const stays = new Set(kept);
    const held = each.held.filter((index) => !stays.has(index));
    return held.length > 0 && cost.paysFor(kept.length, kept.length + held.length, ADD) ? [{ ...each, held }] : [];
  });
}

function part(editor: Editor, { at, data, axis, held, readers }: Gated, facts: Facts): void {
  const { node } = at;
  // Read now: another product may have taken its place in between.
  const [x, gate] = [node.inputs[data], node.inputs[1 - data]];
  if (x === undefined || gate === undefined) throw new Error(`${node.label} has two operands`);
  const gone = new Set(held);
  const others = Array.from({ length: axis.extent }, (_, index) => index).filter((index) => !gone.has(index));
  const constants = held.map((index) => facts.constant[axis.base + index] ?? 0);
  for (const reader of readers) {
    addBehind(editor, reader, { gate: pick(editor, gate, held, node), held, constants }, facts);
    const { weights } = reader;
    const kept = weights.tensor.dims.map((_, dim) => (dim === CHANNELS ? others : undefined));
    const cut = editor.addInitializer(weights.value.name, sliceTensor(weights.tensor, kept));
    editor.sliceOperand({ node: weights.node, index: weights.index }, cut, kept);
  }
  editor.setInput(node, data, pick(editor, x, others, node));
  editor.setInput(node, 1 - data, pick(editor, gate, others, node));
}

function pick(editor: Editor, from: Value, indices: readonly number[], anchor: Node): Value {
  const list = editor.addInitializer(`${from.name}_picks`, Tensor.fromNumbers(INT64, [indices.length], indices));
  const { outputs } = editor.addNode(
    {
      opType: 'Gather',
      name: editor.graph.freshNodeName(`${from.name}_picks`),
      inputs: [from, list],
      outputs: [`${from.name}_picked`],
      attributes: { axis: { kind: 'int', value: CHANNELS } },
    },
    anchor,
  );
  const [picked] = outputs;
  if (picked === undefined) throw new Error('a Gather has one output');
  return picked;
}

interface Share {
  /** Of the channels that are held alone. */
  readonly gate: Value;
  readonly held: readonly number[];
  readonly constants: readonly number[];
}

/** What the reader makes of the held channels: added behind a normalisation that alone reads it. */
function addBehind(editor: Editor, { read, weights }: Reader, { gate, held, constants }: Share, facts: Facts): void {
  const { node } = read.at;
  const [direct] = node.outputs;
  if (direct === undefined) throw new Error(`${node.label} has one output`);
  const matrix = new WeightMatrix(weights.tensor, read.relation.weights);
  const normalization = soleNormalization(direct, facts);
  const scale = normalization === undefined ? (value: number) => value : scaleOf(normalization, facts);
  const columns = new Float64Array(matrix.outputs * held.length);
  for (let output = 0; output < matrix.outputs; output++)
    for (const [at, index] of held.entries())
      columns[output * held.length + at] = scale((constants[at] ?? 0) * matrix.sum(output, index), output);
  const { dataType, dims } = weights.tensor;
  const tensor = Tensor.fromNumbers(dataType, [matrix.outputs, held.length, ...dims.slice(2).fill(1)], columns);
  const { outputs } = editor.addNode(
    {
      opType: 'Conv',
      name: editor.graph.freshNodeName(`${node.label}_gated`),
      origin: { kind: 'compensation', reader: node },
      inputs: [gate, editor.addInitializer(`${direct.name}_gated_weight`, tensor)],
      outputs: [`${direct.name}_gated`],
      attributes: { kernel_shape: { kind: 'ints', value: dims.slice(2).fill(1) } },
    },
    node,
  );
  const [share] = outputs;
  if (share === undefined) throw new Error('a Conv has one output');
  const name = editor.graph.freshNodeName(`${node.label}_add_gated`);
  const target = normalization?.outputs[0] ?? direct;
  editor.insertAfter(target, { opType: 'Add', name, inputs: (inner) => [inner, share] });
}

function scaleOf(node: Node, { nodeOf }: Facts): (value: number, output: number) => number {
  const parameter = (index: number) => nodeOf.get(node)?.site.constant(index)?.numbers() ?? [];
  const [scale, variance] = [parameter(NORMALIZATION_INPUTS.scale), parameter(NORMALIZATION_INPUTS.variance)];
  const epsilon = epsilonOf(node);
  return (value, output) =>
    normalizationScales(value, { scale: scale[output] ?? 0, variance: variance[output] ?? 1, epsilon });
}
