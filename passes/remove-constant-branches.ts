/**
 * remove-constant-branches: a branch that is added to another one but holds one constant per
 * channel goes.
 *
 *   x ----------------- Add -> y          x -> y                       (all constants 0)
 *   x -> Conv -> Conv -/             =>   x -> Add([C, 1, 1]) -> y     (else; into the bias of what makes x, where it can)
 *
 * Exact? To rounding: the constants are what the branch computes for every input. Declines when a
 * channel of the branch varies, when x has not the full shape of y, and when y is all constant.
 * Cost: none; a whole branch stops running.
 */
import { channelAxis } from '../src/channels/channel-axis.js';
import type { AnalyzedNode } from '../src/channels/analyzed-node.js';
import type { Facts } from '../src/channels/facts.js';
import { ExtentKeys } from '../src/graph-info/extent-keys.js';
import { type Axis, isOperand } from '../src/channels/positions.js';
import type { Editor } from '../src/ir/editor.js';
import type { Value } from '../src/ir/graph.js';
import { isFloating, Tensor } from '../src/ir/tensor.js';
import { codingOf } from '../src/ops/coding.js';
import { type Pass, UNCHANGED } from './pass.js';

interface ConstantBranch {
  readonly at: AnalyzedNode;
  readonly liveIndex: number;
  /** One for each index of the axis. */
  readonly constants: Float64Array;
  readonly axis: number;
  /** Axes after it, for broadcasting. */
  readonly trailing: number;
  readonly dataType: number;
}

export const removeConstantBranches: Pass = {
  name: 'remove-constant-branches',
  summary: 'drop added branches that hold one constant per channel',
  exactness: 'rounding',
  async run({ editor, facts: analyzed }) {
    const facts = await analyzed();
    const keys = new ExtentKeys(facts.graphInfo);
    const branches = facts.nodes.flatMap((at) => findBranch(at, facts, keys) ?? []);
    if (branches.length === 0) return UNCHANGED;
    const changed = editor.transaction('remove constant branches', () => {
      for (const branch of branches) removeBranch(editor, branch);
    });
    const remarks = branches.map(({ at, constants }) => ({
      kind: 'applied' as const,
      node: at.node.label,
      message: `one operand is constant in each of its ${constants.length} channels: its branch was removed`,
    }));
    return { changed, gains: changed, remarks };
  },
};

function findBranch(at: AnalyzedNode, facts: Facts, keys: ExtentKeys): ConstantBranch | undefined {
  const { node } = at;
  if (!['Add', 'Sum'].includes(node.opType) || node.domain !== '' || node.inputs.length !== 2) return undefined;
  for (const [constantIndex, liveIndex] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const slot = at.inSlots[constantIndex];
    const live = at.inSlots[liveIndex];
    if (slot === undefined || live === undefined || isOperand(slot) || isOperand(live) || slot === live) continue;
    if (slot.producer === undefined) continue;
    // Sums of codes are rounded as one kernel does it, and a sum with a constant as none does.
    if ([slot, live].some((value) => codingOf(value, 0) !== undefined)) continue;
    const found = constantAxis(slot, at, facts);
    const out = at.site.outDims(0);
    if (found === undefined || out === undefined || !hasFullShape(live, slot, at, keys)) continue;
    const { constants, axis } = found;
    if (allConstant(live, axis, facts)) continue;
    const dataType = floatTypeNear(at);
    if (dataType === undefined) continue;
    return { at, liveIndex, constants, axis, trailing: out.length - axis - 1, dataType };
  }
  return undefined;
}

/**
 * The axis whose every index is one scalar, or is not needed after the Add: that of the channels
 * where a layer made the value.
 */
function constantAxis(
  value: Value,
  at: AnalyzedNode,
  facts: Facts,
): { constants: Float64Array; axis: number } | undefined {
  const axes = facts.positions.axesOf(value);
  if (axes.length < 2) return undefined;
  const first = value.producer === undefined ? undefined : channelAxis(value.producer, facts);
  for (const axis of new Set([first, ...axes])) {
    const constants = axis === undefined || axis.slot !== value ? undefined : constantsAlong(axis, at, facts);
    if (axis !== undefined && constants !== undefined) return { constants, axis: axis.axis };
  }
  return undefined;
}

