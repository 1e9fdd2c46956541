/**
 * Small random networks as plain data that shrinks well: a list of steps, each of which names what it reads by age (0 is
 * the youngest value that fits). A step that fits nowhere does nothing, so every sublist of steps is a problem too.
 */
import fc from 'fast-check';
import type { Bits, Holder } from './sketch.js';

/** Masks of one layer. Dead filters are zero, unread columns too; `odd` makes the first live filter look dead to a sum. */
export interface LayerMask {
  readonly dead: Bits;
  readonly unread: Bits;
  readonly odd: 'none' | 'sumsToZero' | 'singleTap';
  /** none; quiet: 0 at dead filters; loud: not 0 there. */
  readonly bias: 'none' | 'quiet' | 'loud';
  readonly holder: Holder;
}

export const KERNELS = [
  [1, 1],
  [3, 3],
  [5, 3],
  [1, 3],
  [2, 2],
] as const;
export const ACTIVATIONS = [
  'Relu',
  'LeakyRelu',
  'Clip0to6',
  'ClipAbove',
  'ClipBelow',
  'Sigmoid',
  'HardSigmoid',
  'Tanh',
  'HardSwish',
  'Elu',
  'Softplus',
  'Exp',
  'Abs',
  'Neg',
  'PRelu',
  'Identity',
  'Dropout',
  'Erf',
  'CastToDouble',
  'Softmax',
  'SoftmaxChannels',
  'Celu',
  'LRN',
  'InstanceNormalization',
  'Where',
  'Split',
] as const;

export type Step =
  | {
      readonly kind: 'conv';
      readonly x: number;
      readonly out: number;
      readonly kernel: number;
      readonly strides: readonly [number, number];
      readonly pads: 'none' | 'same' | 'uneven' | 'SAME_UPPER' | 'SAME_LOWER' | 'VALID';
      readonly dilation: number;
      readonly group: 'one' | 'grouped' | 'depthwise' | 'multiplied';
      readonly mask: LayerMask;
    }
  | { readonly kind: 'norm'; readonly x: number; readonly dead: Bits; readonly shift: 'quiet' | 'loud' }
  | { readonly kind: 'activation'; readonly x: number; readonly op: (typeof ACTIVATIONS)[number] }
  | {
      readonly kind: 'combine';
      readonly xs: readonly number[];
      readonly op: 'Add' | 'Sum' | 'Mul' | 'Sub' | 'Div' | 'Max' | 'Min';
    }
  | {
      readonly kind: 'scale';
      readonly x: number;
      readonly op: 'Add' | 'Mul' | 'Sub' | 'Div';
      readonly form: 'channels' | 'batched' | 'scalar' | 'whole';
      readonly zero: Bits;
      readonly first: boolean;
    }
  | {
      readonly kind: 'gate';
      readonly x: number;
      readonly out: number;
      readonly hard: boolean;
      readonly masks: readonly [LayerMask, LayerMask];
    }
  | {
      readonly kind: 'residual';
      readonly x: number;
      readonly inner: number;
      readonly preActivated: boolean;
      readonly masks: readonly [LayerMask, LayerMask];
    }
  | {
      readonly kind: 'pool';
      readonly x: number;
      readonly op: 'MaxPool' | 'AveragePool';
      readonly size: number;
      readonly stride: number;
      readonly pads: 'none' | 'same' | 'uneven';
      readonly ceil: boolean;
      readonly countPad: boolean;
    }
  | {
      readonly kind: 'global';
      readonly x: number;
      readonly op: 'GlobalAveragePool' | 'GlobalMaxPool' | 'ReduceMean' | 'ReduceMeanFlat';
    }
  | { readonly kind: 'flatten'; readonly x: number; readonly form: 'Flatten' | 'Reshape' | 'computed' | 'Squeeze' }
  | {
      readonly kind: 'gemm';
      readonly x: number;
      readonly out: number;
      readonly transposed: boolean;
      readonly alpha: number;
      readonly beta: number;
      readonly biasForm: 'none' | 'row' | 'wide' | 'scalar' | 'column' | 'full';
      readonly mask: LayerMask;
    }
  | { readonly kind: 'matmul'; readonly x: number; readonly out: number; readonly mask: LayerMask }
  | {
      readonly kind: 'pad';
      readonly x: number;
      readonly channels: readonly [number, number];
      readonly space: readonly [number, number];
      readonly value: number;
    }
  | {
      readonly kind: 'slice';
      readonly x: number;
      readonly axes: 'channels' | 'space' | 'both';
      readonly start: number;
      readonly length: number;
      readonly step: number;
    }
  | { readonly kind: 'concat'; readonly xs: readonly number[] }
  | { readonly kind: 'transpose'; readonly x: number; readonly perm: 'toLast' | 'toFirst' | 'swapSpace' }
  | { readonly kind: 'shuffle'; readonly x: number; readonly computed: boolean }
  | { readonly kind: 'if'; readonly x: number }
  | { readonly kind: 'gather'; readonly x: number; readonly indices: readonly number[] };

export interface Problem {
  readonly opset: number;
  readonly seed: number;
  readonly symbolic: 'none' | 'batch' | 'space' | 'both';
  /** Channels of each input. */
  readonly inputs: readonly number[];
  readonly steps: readonly Step[];
  readonly head: 'none' | 'conv' | 'gemm';
  /** Values that are graph outputs too, by age. */
  readonly extraOutputs: readonly number[];
  readonly weightsAre: 'initializers' | 'inputs' | 'constants';
}

/** Steps that move windows over the image: where zero padding meets constants. */
export const WINDOWS = ['conv', 'pool', 'pad'] as const;

const MOST_STEPS = 9;

