/** Operators that compute each element from the elements at the same place, with NumPy broadcasting. */
import type { Dim } from '../ir/graph.js';
import { erf } from './erf.js';
import { input, isNumber, type Known, type Link, type OpRow, output, type Relation, type Site } from './relation.js';

/** ONNX Relu-14, Sigmoid-13, …: the scalar function in double; the analysis rounds to the tensor's dtype. */
function unary(op: string, scalar?: (x: number, site: Site) => number): OpRow {
  return {
    op,
    relate: (site) => broadcast(site, 1, scalar && (([x]) => (isNumber(x) ? scalar(x, site) : undefined))),
  };
}

function binary(op: string, scalar: (a: number, b: number) => number): OpRow {
  return {
    op,
    relate: (site) => broadcast(site, 2, ([a, b]) => (isNumber(a) && isNumber(b) ? scalar(a, b) : undefined)),
  };
}

/**
 * Links each operand axis with the output axis it is aligned to. An operand axis of extent 1 that is stretched is not
 * linked. One of unknown extent is: it has no positions, which pins the other side, whatever else is linked to that.
 */
export function broadcast(
  site: Site,
  operands: number,
  constant?: (operands: readonly Known[]) => number | undefined,
): Relation | undefined {
  const out = site.outDims(0);
  if (out === undefined) return undefined;
  const links: Link[] = [];
  for (let index = 0; index < operands; index++) {
    if (site.node.inputs[index] === undefined) continue;
    const dims = site.inDims(index) ?? site.constant(index)?.dims;
    if (dims === undefined || dims.length > out.length) return undefined;
    for (const [axis, dim] of dims.entries()) {
      const outAxis = out.length - dims.length + axis;
      if (operands === 1 || typeof dim !== 'number' || sameExtent(dim, out[outAxis]))
        links.push({ from: input(index, axis), to: output(0, outAxis) });
    }
  }
  return constant === undefined ? { kind: 'pointwise', links } : { kind: 'pointwise', links, constant };
}

function sameExtent(dim: Dim, out: Dim | undefined): boolean {
  return typeof dim === 'number' && dim === out;
}

/** Mul: a constant zero makes the product zero whatever the other factor is (finite activations). */
function multiply([a, b]: readonly Known[]): number | undefined {
  if (a === 0 || b === 0) return 0;
  return isNumber(a) && isNumber(b) ? a * b : undefined;
}

function variadic(op: string, combine: (values: readonly number[]) => number): OpRow {
  return {
    op,
    relate: (site) =>
      broadcast(site, site.node.inputs.length, (operands) =>
        operands.every(isNumber) ? combine(operands) : undefined,
      ),
  };
}

/** Clip-6 has its bounds as attributes, Clip-11 as scalar inputs; bounds that are not constant leave the result unknown. */
function clip(site: Site): Relation | undefined {
  const bound = (index: number, attribute: string, otherwise: number): number | undefined => {
    if (site.opset < 11) return site.node.float(attribute, otherwise);
    if (site.node.inputs[index] === undefined) return otherwise;
    return site.constant(index)?.numbers()[0];
  };
  const low = bound(1, 'min', Number.NEGATIVE_INFINITY);
  const high = bound(2, 'max', Number.POSITIVE_INFINITY);
  return broadcast(site, 1, ([x]) =>
    isNumber(x) && low !== undefined && high !== undefined ? Math.min(high, Math.max(low, x)) : undefined,
  );
}

/** Dropout and its training switch: identity unless training_mode (opset 12) may be true. */
function dropout(site: Site): Relation | undefined {
  const mode = site.node.inputs[2] === undefined ? 0 : site.constant(2)?.numbers()[0];
  if (mode !== 0 || site.node.outputs[1] !== undefined) return undefined;
  return broadcast(site, 1, ([x]) => x ?? undefined);
}

/** Where-9: a condition that is the same everywhere decides; otherwise both sides must agree. */
function where([condition, x, y]: readonly Known[]): number | undefined {
  const chosen = isNumber(condition) ? (condition === 0 ? y : x) : x === y ? x : undefined;
  return chosen ?? undefined;
}

function prelu([x, slope]: readonly Known[]): number | undefined {
  if (!isNumber(x) || x >= 0) return x ?? undefined;
  return isNumber(slope) ? x * slope : undefined;
}

/** Gelu-20: by the error function, or by the hyperbolic tangent. */
function gelu(x: number, { node }: Site): number {
  if (node.string('approximate', 'none') !== 'tanh') return 0.5 * x * (1 + erf(x / Math.SQRT2));
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

const identity = (x: number) => x;
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

export const elementwiseRows: readonly OpRow[] = [
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
  unary('Neg', (x) => -x),
  unary('Abs', Math.abs),
  unary('Exp', Math.exp),
  unary('Sqrt', Math.sqrt),
  unary('Reciprocal', (x) => 1 / x),
  unary('Erf', erf),
  unary('Gelu', gelu),
  unary('Identity', identity),
  // Without a scalar function a constant channel is simply not followed any further.
  unary('Cast'),
  unary('CastLike'),
  { op: 'Clip', relate: clip },
  { op: 'Dropout', relate: dropout },
  binary('Add', (a, b) => a + b),
  binary('Sub', (a, b) => a - b),
  binary('Div', (a, b) => a / b),
  { op: 'Mul', relate: (site) => broadcast(site, 2, multiply) },
  { op: 'PRelu', relate: (site) => broadcast(site, 2, prelu) },
  { op: 'Where', relate: (site) => broadcast(site, 3, where) },
  variadic('Sum', (values) => values.reduce((total, value) => total + value, 0)),
  variadic('Max', (values) => Math.max(...values)),
  variadic('Min', (values) => Math.min(...values)),
];
