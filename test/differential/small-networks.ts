/**
 * Problems for maximality.test.ts: networks small enough that what each channel is good for can be
 * tried out.
 */
import fc from 'fast-check';
import type { Bits } from '../../fixtures/networks/random-networks/sketch.js';

/** Which filters and input columns of one layer are zero. */
export interface Masks {
  /** `common`: the dead filters are the problem's, so that layers which are tied agree. */
  readonly dead: Bits | 'common' | 'all';
  readonly unread: Bits;
  /** quiet: 0 at dead filters; loud: not 0 there. */
  readonly bias: 'none' | 'quiet' | 'loud';
}

/** Values are said by their age: 0 is the youngest that fits. */
export type SmallStep =
  | { readonly kind: 'conv'; readonly x: number; readonly out: number; readonly window: Window; readonly masks: Masks }
  | { readonly kind: 'depthwise'; readonly x: number; readonly window: Window; readonly masks: Masks }
  | { readonly kind: 'norm'; readonly x: number; readonly dead: Masks['dead']; readonly loud: boolean }
  | { readonly kind: 'activation'; readonly x: number; readonly op: (typeof ACTIVATIONS)[number] }
  | { readonly kind: 'add' | 'concat'; readonly x: number; readonly y: number }
  | { readonly kind: 'pool'; readonly x: number; readonly op: (typeof POOLS)[number] }
  | { readonly kind: 'gate'; readonly x: number; readonly width: number; readonly masks: readonly [Masks, Masks] }
  | {
      readonly kind: 'residual';
      readonly x: number;
      readonly width: number;
      /** Where the activation is: before each convolution, or behind the sum. */
      readonly form: 'before' | 'behind';
      readonly masks: readonly [Masks, Masks];
    };

/** Extent of the kernel and whether it reads the zero padding around the image. */
type Window = 'point' | 'padded' | 'inside';

const ACTIVATIONS = ['Relu', 'Sigmoid', 'Clip', 'ClipAbove', 'LeakyRelu', 'HardSwish', 'Tanh'] as const;
const POOLS = ['max', 'maxPadded', 'average', 'averageCounting', 'global'] as const;

export interface SmallProblem {
  readonly seed: number;
  readonly opset: number;
  readonly channels: number;
  readonly common: Bits;
  readonly steps: readonly SmallStep[];
  readonly head: 'conv' | 'flatten' | 'global' | 'none';
  readonly extraOutput: number | undefined;
  readonly symbolic: 'none' | 'batch' | 'space';
}

const age = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(3) });
const bits: fc.Arbitrary<Bits> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.nat(63) },
);
const dead: fc.Arbitrary<Masks['dead']> = fc.oneof(
  { weight: 3, arbitrary: bits },
  { weight: 3, arbitrary: fc.constant('common' as const) },
  { weight: 1, arbitrary: fc.constant('all' as const) },
);
const masks: fc.Arbitrary<Masks> = fc.record({
  dead,
  unread: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: bits }),
  bias: fc.constantFrom('none', 'quiet', 'loud'),
});
const window = fc.constantFrom<Window>('point', 'padded', 'inside');
const out = fc.integer({ min: 1, max: 5 });

const one = <Kind extends string>(kind: Kind) => fc.constant(kind);

const step: fc.Arbitrary<SmallStep> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: one('conv'), x: age, out, window, masks }) },
  { weight: 2, arbitrary: fc.record({ kind: one('depthwise'), x: age, window, masks }) },
  { weight: 2, arbitrary: fc.record({ kind: one('norm'), x: age, dead, loud: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: one('activation'), x: age, op: fc.constantFrom(...ACTIVATIONS) }) },
  { weight: 2, arbitrary: fc.record({ kind: one('add'), x: age, y: age }) },
  { weight: 2, arbitrary: fc.record({ kind: one('concat'), x: age, y: age }) },
  { weight: 2, arbitrary: fc.record({ kind: one('pool'), x: age, op: fc.constantFrom(...POOLS) }) },
  { weight: 1, arbitrary: fc.record({ kind: one('gate'), x: age, width: out, masks: fc.tuple(masks, masks) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: one('residual'),
      x: age,
      width: out,
      form: fc.constantFrom('before', 'behind'),
      masks: fc.tuple(masks, masks),
    }),
  },
);

export const smallProblems: fc.Arbitrary<SmallProblem> = fc.record({
  seed: fc.nat(1_000_000),
  opset: fc.constantFrom(13, 17),
  channels: fc.integer({ min: 1, max: 4 }),
  common: bits,
  steps: fc.array(step, { minLength: 2, maxLength: 8, size: 'max' }),
  head: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom('conv', 'flatten', 'global') },
    { weight: 1, arbitrary: fc.constant('none' as const) },
  ),
  extraOutput: fc.option(age, { freq: 10, nil: undefined }),
  symbolic: fc.oneof(
    { weight: 3, arbitrary: fc.constant('none' as const) },
    { weight: 2, arbitrary: fc.constantFrom('batch', 'space') },
  ),
});
