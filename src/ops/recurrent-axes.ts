/**
 * LSTM-7, GRU-7, RNN-7 and later, layout 0: which axes are hidden units.
 *
 *   X [steps, batch, inputs]   W [directions, gates * hidden, inputs]   R [directions, gates * hidden, hidden]
 *   B [directions, 2 * gates * hidden]   initial_h, initial_c [directions, batch, hidden]   P [directions, 3 * hidden]
 *   Y [steps, directions, batch, hidden]   Y_h, Y_c [directions, batch, hidden]
 *
 * A unit goes in all directions together. Its columns of R read it at the next step. It is 0 at
 * every step where it begins with 0 and what it takes in is tanh(0): its rows of that gate are 0 in
 * W, R and both halves of B.
 */
import { type AxisRef, type Link, link, type Relation } from './axes.js';
import type { Adjustment, Kept } from './operator.js';
import type { Site } from './site.js';

const X = 0;
const W = 1;
const R = 2;
const B = 3;
const INITIAL_H = 5;
const INITIAL_C = 6;
const P = 7;
const Y = 0;
const Y_H = 1;
const Y_C = 2;

/** `gates`: how many; `taken`: which of them takes in, in the operator's order. */
export function recurrentAxes(site: Site, gates: number, taken: number): Relation | undefined {
  const { node } = site;
  const [w, r] = [site.constant(W), site.constant(R)];
  const hidden = r?.dims[2];
  if (w === undefined || r === undefined || hidden === undefined || !isPlain(site)) return undefined;
  if ([B, P].some((index) => node.inputs[index] !== undefined && site.constant(index) === undefined)) return undefined;
  const outputs = [
    { index: Y, axis: 3 },
    { index: Y_H, axis: 2 },
    { index: Y_C, axis: 2 },
  ].filter(({ index }) => node.outputs[index] !== undefined);
  const ofRows = (index: number, axis: number, blocks: number) =>
    outputs.map((output) =>
      link({ index, axis }, output, {
        one: 'output',
        oneStart: 0,
        manyStart: 0,
        count: hidden,
        inner: 1,
        outer: blocks,
        period: hidden,
      }),
    );
  const same = (index: number, axis: number) => outputs.map((output) => link({ index, axis }, output));
  const isGiven = (index: number) => node.inputs[index] !== undefined;
  const states = [INITIAL_H, INITIAL_C].filter(isGiven).map((index) => ({ index, axis: 2 }));
  const links: Link[] = [
    ...ofRows(W, 1, gates),
    ...ofRows(R, 1, gates),
    ...same(R, 2),
    ...(isGiven(B) ? ofRows(B, 1, 2 * gates) : []),
    ...states.flatMap(({ index, axis }) => same(index, axis)),
    ...(isGiven(P) ? ofRows(P, 1, 3) : []),
  ];
  const columns: readonly AxisRef[] = [
    { index: X, axis: 2 },
    { index: W, axis: 2 },
  ];
  const zeros = keepsZero(site, gates) ? zeroUnits(site, hidden, gates, taken) : [];
  return {
    kind: 'pointwise',
    links,
    // Nothing follows from scalars, but zeros of the operands count.
    constant: () => undefined,
    sums: [columns],
    feedback: { outputs, weights: { index: R, axis: 2 }, states, zeros },
  };
}

/** Attributes that bound what makes 0 of 0, or say what activations do. */
const ODD = ['activation_alpha', 'activation_beta', 'clip'];

/** Activations that make 0 of 0, as ONNX Runtime compares names. */
const KEEPING_ZERO = new Set(['tanh', 'relu']);

/**
 * Whether what a unit takes in, and what it gives, is 0 where the sums are: PyTorch names the
 * activations of an RNN. The first of several is that of the gates.
 */
function keepsZero({ node }: Site, gates: number): boolean {
  const names = node.strings('activations');
  const perDirection = gates === 1 ? 1 : gates - 1;
  return (
    names?.every((name, at) => isOfGates(at % perDirection, gates) || KEEPING_ZERO.has(name.toLowerCase())) ?? true
  );
}

function isOfGates(at: number, gates: number): boolean {
  return gates > 1 && at === 0;
}

/** The batch first (layout 1): no kernel of ONNX Runtime computes. */
function isPlain({ node }: Site): boolean {
  return (
    !ODD.some((name) => node.attributes.has(name)) && node.int('layout', 0) === 0 && node.int('input_forget', 0) === 0
  );
}

/** Units of which all rows of the gate are 0, in every direction. */
function zeroUnits(site: Site, hidden: number, gates: number, taken: number): number[] {
  const [first = [], ...others] = zeroUnitsByDirection(site, hidden, gates, taken);
  return first.filter((unit) => others.every((units) => units.includes(unit)));
}

/** Units of which all rows of the gate are 0, per direction. */
export function zeroUnitsByDirection(site: Site, hidden: number, gates: number, taken: number): number[][] {
  const rows = [W, R, B].flatMap((index) => {
    const tensor = site.constant(index);
    if (tensor === undefined) return [];
    const halves = index === B ? [taken, gates + taken] : [taken];
    const perDirection = tensor.dims[1] ?? 0;
    const columns = index === B ? 1 : (tensor.dims[2] ?? 0);
    return [{ values: tensor.numbers(), halves, perDirection, columns }];
  });
  const isZero = (direction: number, unit: number) =>
    rows.every(({ values, halves, perDirection, columns }) =>
      halves.every((block) => {
        const start = (direction * perDirection + block * hidden + unit) * columns;
        return values.subarray(start, start + columns).every((value) => value === 0);
      }),
    );
  return Array.from({ length: site.constant(R)?.dims[0] ?? 0 }, (_, direction) =>
    Array.from({ length: hidden }, (_unit, unit) => unit).filter((unit) => isZero(direction, unit)),
  );
}

export function adjustHidden(_: Site, kept: Kept): readonly Adjustment[] {
  const units = kept.input({ index: R, axis: 2 });
  return units === undefined ? [] : [{ attribute: 'hidden_size', value: { kind: 'int', value: units.length } }];
}