function constantsAlong(
  axis: Axis,
  at: AnalyzedNode,
  { constant, needed, positions }: Facts,
): Float64Array | undefined {
  const [output] = at.node.outputs;
  const outAxes = output === undefined ? [] : positions.axesOf(output);
  // A branch of fewer axes is stretched: its axes are not those of the same number.
  if (outAxes.length !== positions.axesOf(axis.slot).length) return undefined;
  const out = outAxes[axis.axis];
  if (out === undefined || out.extent !== axis.extent) return undefined;
  const values = constant.slice(axis.base, axis.base + axis.extent);
  for (const [index, value] of values.entries()) {
    if (!Number.isNaN(value)) continue;
    if (needed[out.base + index] === 1) return undefined;
    values[index] = 0;
  }
  return values;
}

/**
 * Whether `live` alone has the output's whole shape, so that nothing changes by broadcasting
 * without `other`.
 */
function hasFullShape(live: Value, other: Value, { site, node }: AnalyzedNode, keys: ExtentKeys): boolean {
  const dims = site.inDims(node.inputs.indexOf(live));
  const out = site.outDims(0);
  if (dims === undefined || out === undefined || dims.length !== out.length) return false;
  return dims.every((dim, axis) => dim === out[axis] && dim !== '') || keys.sameExtents(live, other);
}

function allConstant(value: Value, axis: number, { positions, constant }: Facts): boolean {
  const channel = positions.axesOf(value)[axis];
  return channel !== undefined && !constant.slice(channel.base, channel.base + channel.extent).some(Number.isNaN);
}

/** The dtype of the data: that of any floating weight on the way back from the Add. */
function floatTypeNear({ node }: AnalyzedNode): number | undefined {
  const pending = node.inputs.map((value) => value?.producer);
  const seen = new Set<unknown>();
  for (let at = pending.shift(); at !== undefined || pending.length > 0; at = pending.shift()) {
    if (at === undefined || seen.has(at)) continue;
    seen.add(at);
    for (const value of at.inputs) {
      if (value?.initializer !== undefined && isFloating(value.initializer.dataType)) return value.initializer.dataType;
      pending.push(value?.producer);
    }
  }
  return undefined;
}

function removeBranch(editor: Editor, { at, liveIndex, constants, axis, trailing, dataType }: ConstantBranch): void {
  const { node } = at;
  const [output] = node.outputs;
  // Read now: an earlier branch of this run may have replaced it.
  const live = node.inputs[liveIndex];
  if (output === undefined || live === undefined) return;
  const isZero = constants.every((value) => value === 0);
  const isReplaceable = !output.isSeenOutside;
  // The bias is changed only where the Add goes: else the constants would count twice.
  const hasBias = isReplaceable && !isZero && axis === BIAS_AXIS;
  const isInBias = hasBias && addToProducerBias(editor, live, constants);
  if (isReplaceable && (isZero || isInBias)) {
    editor.replaceAllUsesWith(output, live);
    editor.removeNode(node);
    return;
  }
  const dims = [constants.length, ...Array.from({ length: trailing }, () => 1)];
  const operand = editor.addInitializer(`${output.name}_constants`, Tensor.fromNumbers(dataType, dims, constants));
  editor.setInput(node, 1 - liveIndex, operand);
}

/** Of a convolution and a normalisation. */
const BIAS_AXIS = 1;

/** Into the bias of the convolution or normalisation that makes x, when only this Add reads x. */
function addToProducerBias(editor: Editor, live: Value, constants: Float64Array): boolean {
  const { producer } = live;
  if (producer === undefined || !live.hasSingleUse || !['Conv', 'BatchNormalization'].includes(producer.opType))
    return false;
  const bias = producer.inputs[2]?.initializer;
  if (bias === undefined || bias.size !== constants.length) return false;
  const sums = Float64Array.from(bias.numbers(), (value, index) => value + (constants[index] ?? 0));
  editor.rewriteOperand(
    { node: producer, index: 2 },
    editor.addInitializer(producer.inputs[2]?.name ?? 'bias', Tensor.fromNumbers(bias.dataType, bias.dims, sums)),
  );
  return true;
}
