/**
 * Layout-preserving operators: pools, sums, Concat and others that also exist in the blocked
 * layout. They win nothing themselves, but save the moves between sparse layers. Each operator has
 * a row: what the node becomes, or undefined where it must stay dense.
 */
import { ExtentKeys } from '../../src/graph-info/extent-keys.js';
import type { GraphInfo } from '../../src/graph-info/graph-info.js';
import type { AttributeValue, Node, Value } from '../../src/ir/graph.js';
import { Window } from '../../src/ops/attributes.js';
import { isDoubtfulWindow } from '../../src/ops/pool.js';
import { type Activation, activationAfter, activationOf } from './activations.js';
import { int, ints } from './attributes.js';
import { isImage } from './candidates.js';
import { padsOf } from './padding.js';

export interface LayoutOp {
  readonly kind: 'layout-op';
  /** The operator, and an activation fused into it. */
  readonly nodes: readonly [Node, ...Node[]];
  readonly opType: string;
  /** Operands in the blocked layout; they come first. */
  readonly blocked: readonly Value[];
  /** Operands in the plain layout. */
  readonly plain: readonly Value[];
  readonly output: Value;
  readonly isOutputBlocked: boolean;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly activation: Activation | undefined;
}

type Form = Pick<LayoutOp, 'opType'> & Partial<LayoutOp>;
type Row = (node: Node, graphInfo: GraphInfo) => Form | undefined;

const ROWS: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['MaxPool', (node, graphInfo) => (node.outputs.length === 1 ? pool('MaxPool', node, graphInfo) : undefined)],
  ['AveragePool', averagePool],
  ['GlobalAveragePool', () => ({ opType: 'GlobalAveragePool', isOutputBlocked: false })],
  ['ReduceMean', reduceMean],
  ['Add', (node, graphInfo) => (areAlike(node, graphInfo) ? { opType: 'Add', activation: NONE } : undefined)],
  ['Mul', product],
  ['Concat', (node) => ([1, -3].includes(node.int('axis', 0)) ? { opType: 'Concat' } : undefined)],
  ['Resize', resize],
  ...['Relu', 'LeakyRelu', 'Clip', 'Sigmoid', 'Tanh', 'HardSigmoid', 'HardSwish', 'Gelu'].map(
    (opType): [string, Row] => [opType, activate],
  ),
]);

const NONE: Activation = { name: 'None' };

/**
 * What a node becomes in the blocked layout; undefined for nodes that are part of another operator.
 */
export function layoutOpAt(node: Node, graphInfo: GraphInfo, taken: ReadonlySet<Node>): LayoutOp | undefined {
  const form = node.domain === '' && !taken.has(node) ? ROWS.get(node.opType)?.(node, graphInfo) : undefined;
  const [output] = node.outputs;
  if (form === undefined || output === undefined) return undefined;
  const blocked = form.blocked ?? node.inputs.filter((value) => value !== undefined);
  if (blocked.length === 0 || !blocked.every((value) => isImage(value, graphInfo))) return undefined;
  const op: LayoutOp = {
    kind: 'layout-op',
    nodes: [node],
    plain: [],
    isOutputBlocked: true,
    attributes: {},
    activation: undefined,
    ...form,
    blocked,
    output,
  };
  return form.activation === NONE ? withActivation(op, graphInfo, taken) : op;
}

/** Sums and products apply an activation before they store the result. */
function withActivation(op: LayoutOp, graphInfo: GraphInfo, taken: ReadonlySet<Node>): LayoutOp {
  const found = activationAfter(op.output, graphInfo);
  const output = found?.nodes.at(-1)?.outputs[0];
  if (found === undefined || output === undefined) return op;
  if (found.nodes.some((node) => taken.has(node))) return op;
  return { ...op, nodes: [op.nodes[0], ...found.nodes], activation: found.activation, output };
}

const PLANE = [2, 3];

/** A pool with explicit padding. */
function pool(opType: string, node: Node, { shapes }: GraphInfo): Form | undefined {
  const window = new Window(node);
  const image = shapes.of(node.inputs[0]);
  const pads = padsOf(window, image);
  const axes = [window.along(0), window.along(1)];
  if (node.int('storage_order', 0) !== 0 || window.kernel?.length !== 2 || pads === undefined) return undefined;
  if (pads.some((pad, side) => pad >= (window.kernel?.[side % 2] ?? 0))) return undefined;
  // With a large enough stride ONNX Runtime computes a result even where the image is smaller than
  // the window. Such a pool stays dense.
  const isLargeEnough = axes.every((_, axis) => {
    const extent = image?.[axis + 2];
    const padded = (typeof extent === 'number' ? extent : 1) + (pads[axis] ?? 0) + (pads[axis + 2] ?? 0);
    return padded >= window.reach(axis, 1);
  });
  if (!isLargeEnough) return undefined;
  // With strides of 1 there is nothing to round.
  const roundsUp = window.roundsUp && axes.some(({ stride }) => stride !== 1);
  if (axes.some((_, axis) => isDoubtfulWindow(node, axis)) || (roundsUp && pads.some((pad) => pad !== 0)))
    return undefined;
  return {
    opType,
    attributes: {
      kernel_shape: ints(window.kernel),
      strides: ints(axes.map(({ stride }) => stride)),
      dilations: ints(axes.map(({ dilation }) => dilation)),
      pads: ints(pads),
      ceil_mode: int(roundsUp ? 1 : 0),
    },
  };
}

