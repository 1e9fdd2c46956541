/** Functions of one element, and the activations that have parameters. */
import { isNumber, type Known, type Relation } from './axes.js';
import { clipBounds } from './attributes.js';
import { asked, broadcast, broadcastExtents } from './broadcast.js';
import { MICROSOFT } from './domains.js';
import type { Operator } from './operator.js';
import type { Site } from './site.js';

/** Its result is its operand, or the operand with another sign. */
function choosing(type: string, choice: (x: number) => number): Operator {
  return {
    type,
    axes: (site) => broadcast(site, 1, ([x]) => (isNumber(x) ? choice(x) : undefined)),
    resultExtents: broadcastExtents,
  };
}

/** ONNX Sigmoid-13, Exp-13, …: what it makes of a number is the runtime's own. */
function smooth(type: string): Operator {
  return { type, axes: (site) => asked(broadcast(site, 1)), resultExtents: broadcastExtents };
}

/** Floor-13, Sign-13, …: where its operand is not known to the last digit, neither is its result. */
function jumping(type: string): Operator {
  return { type, axes: (site) => asked(broadcast(site, 1), { jumps: true }), resultExtents: broadcastExtents };
}

/** com.microsoft: a function of x and a bias [C] that is added to it first, and may be left out. */
function biased(type: string): Operator {
  return { type, domain: MICROSOFT, axes: (site) => asked(broadcast(site, 2)) };
}

/** Bounds that are not constant leave the result unknown. */
function clip(site: Site): Relation | undefined {
  const bounds = clipBounds(site);
  return broadcast(site, 1, ([x]) =>
    isNumber(x) && bounds !== undefined ? Math.min(bounds.high, Math.max(bounds.low, x)) : undefined,
  );
}

/** Without a slope what is not negative stays as it is. */
function prelu([x]: readonly Known[]): number | undefined {
  return isNumber(x) && x >= 0 ? x : undefined;
}

/** A module has one slope per channel, the operand as many axes as it takes to broadcast them. */
function slopeAxes(dims: readonly number[]): readonly number[] {
  const axes = dims.map((_, axis) => axis);
  const wide = axes.filter((axis) => dims[axis] !== 1);
  return axes.length < 2 || wide.length > 1 ? axes : [wide[0] ?? 0];
}

const SMOOTH =
  'LeakyRelu Sigmoid HardSigmoid HardSwish Tanh Elu Celu Selu Softplus Softsign Mish Swish Gelu Erf Exp Log Sqrt Reciprocal ' +
  'Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh';

const JUMPING = 'Floor Ceil Round Sign Shrink ThresholdedRelu IsNaN IsInf Not BitwiseNot';

export const activations: readonly Operator[] = [
  choosing('Relu', (x) => Math.max(0, x)),
  choosing('Abs', Math.abs),
  { ...choosing('Neg', (x) => -x), keepsZeros: 'first' },
  ...SMOOTH.split(' ').map(smooth),
  ...JUMPING.split(' ').map(jumping),
  { ...smooth('Gelu'), domain: MICROSOFT },
  { ...smooth('QuickGelu'), domain: MICROSOFT },
  biased('BiasGelu'),
  biased('FastGelu'),
  { type: 'Clip', axes: clip, resultExtents: ({ extents }) => extents(0) },
  {
    type: 'PRelu',
    axes: (site) => asked(broadcast(site, 2, prelu)),
    parameters: [undefined, 'weight'],
    parameterAxes: slopeAxes,
  },
];
