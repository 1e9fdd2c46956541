/**
 * Elementwise operators, one example per opset at which the operator changed. `Apply` gets the
 * mixed channels, of which one is constant.
 */
import {
  float,
  type GraphBuilder,
  type Input,
  scalar,
  type TensorLiteral,
} from '../../fixtures/networks/graph-builder.js';
import { BOOL, DOUBLE, FLOAT, FLOAT16, INT32, INT64, INT8, UINT8 } from '../../src/ir/tensor.js';

type Apply = (g: GraphBuilder, x: string) => string;
type Attributes = Parameters<GraphBuilder['op']>[2];

const MICROSOFT = { domain: 'com.microsoft' };
/** As many as examples.ts has channels. */
const perChannel = (data: readonly number[]): TensorLiteral => ({ data: [...data], dims: [4, 1, 1] });

const unary =
  (type: string, attributes: Attributes = {}): Apply =>
  (g, x) =>
    g.op(type, [x], attributes);
/** For functions that are not defined everywhere. */
const of =
  (type: string, inner: string, attributes: Attributes = {}): Apply =>
  (g, x) =>
    g.op(type, [g.op(inner, [x])], attributes);
const binary =
  (type: string, other: Input, attributes: Attributes = {}): Apply =>
  (g, x) =>
    g.op(type, [x, other], attributes);
const cast = (g: GraphBuilder, x: string, to: number): string => g.op('Cast', [x], { to });
const through =
  (...types: readonly number[]): Apply =>
  (g, x) =>
    types.reduce((value, to) => cast(g, value, to), x);
/** The result of an example is read as float32. */
const inFloats =
  (apply: Apply): Apply =>
  (g, x) =>
    cast(g, apply(g, x), FLOAT);
/** Of truth values. */
const logical =
  (type: string): Apply =>
  (g, x) =>
    g.op(type, [g.op('Greater', [x, scalar(0.1)]), g.op('Less', [x, perChannel([1, 1, 2, -9])])]);
/** Of integers: x times 8, without its sign. */
const ofBits =
  (type: string, attributes: Attributes = {}): Apply =>
  (g, x) => {
    const bits = cast(g, g.op('Abs', [g.mul(x, scalar(8))]), UINT8);
    const other = { data: Uint8Array.of(1, 2, 3, 1), dims: [4, 1, 1], dataType: UINT8 };
    return g.op(type, [bits, other], attributes);
  };

/** Operators whose results are no floats. */
const OF_OTHER_TYPES = new Set(
  'IsNaN IsInf Not BitwiseNot Equal Greater Less GreaterOrEqual LessOrEqual And Or Xor BitShift BitwiseAnd BitwiseOr BitwiseXor Mod'.split(
    ' ',
  ),
);

