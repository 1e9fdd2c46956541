/**
 * Operators between sparse layers that exist in their layout as well: pools, sums, joining and so on. They gain nothing by themselves,
 * but data that stays in the layout need not be moved. One row per operator: what it becomes, or undefined where it must stay dense.
 */
import { ExtentKeys } from '../../src/graph-info/extent-keys.js';
import type { GraphInfo } from '../../src/graph-info/graph-info.js';
import type { AttributeValue, Node, Value } from '../../src/ir/graph.js';
import { isDoubtfulWindow } from '../../src/ops/pool.js';
import { type Activation, activationBehind, activationOf } from './activations.js';
import { int, ints } from './attributes.js';
import { isImage } from './layers.js';
import { padsOf } from './padding.js';

export interface Rider {
  readonly kind: 'rider';
  /** The operator, and an activation behind it. */
  readonly nodes: readonly [Node, ...Node[]];
  readonly opType: string;
  /** Operands wanted in the internal layout. */
  readonly inside: readonly Value[];
  /** Operands as they are, behind the others. */
  readonly plain: readonly Value[];
  readonly output: Value;
  /** Whether the result is in the internal layout. */
  readonly isInside: boolean;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly activation: Activation | undefined;
}

type Form = Pick<Rider, 'opType'> & Partial<Rider>;
type Row = (node: Node, graphInfo: GraphInfo) => Form | undefined;

const ROWS: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['MaxPool', (node, graphInfo) => (node.outputs.length === 1 ? pool('MaxPool', node, graphInfo) : undefined)],
  ['AveragePool', averagePool],
  ['GlobalAveragePool', () => ({ opType: 'GlobalAveragePool', isInside: false })],
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

/** What a node becomes in the layout; never one that is part of something else already. */
export function riderAt(node: Node, graphInfo: GraphInfo, taken: ReadonlySet<Node>): Rider | undefined {
  const form = node.domain === '' && !taken.has(node) ? ROWS.get(node.opType)?.(node, graphInfo) : undefined;
  const [output] = node.outputs;
  if (form === undefined || output === undefined) return undefined;
  const inside = form.inside ?? node.inputs.filter((value) => value !== undefined);
  if (inside.length === 0 || !inside.every((value) => isImage(value, graphInfo))) return undefined;
  const rider: Rider = {
    kind: 'rider',
    nodes: [node],
    plain: [],
    isInside: true,
    attributes: {},
    activation: undefined,
    ...form,
    inside,
    output,
  };
  return form.activation === NONE ? withActivation(rider, graphInfo, taken) : rider;
}

/** Sums and products do an activation on the way. */
function withActivation(rider: Rider, graphInfo: GraphInfo, taken: ReadonlySet<Node>): Rider {
  const found = activationBehind(rider.output, graphInfo);
  const output = found?.nodes.at(-1)?.outputs[0];
  if (found === undefined || output === undefined) return rider;
  if (found.nodes.some((node) => taken.has(node))) return rider;
  return { ...rider, nodes: [rider.nodes[0], ...found.nodes], activation: found.activation, output };
}

const PLANE = [2, 3];

/** Windows with the padding written down. */
function pool(opType: string, node: Node, { shapes }: GraphInfo): Form | undefined {
  const kernel = node.ints('kernel_shape') ?? [];
  const pads = padsOf(node, kernel, shapes.of(node.inputs[0]));
  const strides = node.ints('strides') ?? [1, 1];
  const dilations = node.ints('dilations') ?? [1, 1];
  if (node.int('storage_order', 0) !== 0 || kernel.length !== 2 || pads === undefined) return undefined;
  if (pads.some((pad, side) => pad >= (kernel[side % 2] ?? 0))) return undefined;
  // Of an image smaller than the window ONNX Runtime makes a result all the same, where the stride is large enough: never here.
  const isLargeEnough = kernel.every((extent, axis) => {
    const least = shapes.of(node.inputs[0])?.[axis + 2];
    const padded = (typeof least === 'number' ? least : 1) + (pads[axis] ?? 0) + (pads[axis + 2] ?? 0);
    return padded > (extent - 1) * (dilations[axis] ?? 1);
  });
  if (!isLargeEnough) return undefined;
  // Without strides every window that fits counts anyway.
  const ceil = strides.every((stride) => stride === 1) ? 0 : node.int('ceil_mode', 0);
  if (kernel.some((_, axis) => isDoubtfulWindow(node, axis)) || (ceil !== 0 && pads.some((pad) => pad !== 0)))
    return undefined;
  return {
    opType,
    attributes: {
      kernel_shape: ints(kernel),
      strides: ints(strides),
      dilations: ints(dilations),
      pads: ints(pads),
      ceil_mode: int(ceil),
    },
  };
}

function averagePool(node: Node, graphInfo: GraphInfo): Form | undefined {
  const form = pool('AveragePool', node, graphInfo);
  const isDilated = node.ints('dilations')?.some((dilation) => dilation !== 1) === true;
  const padding = node.int('count_include_pad', 0);
  // What a window that hangs over the image is divided by then depends on the version of the runtime.
  const isUncertain = padding !== 0 && node.int('ceil_mode', 0) !== 0;
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
  return { opType: 'GlobalAveragePool', isInside: false, inside: [x], attributes };
}

/** Two operands of surely one shape: broadcasting is not the operator's business. */
function areAlike({ inputs: [a, b] }: Node, graphInfo: GraphInfo): boolean {
  return a !== undefined && b !== undefined && new ExtentKeys(graphInfo).sameExtents(a, b);
}

/** A product with another image, or with one factor per image and channel (squeeze and excitation). */
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
  return { opType: 'Scale', inside: [x], plain: [factors], activation: NONE };
}

/** Twice as high and wide, every pixel repeated. */
function resize(node: Node, { shapes, constants }: GraphInfo): Form | undefined {
  const [x, , scales, sizes] = node.inputs;
  const places = `${node.string('coordinate_transformation_mode', 'half_pixel')} ${node.string('nearest_mode', 'round_prefer_floor')}`;
  const isRepeated = ['asymmetric floor', 'half_pixel round_prefer_floor', 'half_pixel round_prefer_ceil'].includes(
    places,
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
  return byScales || bySizes ? { opType: 'Upsample', inside: [x] } : undefined;
}

/** An activation that is no part of a layer: what comes before has other readers too. */
function activate(node: Node, graphInfo: GraphInfo): Form | undefined {
  const [x] = node.inputs;
  const activation = activationOf(node, graphInfo);
  return x === undefined || activation === undefined ? undefined : { opType: 'Activate', inside: [x], activation };
}
