/** Chains of codes without floats in between, as static quantisers write them, half of the filters dead. */
import { describe, expect, test } from 'vitest';
import {
  type CodedLayer,
  CODING,
  dequantize,
  layerOfCodes,
  parameters,
  quantize,
} from '../../fixtures/networks/coded.js';
import { float, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { compiled } from './coded-outcome.js';

const MICROSOFT = { domain: 'com.microsoft' };
const DEAD = [1, 3, 4];
/** Of the biases of `first` that of filter 3 is less than half a code: with it the filter gives 0. */
const ZERO_ALL_THE_SAME = 1;
const OTHER = { scale: 0.05, zero: 90 };

type Attributes = Parameters<GraphBuilder['op']>[2];

function first(more: Partial<CodedLayer> = {}): CodedLayer {
  return { name: 'first', dims: [6, 3, 3, 3], dead: DEAD, attributes: { pads: [1, 1, 1, 1] }, ...more };
}

/** From codes in CODING to codes in OTHER. */
type Step = (g: GraphBuilder, codes: string, x: string) => string;

const ofOne =
  (type: string, attributes: Attributes = {}): Step =>
  (g, codes) =>
    g.op(type, [codes, ...parameters(CODING), ...parameters(OTHER)], attributes, MICROSOFT);
/** With one number per channel. */
const withStored =
  (type: string, code: (channel: number) => number): Step =>
  (g, codes) => {
    const stored = { data: Uint8Array.from({ length: 6 }, (_, channel) => code(channel)), dims: [1, 6, 1, 1] };
    const operands = [codes, ...parameters(CODING), stored, ...parameters(CODING), ...parameters(OTHER)];
    return g.op(type, operands, {}, MICROSOFT);
  };
const joined =
  (axis: number): Step =>
  (g, codes, x) => {
    const second = layerOfCodes(g, x, first({ name: 'second', meaning: 'drop' }));
    const operands = [codes, ...parameters(CODING), second, ...parameters(CODING)];
    return g.op('QLinearConcat', [...parameters(OTHER), ...operands], { axis }, MICROSOFT);
  };
const added: Step = (g, codes, x) => {
  const second = layerOfCodes(g, x, first({ name: 'second', meaning: 'drop' }));
  const operands = [codes, ...parameters(CODING), second, ...parameters(CODING)];
  return g.op('QLinearAdd', [...operands, ...parameters(OTHER)], {}, MICROSOFT);
};

interface Case {
  readonly name: string;
  readonly step: Step;
  readonly channels?: number;
  readonly drop: number;
  readonly zero: number;
}

const ALL = DEAD.length;
const POOL = { kernel_shape: [2, 2], strides: [2, 2] };
const PADDED_POOL = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 };

const CASES: readonly Case[] = [
  { name: 'a sum of two', step: added, drop: 2 * ALL, zero: 2 * ALL },
  { name: 'a sum with a constant', step: withStored('QLinearAdd', (c) => 100 + 9 * c), drop: ALL, zero: ALL },
  { name: 'a product', step: withStored('QLinearMul', (c) => 160 + 9 * c), drop: ALL, zero: ALL },
  { name: 'a leaky rectifier', step: ofOne('QLinearLeakyRelu', { alpha: float(0.1) }), drop: ALL, zero: ALL },
  { name: 'a sigmoid', step: ofOne('QLinearSigmoid'), drop: ALL, zero: ALL },
  { name: 'a mean over all places', step: ofOne('QLinearGlobalAveragePool'), drop: ALL, zero: ALL },
  { name: 'means', step: ofOne('QLinearAveragePool', POOL), drop: ALL, zero: ALL },
  {
    name: 'means that count the padding',
    step: ofOne('QLinearAveragePool', PADDED_POOL),
    drop: ALL,
    zero: ZERO_ALL_THE_SAME,
  },
  { name: 'channels side by side', step: joined(1), channels: 12, drop: 2 * ALL, zero: 2 * ALL },
  { name: 'images side by side', step: joined(3), drop: 2 * ALL, zero: 2 * ZERO_ALL_THE_SAME },
  { name: 'a softmax over places', step: ofOne('QLinearSoftmax', { axis: 3, opset: 17 }), drop: 0, zero: 0 },
  { name: 'a softmax over channels', step: ofOne('QLinearSoftmax', { axis: 1, opset: 17 }), drop: 0, zero: 0 },
];

describe.each(CASES)('$name', ({ step, channels = 6, ...removed }) => {
  test.each(['drop', 'zero'] as const)('meaning %s', async (meaning) => {
    const outcome = await compiled((g) => {
      const x = quantize(g, g.input('x', [1, 3, 6, 6]));
      const codes = step(g, layerOfCodes(g, x, first({ meaning })), x);
      const reader = { name: 'reader', dims: [4, channels, 1, 1], input: OTHER };
      g.output(dequantize(g, layerOfCodes(g, codes, reader)));
    });
    expect(outcome).toMatchObject({ equal: true, toTheBit: true, removed: removed[meaning] });
  });
});

describe('declined', () => {
  const declined = (step: Step) =>
    compiled((g) => {
      const x = quantize(g, g.input('x', [1, 3, 6, 6]));
      g.output(step(g, layerOfCodes(g, x, first({ meaning: 'drop' })), x));
    });

  test('channels in the last axis', async () => {
    const outcome = await declined((g, codes) => {
      const rows = g.transpose(codes, [0, 2, 3, 1]);
      return dequantize(g, ofOne('QLinearGlobalAveragePool', { channels_last: 1 })(g, rows, ''));
    });
    expect(outcome).toMatchObject({ equal: true, removed: 0 });
  });

  test('a scale that is computed', async () => {
    const outcome = await declined((g, codes) => {
      const [scale, zero] = parameters(CODING);
      return dequantize(g, g.op('QLinearSigmoid', [codes, g.input('s', []), zero, scale, zero], {}, MICROSOFT));
    });
    expect(outcome).toMatchObject({ equal: true, removed: 0 });
  });
});