function averagePool(node: Node, graphInfo: GraphInfo): Form | undefined {
  const form = pool('AveragePool', node, graphInfo);
  const { isDilated, roundsUp } = new Window(node);
  const padding = node.int('count_include_pad', 0);
  // The divisor of a window that hangs over the image then depends on the version of ONNX Runtime.
  const isUncertain = padding !== 0 && roundsUp;
  if (form === undefined || isDilated || isUncertain) return undefined;
  return { ...form, attributes: { ...form.attributes, count_include_pad: int(padding) } };
}

/** A mean over height and width, as newer exporters write GlobalAveragePool. */
function reduceMean(node: Node, { constants }: GraphInfo): Form | undefined {
  const [x, listed] = node.inputs;
  const axes = node.ints('axes') ?? [...(constants.tensor(listed)?.numbers() ?? [])];
  const reduced = axes.map((axis) => (axis < 0 ? axis + 4 : axis)).toSorted((a, b) => a - b);
  if (x === undefined || String(reduced) !== String(PLANE)) return undefined;
  const attributes = { keepdims: int(node.int('keepdims', 1)) };
  return { opType: 'GlobalAveragePool', isOutputBlocked: false, blocked: [x], attributes };
}

/** Whether both operands surely have one shape. The native operators do not broadcast. */
function areAlike({ inputs: [a, b] }: Node, graphInfo: GraphInfo): boolean {
  return a !== undefined && b !== undefined && new ExtentKeys(graphInfo).sameExtents(a, b);
}

/** A product with another image, or with a factor [N, C, 1, 1] (squeeze and excitation). */
function product(node: Node, graphInfo: GraphInfo): Form | undefined {
  if (areAlike(node, graphInfo)) return { opType: 'Mul', activation: NONE };
  const { shapes } = graphInfo;
  const [a, b] = node.inputs;
  if (a === undefined || b === undefined) return undefined;
  const isOne = (value: Value) => PLANE.every((axis) => shapes.of(value)?.[axis] === 1);
  const [x, factors] = isOne(a) ? [b, a] : [a, b];
  const keys = new ExtentKeys(graphInfo);
  const isFit = [0, 1].every((axis) => keys.key(x, axis) === keys.key(factors, axis));
  if (!isOne(factors) || !isImage(factors, graphInfo) || !isFit) return undefined;
  return { opType: 'Scale', blocked: [x], plain: [factors], activation: NONE };
}

/** Nearest Resize to twice the height and width. */
function resize(node: Node, { shapes, constants }: GraphInfo): Form | undefined {
  const [x, , scales, sizes] = node.inputs;
  const coordinates = `${node.string('coordinate_transformation_mode', 'half_pixel')} ${node.string('nearest_mode', 'round_prefer_floor')}`;
  const isRepeated = ['asymmetric floor', 'half_pixel round_prefer_floor', 'half_pixel round_prefer_ceil'].includes(
    coordinates,
  );
  if (x === undefined || node.string('mode', 'nearest') !== 'nearest' || !isRepeated) return undefined;
  if (node.ints('axes') !== undefined || node.string('keep_aspect_ratio_policy', 'stretch') !== 'stretch')
    return undefined;
  const before = shapes.of(x) ?? [];
  const given = scales === undefined ? [] : [...(constants.tensor(scales)?.numbers() ?? [])];
  const wanted = sizes === undefined ? [] : [...(constants.tensor(sizes)?.numbers() ?? [])];
  const byScales = String(given) === '1,1,2,2';
  const bySizes =
    wanted.length === 4 && wanted.every((size, axis) => size === Number(before[axis]) * (axis < 2 ? 1 : 2));
  return byScales || bySizes ? { opType: 'Upsample', blocked: [x] } : undefined;
}

/** An activation that is not fused into a layer, because its input has other readers too. */
function activate(node: Node, graphInfo: GraphInfo): Form | undefined {
  const [x] = node.inputs;
  const activation = activationOf(node, graphInfo);
  return x === undefined || activation === undefined ? undefined : { opType: 'Activate', blocked: [x], activation };
}