const bits = fc.oneof(
  { weight: 2, arbitrary: fc.constant(0) },
  { weight: 5, arbitrary: fc.nat(255) },
  { weight: 1, arbitrary: fc.constant(255) },
);
const age = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.nat(2) },
  { weight: 1, arbitrary: fc.nat(9) },
);
const width = fc.integer({ min: 1, max: 6 });
const one = <Kind extends string>(kind: Kind) => fc.constant(kind);

export const layerMasks: fc.Arbitrary<LayerMask> = fc.record({
  dead: bits,
  unread: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(255) }),
  odd: fc.constantFrom('none', 'none', 'none', 'sumsToZero', 'singleTap'),
  bias: fc.constantFrom('loud', 'quiet', 'none'),
  holder: fc.constantFrom('initializer', 'initializer', 'initializer', 'constant', 'masked', 'shared'),
});
const twoMasks = fc.tuple(layerMasks, layerMasks);

const conv = fc.record({
  kind: one('conv'),
  x: age,
  out: width,
  kernel: fc.nat(KERNELS.length - 1),
  strides: fc.tuple(fc.constantFrom(1, 1, 1, 2), fc.constantFrom(1, 1, 1, 2)),
  pads: fc.constantFrom('none', 'same', 'same', 'uneven', 'SAME_UPPER', 'SAME_LOWER', 'VALID'),
  dilation: fc.constantFrom(1, 1, 1, 2),
  group: fc.constantFrom('one', 'one', 'one', 'one', 'grouped', 'depthwise', 'multiplied'),
  mask: layerMasks,
});

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 9, arbitrary: conv },
  {
    weight: 3,
    arbitrary: fc.record({ kind: one('norm'), x: age, dead: bits, shift: fc.constantFrom('loud', 'quiet') }),
  },
  { weight: 6, arbitrary: fc.record({ kind: one('activation'), x: age, op: fc.constantFrom(...ACTIVATIONS) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: one('combine'),
      xs: fc.array(age, { minLength: 1, maxLength: 4 }),
      op: fc.constantFrom('Add', 'Add', 'Sum', 'Mul', 'Sub', 'Div', 'Max', 'Min'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: one('scale'),
      x: age,
      op: fc.constantFrom('Add', 'Mul', 'Sub', 'Div'),
      form: fc.constantFrom('channels', 'channels', 'batched', 'scalar', 'whole'),
      zero: bits,
      first: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: one('gate'), x: age, out: width, hard: fc.boolean(), masks: twoMasks }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: one('residual'), x: age, inner: width, preActivated: fc.boolean(), masks: twoMasks }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: one('pool'),
      x: age,
      op: fc.constantFrom('MaxPool', 'AveragePool'),
      size: fc.integer({ min: 2, max: 3 }),
      stride: fc.integer({ min: 1, max: 2 }),
      pads: fc.constantFrom('none', 'same', 'uneven'),
      ceil: fc.boolean(),
      countPad: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: one('global'),
      x: age,
      op: fc.constantFrom('GlobalAveragePool', 'GlobalMaxPool', 'ReduceMean', 'ReduceMeanFlat'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: one('flatten'),
      x: age,
      form: fc.constantFrom('Flatten', 'Reshape', 'computed', 'Squeeze'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: one('gemm'),
      x: age,
      out: width,
      transposed: fc.boolean(),
      alpha: fc.constantFrom(1, 0.5, -2),
      beta: fc.constantFrom(1, 0.5, 0, -2),
      biasForm: fc.constantFrom('row', 'wide', 'scalar', 'none', 'column', 'full'),
      mask: layerMasks,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: one('matmul'), x: age, out: width, mask: layerMasks }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: one('pad'),
      x: age,
      channels: fc.tuple(fc.nat(2), fc.nat(2)),
      space: fc.tuple(fc.nat(1), fc.nat(1)),
      value: fc.constantFrom(0, 0.75, -1.5),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: one('slice'),
      x: age,
      axes: fc.constantFrom('channels', 'space', 'both'),
      start: fc.integer({ min: -4, max: 3 }),
      length: fc.integer({ min: 1, max: 9 }),
      step: fc.constantFrom(1, 1, 1, 2),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: one('concat'), xs: fc.array(age, { minLength: 1, maxLength: 3 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: one('transpose'), x: age, perm: fc.constantFrom('toLast', 'toFirst', 'swapSpace') }),
  },
  { weight: 1, arbitrary: fc.record({ kind: one('shuffle'), x: age, computed: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: one('if'), x: age }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: one('gather'), x: age, indices: fc.array(fc.nat(5), { minLength: 1, maxLength: 4 }) }),
  },
);

/** `kinds` leaves only steps of those kinds: few kinds meet in more ways. */
export function problems(kinds?: readonly Step['kind'][]): fc.Arbitrary<Problem> {
  const allowed = kinds === undefined ? steps : steps.filter(({ kind }) => kinds.includes(kind));
  return fc.record({
    opset: fc.oneof(
      { weight: 1, arbitrary: fc.constant(17) },
      { weight: 2, arbitrary: fc.integer({ min: 7, max: 23 }) },
    ),
    seed: fc.nat(9999),
    symbolic: fc.constantFrom('none', 'batch', 'space', 'both'),
    inputs: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
    // Deep enough for masks to meet: without a fixed size most random lists would be too short to say anything.
    steps: fc.array(allowed, { minLength: 1, maxLength: MOST_STEPS, size: 'max' }),
    head: fc.constantFrom('conv', 'conv', 'gemm', 'none'),
    extraOutputs: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(fc.nat(9), { minLength: 1, maxLength: 2 }) },
    ),
    weightsAre: fc.constantFrom('initializers', 'initializers', 'initializers', 'inputs', 'constants'),
  });
}