/** Opsets at which the operator changed, from 7 on, with what stands for it there. */
const TABLE: readonly (readonly [type: string, opsets: readonly number[], ...examples: readonly Apply[]])[] = [
  ['Relu', [7, 13, 14], unary('Relu')],
  ['LeakyRelu', [7, 16], unary('LeakyRelu', { alpha: 0.3 })],
  ['Sigmoid', [7, 13], unary('Sigmoid')],
  ['HardSigmoid', [7, 22], unary('HardSigmoid', { alpha: 0.3, beta: 0.4 })],
  ['HardSwish', [14, 22], unary('HardSwish')],
  ['Tanh', [7, 13], unary('Tanh')],
  ['Elu', [7, 22], unary('Elu', { alpha: 0.7 })],
  ['Celu', [12], unary('Celu', { alpha: 0.7 })],
  ['Selu', [7, 22], unary('Selu'), unary('Selu', { alpha: 1.5, gamma: 0.5 })],
  ['Softplus', [7, 22], unary('Softplus')],
  ['Softsign', [7, 22], unary('Softsign')],
  ['Swish', [24], unary('Swish', { alpha: 1.5 })],
  ['Mish', [18, 22], unary('Mish')],
  ['Gelu', [20], unary('Gelu'), unary('Gelu', { approximate: 'tanh' })],
  ['ThresholdedRelu', [10, 22], unary('ThresholdedRelu', { alpha: float(0.5) })],
  ['Shrink', [9], unary('Shrink', { lambd: 0.6, bias: 0.25 })],
  ['Neg', [7, 13], unary('Neg')],
  ['Abs', [7, 13], unary('Abs')],
  ['Exp', [7, 13], unary('Exp')],
  ['Log', [7, 13], of('Log', 'Exp')],
  ['Sqrt', [7, 13], of('Sqrt', 'Abs')],
  ['Reciprocal', [7, 13], of('Reciprocal', 'Exp')],
  ['Erf', [9, 13], unary('Erf')],
  ...['Sin', 'Cos', 'Tan', 'Atan'].map((type) => [type, [7, 22], unary(type)] as const),
  ...['Asin', 'Acos'].map((type) => [type, [7, 22], of(type, 'Sin')] as const),
  ...['Sinh', 'Cosh', 'Asinh'].map((type) => [type, [9, 22], unary(type)] as const),
  ['Acosh', [9, 22], (g, x) => g.op('Acosh', [g.add(g.op('Abs', [x]), scalar(1))])],
  ['Atanh', [9, 22], (g, x) => g.op('Atanh', [g.mul(g.op('Sin', [x]), scalar(0.5))])],
  ...['Floor', 'Ceil'].map((type) => [type, [7, 13], unary(type)] as const),
  ['Round', [11, 22], unary('Round')],
  ['Sign', [9, 13], unary('Sign')],
  ['IsNaN', [9, 13, 20], unary('IsNaN')],
  ['IsInf', [10, 20], unary('IsInf', { detect_negative: 0 })],
  ['Not', [7], (g, x) => g.op('Not', [g.op('Greater', [x, scalar(0.1)])])],
  ['BitwiseNot', [18], (g, x) => g.op('BitwiseNot', [cast(g, g.mul(x, scalar(8)), INT32)])],
  ['QuickGelu', [17], (g, x) => g.op('QuickGelu', [x], { alpha: 1.7 }, MICROSOFT)],
  ['Gelu', [17], (g, x) => g.op('Gelu', [x], {}, MICROSOFT)],
  [
    'BiasGelu',
    [17],
    (g, x) => g.op('BiasGelu', [g.transpose(x, [0, 2, 3, 1]), { data: [1, -2, 3, 0.5] }], {}, MICROSOFT),
  ],
  [
    'FastGelu',
    [17],
    (g, x) => g.op('FastGelu', [x], {}, MICROSOFT),
    (g, x) => g.op('FastGelu', [g.transpose(x, [0, 2, 3, 1]), { data: [1, -2, 3, 0.5] }], {}, MICROSOFT),
  ],
  ['Clip', [10], (g, x) => g.clip(x, 0.1, 6)],
  ['Clip', [11, 12, 13], (g, x) => g.clip(x, -0.5, 0.4)],
  ['PRelu', [7, 9, 16], binary('PRelu', perChannel([0.5, -0.25, 2, 1]))],
  ['Add', [7, 13, 14], binary('Add', perChannel([1, 2, 3, 4])), binary('Add', scalar(0.5))],
  ['Sub', [7, 13, 14], (g, x) => g.op('Sub', [perChannel([1, 2, 3, 4]), x])],
  ['Mul', [7, 13, 14], binary('Mul', perChannel([1, 2, 0, 3])), binary('Mul', perChannel([0, 0, 1, 1]))],
  ['Div', [7, 13, 14], binary('Div', perChannel([1, 2, 4, 3]))],
  ['Pow', [7, 12, 13, 15], binary('Pow', scalar(3)), binary('Pow', perChannel([1, 2, 3, 0.5]))],
  // An exponent of another type, and one that is computed.
  [
    'Pow',
    [12, 15],
    binary('Pow', { data: BigInt64Array.of(2n), dims: [], dataType: INT64 }),
    (g, x) => g.op('Pow', [g.op('Exp', [x]), g.op('Tanh', [x])]),
  ],
  ['Mod', [10, 13], (g, x) => g.op('Mod', [x, scalar(0.3)], { fmod: 1 }), ofBits('Mod')],
  [
    'Equal',
    [7, 11, 13, 19],
    (g, x) => g.op('Equal', [cast(g, x, INT32), { data: Int32Array.of(0), dims: [], dataType: INT32 }]),
  ],
  ['Equal', [11, 19], binary('Equal', perChannel([1, 0, 0, 0]))],
  ...['Greater', 'Less'].map((type) => [type, [7, 9, 13], binary(type, perChannel([0.5, 0.6, 2, -1]))] as const),
  ...['GreaterOrEqual', 'LessOrEqual'].map((type) => [type, [16], binary(type, scalar(0))] as const),
  ...['And', 'Or', 'Xor'].map((type) => [type, [7], logical(type)] as const),
  ['BitShift', [11], ofBits('BitShift', { direction: 'LEFT' }), ofBits('BitShift', { direction: 'RIGHT' })],
  ...['BitwiseAnd', 'BitwiseOr', 'BitwiseXor'].map((type) => [type, [18], ofBits(type)] as const),
  [
    'Where',
    [9, 16],
    (g, x) => g.op('Where', [{ data: [true, false, true, false], dims: [4, 1, 1] }, x, perChannel([1, 2, 3, 4])]),
  ],
  ['Where', [9], (g, x) => g.op('Where', [g.op('Greater', [x, scalar(0.1)]), g.op('Exp', [x]), scalar(2)])],
  ...['Sum', 'Mean', 'Max', 'Min'].map(
    (type) =>
      [type, [8, 13], (g, x) => g.op(type, [x, perChannel([1, 2, -3, 4]), scalar(0.5)])] as const satisfies readonly [
        string,
        readonly number[],
        Apply,
      ],
  ),
  ...['Max', 'Min'].map((type) => [type, [12], unary(type)] as const),
  [
    'Cast',
    [7, 9, 13, 19, 21, 23],
    through(FLOAT16, FLOAT),
    through(DOUBLE, FLOAT),
    through(INT32, FLOAT),
    through(INT64, FLOAT),
  ],
  [
    'Cast',
    [9, 13],
    through(BOOL, FLOAT),
    through(BOOL, INT32, FLOAT),
    through(INT8, FLOAT),
    (g, x) => through(UINT8, FLOAT)(g, g.op('Abs', [x])),
  ],
  [
    'CastLike',
    [15, 19, 21, 23],
    binary('CastLike', { data: [1] }),
    inFloats(binary('CastLike', { data: Int32Array.of(1), dims: [1], dataType: INT32 })),
  ],
  ['CastLike', [15], (g, x) => cast(g, g.op('CastLike', [x, cast(g, x, FLOAT16)]), FLOAT)],
];

export const ELEMENTWISE: Readonly<Record<string, readonly Apply[]>> = table();

function table(): Record<string, Apply[]> {
  const examples: Record<string, Apply[]> = {};
  for (const [type, opsets, ...applies] of TABLE)
    for (const opset of opsets)
      (examples[`${type}@${opset}`] ??= []).push(
        ...applies.map((apply) => (OF_OTHER_TYPES.has(type) ? inFloats(apply) : apply)),
      );
  return examples;
}
