/** Functions of one element, and the activations that have parameters. */
import { isNumber, type Known, type Relation } from './axes.js';
import { clipBounds } from './attributes.js';
import { broadcast } from './broadcast.js';
import { erf } from './erf.js';
import type { Operator } from './operator.js';
import type { Site } from './site.js';

/**
 * ONNX Relu-14, Sigmoid-13, …: the scalar function in double; the analysis rounds to the tensor's
 * dtype.
 */
function unary(type: string, scalar: (x: number, site: Site) => number): Operator {
  return {
    type,
    axes: (site) => broadcast(site, 1, ([x]) => (isNumber(x) ? scalar(x, site) : undefined)),
  };
}

/** Bounds that are not constant leave the result unknown. */
function clip(site: Site): Relation | undefined {
  const bounds = clipBounds(site);
  return broadcast(site, 1, ([x]) =>
    isNumber(x) && bounds !== undefined ? Math.min(bounds.high, Math.max(bounds.low, x)) : undefined,
  );
}

function prelu([x, slope]: readonly Known[]): number | undefined {
  if (!isNumber(x) || x >= 0) return x ?? undefined;
  return isNumber(slope) ? x * slope : undefined;
}

/** A module has one slope per channel, the operand as many axes as it takes to broadcast them. */
function slopeAxes(dims: readonly number[]): readonly number[] {
  const axes = dims.map((_, axis) => axis);
  const wide = axes.filter((axis) => dims[axis] !== 1);
  return axes.length < 2 || wide.length > 1 ? axes : [wide[0] ?? 0];
}

/** Gelu-20: by the error function, or by the hyperbolic tangent. */
function gelu(x: number, { node }: Site): number {
  if (node.string('approximate', 'none') !== 'tanh') return 0.5 * x * (1 + erf(x / Math.SQRT2));
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

export const activations: readonly Operator[] = [
  unary('Relu', (x) => Math.max(0, x)),
  unary('LeakyRelu', (x, { node }) => (x < 0 ? node.float('alpha', 0.01) * x : x)),
  unary('Sigmoid', sigmoid),
  unary('HardSigmoid', (x, { node }) =>
    Math.max(0, Math.min(1, node.float('alpha', 0.2) * x + node.float('beta', 0.5))),
  ),
  unary('HardSwish', (x) => x * Math.max(0, Math.min(1, x / 6 + 0.5))),
  unary('Tanh', Math.tanh),
  unary('Elu', (x, { node }) => (x < 0 ? node.float('alpha', 1) * Math.expm1(x) : x)),
  unary('Softplus', (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  { ...unary('Neg', (x) => -x), keepsZeros: 'first' },
  unary('Abs', Math.abs),
  unary('Exp', Math.exp),
  unary('Sqrt', Math.sqrt),
  unary('Reciprocal', (x) => 1 / x),
  unary('Erf', erf),
  unary('Gelu', gelu),
  { type: 'Clip', axes: clip },
  {
    type: 'PRelu',
    axes: (site) => broadcast(site, 2, prelu),
    parameters: [undefined, 'weight'],
    parameterAxes: slopeAxes,
  },
];
