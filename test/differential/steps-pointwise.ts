/** Steps that keep the shape: activations, arithmetic on two values or on a value and a constant. */
import { type Input, scalar } from '../../fixtures/graph-builder.js';
import type { Step } from './random-graphs.js';
import { channelsOf, has, isImage, isStatic, product, sameDims, type Sketch, type Value } from './sketch.js';

type StepOf<Kind extends Step['kind']> = Extract<Step, { kind: Kind }>;
type ActivationOp = StepOf<'activation'>['op'];

const FLOAT = 1;
const DOUBLE = 11;

type Make = (s: Sketch, x: Value) => string | undefined;

const plain =
  (op: string, attributes: Readonly<Record<string, number>> = {}, since = 7): Make =>
  ({ g }, { name }) =>
    g.opset < since ? undefined : g.op(op, [name], attributes);

const forImages =
  (make: Make): Make =>
  (s, x) =>
    isImage(x) ? make(s, x) : undefined;

const parameter = (s: Sketch, x: Value): Input => ({ data: s.numbers(channelsOf(x)), dims: [channelsOf(x), 1, 1] });

const MAKERS: Readonly<Record<ActivationOp, Make>> = {
  Relu: plain('Relu'),
  LeakyRelu: plain('LeakyRelu', { alpha: 0.3 }),
  Clip0to6: ({ g }, { name }) => g.clip(name, 0, 6),
  ClipAbove: ({ g }, { name }) => g.clip(name, 0.25, 2),
  ClipBelow: ({ g }, { name }) => g.clip(name, -3, -0.5),
  Sigmoid: plain('Sigmoid'),
  HardSigmoid: plain('HardSigmoid', { alpha: 0.25, beta: 0.4 }),
  Tanh: plain('Tanh'),
  HardSwish: plain('HardSwish', {}, 14),
  Elu: plain('Elu', { alpha: 1.5 }),
  Softplus: plain('Softplus'),
  // Of a bounded value only: what grows without bound says nothing about rounding.
  Exp: ({ g }, { name }) => g.op('Exp', [g.clip(name, -3, 1.5)]),
  Abs: plain('Abs'),
  Neg: plain('Neg'),
  PRelu: forImages((s, x) => s.g.op('PRelu', [x.name, parameter(s, x)])),
  Identity: plain('Identity'),
  Dropout: plain('Dropout'),
  Erf: plain('Erf', {}, 9),
  CastToDouble: ({ g }, { name }) => g.op('Cast', [g.op('Abs', [g.op('Cast', [name], { to: DOUBLE })])], { to: FLOAT }),
  Softmax: ({ g }, { name, dims }) => g.op('Softmax', [name], { axis: dims[0].length - 1 }),
  SoftmaxChannels: plain('Softmax', { axis: 1 }),
  Celu: plain('Celu', { alpha: 1.2 }, 12),
  LRN: forImages(({ g }, { name }) => g.op('LRN', [name], { size: 3, alpha: 0.5, beta: 0.75, bias: 1 })),
  InstanceNormalization: forImages((s, x) => {
    const channels = channelsOf(x);
    return s.g.op('InstanceNormalization', [x.name, { data: s.numbers(channels) }, { data: s.numbers(channels) }], {
      epsilon: 0.5,
    });
  }),
  Where: forImages((s, x) => {
    if (s.g.opset < 9) return undefined;
    const condition = { data: Array.from(s.numbers(channelsOf(x)), (value) => value > 0), dims: [channelsOf(x), 1, 1] };
    return s.g.op('Where', [condition, x.name, parameter(s, x)]);
  }),
  Split: forImages(({ g }, x) => {
    const channels = channelsOf(x);
    const parts = channels < 2 ? undefined : g.split(x.name, [1, channels - 1]);
    return parts && g.concat(parts.toReversed());
  }),
};

export function activation(s: Sketch, { x, op }: StepOf<'activation'>): Value | undefined {
  const value = s.pick(x);
  const name = value && MAKERS[op](s, value);
  return value && name !== undefined ? s.keep({ name, dims: value.dims }) : undefined;
}

export function combine(s: Sketch, { xs, op }: StepOf<'combine'>): Value | undefined {
  const [first = 0, ...others] = xs;
  // The youngest value that has company, if any has.
  const base = s.pick(first, (value) => s.values.filter((other) => sameDims(value, other)).length > 1) ?? s.pick(first);
  if (base === undefined) return undefined;
  const fits = (value: Value) => sameDims(base, value);
  const partners = (others.length === 0 ? [1] : others).map((age) => s.pick(age + 1, fits) ?? base);
  const [partner = base] = partners;
  if (op === 'Sum')
    return s.keep({
      name: s.g.op(
        'Sum',
        [base, ...(xs.length === 1 ? [] : partners)].map(({ name }) => name),
      ),
      dims: base.dims,
    });
  // Divisors between 1/2 and 3/2.
  const second = op === 'Div' ? s.g.add(s.g.op('Sigmoid', [partner.name]), scalar(0.5)) : partner.name;
  return s.keep({ name: s.g.op(op, [base.name, second]), dims: base.dims });
}

export function scale(s: Sketch, step: StepOf<'scale'>): Value | undefined {
  const x = s.pick(step.x, (value) => isImage(value) && (step.form !== 'whole' || isStatic(value)));
  if (x === undefined) return undefined;
  const channels = channelsOf(x);
  const dims = { channels: [channels, 1, 1], batched: [1, channels, 1, 1], scalar: [], whole: x.dims[0] }[step.form];
  const behind = product(dims.slice(dims.length - 2));
  const dividend = step.op === 'Div' && !step.first;
  const data = s.numbers(product(dims)).map((value, index) => {
    if (dividend) return value + 1.5 * Math.sign(value);
    return has(step.zero, Math.floor(index / behind) % channels) ? 0 : value;
  });
  const constant: Input = { data, dims };
  // A constant over a value: the value is kept away from zero.
  const value = step.first && step.op === 'Div' ? s.g.add(s.g.op('Sigmoid', [x.name]), scalar(0.5)) : x.name;
  return s.keep({ name: s.g.op(step.op, step.first ? [constant, value] : [value, constant]), dims: x.dims });
}
