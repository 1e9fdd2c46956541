/**
 * Operators that look along an axis, one example per opset at which the operator changed:
 * reductions, the softmax and its relatives, pools over sums, sums up to a place.
 */
import { type GraphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { FLOAT } from '../../src/ir/tensor.js';

type Apply = (g: GraphBuilder, x: string) => string;
type Attributes = Parameters<GraphBuilder['op']>[2];

const op =
  (type: string, attributes: Attributes = {}): Apply =>
  (g, x) =>
    g.op(type, [x], attributes);
const inFloats =
  (apply: Apply): Apply =>
  (g, x) =>
    g.op('Cast', [apply(g, x)], { to: FLOAT });

/** Until `since` the axes are an attribute. */
function reduce(type: string, since: number, axes: readonly number[], attributes: Attributes = {}): Apply {
  return (g, x) =>
    g.opset < since ? g.op(type, [x], { axes, ...attributes }) : g.op(type, [x, int64(axes)], attributes);
}

/** Over places, over places and batch, over channels, over everything. */
function forms(type: string, since = 18): Apply[] {
  return [
    reduce(type, since, [2, 3]),
    reduce(type, since, [-1, 0, -2], { keepdims: 0 }),
    reduce(type, since, [1]),
    (g, x) => g.op(type, [x], { keepdims: 1 }),
  ];
}

/** Neither list nor input, and told that this means no axis. */
const noop =
  (type: string): Apply =>
  (g, x) =>
    g.op(type, [x], { noop_with_empty_axes: 1 });

const OPSETS = [7, 11, 13, 18];
const maxima = [...forms('ReduceMax'), ...forms('ReduceMin')];

export const REDUCTIONS: Readonly<Record<string, readonly Apply[]>> = {
  ...perOpset('ReduceMean', OPSETS, forms('ReduceMean')),
  ...perOpset('ReduceSum', [7, 11, 13], forms('ReduceSum', 13)),
  ...perOpset('ReduceMax', [7, 11, 12, 13, 18, 20], maxima.slice(0, 4)),
  ...perOpset('ReduceMin', [7, 11, 12, 13, 18, 20], maxima.slice(4)),
  ...perOpset('ReduceProd', OPSETS, forms('ReduceProd')),
  ...perOpset('ReduceL1', OPSETS, forms('ReduceL1')),
  ...perOpset('ReduceL2', OPSETS, forms('ReduceL2')),
  ...perOpset('ReduceSumSquare', OPSETS, forms('ReduceSumSquare')),
  ...perOpset('ReduceLogSumExp', OPSETS, forms('ReduceLogSumExp')),
  ...perOpset(
    'ReduceLogSum',
    OPSETS,
    forms('ReduceLogSum').map(
      (apply): Apply =>
        (g, x) =>
          apply(g, g.op('Exp', [x])),
    ),
  ),
  'ReduceSum@14': [noop('ReduceSum')],
  'ReduceL1@19': [noop('ReduceL1')],
  'ReduceMean@19': [noop('ReduceMean')],
  ...perOpset(
    'ArgMax',
    [7, 11, 12, 13],
    [inFloats(op('ArgMax', { axis: 2 })), inFloats(op('ArgMax', { axis: -3, keepdims: 0 }))],
  ),
  ...perOpset('ArgMin', [7, 11, 12, 13], [inFloats(op('ArgMin', { axis: 3, keepdims: 0 }))]),
  'ArgMax@14': [inFloats(op('ArgMax', { axis: 3, select_last_index: 1 }))],
  ...perOpset('CumSum', [11, 14], [cumulative(2), cumulative(-1, { exclusive: 1, reverse: 1 }), cumulative(1)]),
  ...perOpset('Softmax', [7, 11, 13], [op('Softmax', { axis: 2 }), op('Softmax', { axis: 1 }), op('Softmax')]),
  ...perOpset('LogSoftmax', [7, 11, 13], [op('LogSoftmax', { axis: 3 })]),
  ...perOpset('Hardmax', [7, 11, 13], [op('Hardmax', { axis: 3 }), op('Hardmax', { axis: 1 })]),
  ...perOpset('LpNormalization', [7, 22], [op('LpNormalization'), op('LpNormalization', { axis: 1, p: 1 })]),
  ...perOpset('MeanVarianceNormalization', [9, 13], [op('MeanVarianceNormalization')]),
  'MeanVarianceNormalization@14': [op('MeanVarianceNormalization', { axes: [1, 2] })],
  ...perOpset('LRN', [7, 13], [op('LRN', { size: 3 })]),
  ...perOpset(
    'LpPool',
    [7, 11, 18, 22],
    [
      op('LpPool', { kernel_shape: [3, 3], strides: [2, 2], p: 2 }),
      op('LpPool', { kernel_shape: [3, 3], pads: [1, 1, 1, 1], p: 1 }),
    ],
  ),
  'LpPool@19': [op('LpPool', { kernel_shape: [2, 2], dilations: [2, 2], ceil_mode: 1 })],
  ...perOpset('GlobalLpPool', [7], [op('GlobalLpPool', { p: 2 }), op('GlobalLpPool', { p: 3 })]),
  ...perOpset('MaxPool', [7, 8, 10, 11, 12, 22], [(g, x) => g.maxPool(x, [3, 3], { pads: 1, strides: 2 })]),
  // Indices that nobody reads, and indices that are read.
  ...perOpset(
    'MaxPool',
    [9],
    [
      (g, x) => g.maxPool(x, [3, 3], { outputs: 2 }),
      (g, x) => {
        const [values = '', indices = ''] = g.ops('MaxPool', [x], { kernel_shape: [3, 3] }, { outputs: 2 });
        return g.add(values, g.op('Cast', [indices], { to: FLOAT }));
      },
    ],
  ),
};

function cumulative(axis: number, attributes: Attributes = {}): Apply {
  return (g, x) => g.op('CumSum', [x, { data: BigInt64Array.of(BigInt(axis)), dims: [] }], attributes);
}

function perOpset(
  type: string,
  opsets: readonly number[],
  applies: readonly Apply[],
): Record<string, readonly Apply[]> {
  return Object.fromEntries(opsets.map((opset) => [`${type}@${opset}`, applies]));
}
