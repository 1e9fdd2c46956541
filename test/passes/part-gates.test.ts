/** Constants times a gate are added behind the convolution that reads the product. */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type Dim, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { compileModel } from '../../src/compile.js';
import { encodeModel } from '../../src/onnx/write.js';
import { readModel } from '../../src/onnx/read.js';
import { Tensor } from '../../src/ir/tensor.js';
import { verifyModels } from '../../src/verify/verify.js';
import { compileRow, layer, MEANINGS } from '../differential/row-network.js';
import { changed, unchanged } from './run-pass.js';

const CHANNELS = 6;
const DEAD = [1, 4];

interface Gated {
  readonly size?: readonly [Dim, Dim, Dim];
  readonly meaning?: 'zero' | 'drop';
  /** Of the reader. */
  readonly window?: { readonly size: number; readonly pads?: number; readonly group?: number };
  /** Reduces x to what the gate is made of. */
  readonly squeeze?: (g: GraphBuilder, x: string) => string;
  readonly isReversed?: boolean;
  readonly normalized?: boolean;
  readonly others?: (g: GraphBuilder, product: string) => void;
}

/** x -> 6 filters, 2 of them dead -> times a gate made of them all -> a reader. */
function network(given: Gated = {}) {
  const { size = [2, 5, 4], meaning = 'zero', window = { size: 1 }, isReversed = false } = given;
  const { squeeze = (g, hidden) => g.globalAveragePool(hidden) } = given;
  return (g: GraphBuilder) => {
    const [batch, height, width] = size;
    const x = g.input('x', [batch, 3, height, width]);
    const hidden = layer(g, x, { name: 'hidden', out: CHANNELS, from: 3, size: 3, pads: 1, dead: DEAD, meaning });
    const means = layer(g, squeeze(g, hidden), { name: 'squeezed', out: 3, from: CHANNELS });
    const gate = g.op('Sigmoid', [layer(g, g.relu(means), { name: 'gate', out: CHANNELS, from: 3 })]);
    const product = isReversed ? g.mul(gate, hidden) : g.mul(hidden, gate);
    given.others?.(g, product);
    const from = CHANNELS / (window.group ?? 1);
    const read = layer(g, product, { name: 'reader', out: 4, from, ...window });
    const made = given.normalized === true ? normalize(g, read) : read;
    g.output(layer(g, g.relu(made), { name: 'last', out: 2, from: 4 }));
  };
}

function normalize(g: GraphBuilder, x: string): string {
  return g.batchNorm(x, {
    scale: { data: [1, -2, 0.5, 3] },
    shift: { data: [0.1, 0, 1, -1] },
    mean: { data: [0.3, 0.2, -1, 0] },
    variance: { data: [1, 4, 0.25, 2] },
  });
}

function bytesOf(given: Gated = {}): Uint8Array {
  const g = graphBuilder();
  network(given)(g);
  return g.bytes();
}

describe('parted', () => {
  test('the picture', async () => {
    expect(await changed('part-gates', bytesOf())).toMatchInlineSnapshot(`
      inputs: x [2,3,5,4]
      hidden_output_0 [2,6,5,4] = Conv(x, hidden.1 [6,3,3,3], hidden.2 [6] {0.314 -0.209 1.06 -0.504 -0.369 0.369}) pads=1,1,1,1
      GlobalAveragePool_output_0 [2,6,1,1] = GlobalAveragePool(hidden_output_0)
      squeezed_output_0 [2,3,1,1] = Conv(GlobalAveragePool_output_0, squeezed.1 [3,6,1,1], squeezed.2 [3] {-0.476 -1.33 -0.894})
      Relu_output_0 [2,3,1,1] = Relu(squeezed_output_0)
      gate_output_0 [2,6,1,1] = Conv(Relu_output_0, gate.1 [6,3,1,1], gate.2 [6] {-0.909 0.312 -0.769 -1.07 -0.48 -1.54})
      Sigmoid_output_0 [2,6,1,1] = Sigmoid(gate_output_0)
      Mul_output_0 [2,6,5,4] = Mul(hidden_output_0, Sigmoid_output_0)
      reader_output_0 [2,4,5,4] = Conv(Mul_output_0, reader.1 [4,6,1,1], reader.2 [4] {-0.569 1.06 -0.00905 0.612})
      Relu_1_output_0 [2,4,5,4] = Relu(reader_output_0)
      last_output_0 [2,2,5,4] = Conv(Relu_1_output_0, last.1 [2,4,1,1] {0.364 -2.31 1.54 -0.165 0.252 0.535 -0.417 -0.794}, last.2 [2] {-1.68 0.0379})
      outputs: last_output_0
      =>
      inputs: x [2,3,5,4]
      hidden_output_0 [2,6,5,4] = Conv(x, hidden.1 [6,3,3,3], hidden.2 [6] {0.314 -0.209 1.06 -0.504 -0.369 0.369}) pads=1,1,1,1
      GlobalAveragePool_output_0 [2,6,1,1] = GlobalAveragePool(hidden_output_0)
      squeezed_output_0 [2,3,1,1] = Conv(GlobalAveragePool_output_0, squeezed.1 [3,6,1,1], squeezed.2 [3] {-0.476 -1.33 -0.894})
      Relu_output_0 [2,3,1,1] = Relu(squeezed_output_0)
      gate_output_0 [2,6,1,1] = Conv(Relu_output_0, gate.1 [6,3,1,1], gate.2 [6] {-0.909 0.312 -0.769 -1.07 -0.48 -1.54})
      Sigmoid_output_0 [2,6,1,1] = Sigmoid(gate_output_0)
      Sigmoid_output_0_picked [2,2,1,1] = Gather(Sigmoid_output_0, Sigmoid_output_0_picks int64 [2] {1 4}) axis=1
      hidden_output_0_picked [2,4,5,4] = Gather(hidden_output_0, hidden_output_0_picks int64 [4] {0 2 3 5}) axis=1
      Sigmoid_output_0_picked_2 [2,4,1,1] = Gather(Sigmoid_output_0, Sigmoid_output_0_picks_2 int64 [4] {0 2 3 5}) axis=1
      Mul_output_0 [2,4,5,4] = Mul(hidden_output_0_picked, Sigmoid_output_0_picked_2)
      reader_output_0_gated [2,4,1,1] = Conv(Sigmoid_output_0_picked, reader_output_0_gated_weight [4,2,1,1] {-0.167 0.34 -0.382 -0.347 0.216 0.286 -0.267 0.144})
      reader_output_0_before_Add [2,4,5,4] = Conv(Mul_output_0, reader.1_2 [4,4,1,1], reader.2 [4] {-0.569 1.06 -0.00905 0.612})
      reader_output_0 [2,4,5,4] = Add(reader_output_0_before_Add, reader_output_0_gated)
      Relu_1_output_0 [2,4,5,4] = Relu(reader_output_0)
      last_output_0 [2,2,5,4] = Conv(Relu_1_output_0, last.1 [2,4,1,1] {0.364 -2.31 1.54 -0.165 0.252 0.535 -0.417 -0.794}, last.2 [2] {-1.68 0.0379})
      outputs: last_output_0
      unread: reader.1 [4,6,1,1]
    `);
  });

  describe.each(MEANINGS)('meaning %s', (meaning) => {
    test.each<[string, Gated]>([
      ['as exporters write it', {}],
      ['the gate first', { isReversed: true }],
      ['at open sizes', { size: ['n', 'h', 'w'] }],
      ['a reader with a window', { window: { size: 3 } }],
      ['a normalisation behind the reader', { normalized: true }],
      ['means over any axes', { squeeze: (g, x) => g.op('ReduceMean', [x], { axes: [2, 3], keepdims: 1 }) }],
      [
        'two readers',
        { others: (g, product) => g.output(layer(g, product, { name: 'other', out: 3, from: CHANNELS })) },
      ],
    ])('%s', async (_, given) => {
      // With zeros the gate's own filters go as well.
      const removed = meaning === 'zero' ? DEAD.length : 2 * DEAD.length;
      expect(await compileRow(network({ ...given, meaning }))).toMatchObject({
        equal: true,
        removed,
        changesAgain: false,
      });
    });
  });

  test('no copy of the image is left over', async () => {
    const { bytes } = await compileRow(network());
    const gathers = readModel(bytes).graph.nodes.filter(({ opType }) => opType === 'Gather');
    expect(gathers.map(({ inputs }) => inputs[0]?.producer?.opType)).toEqual(['Sigmoid', 'Sigmoid']);
  });

  test('what the gated constants add matters', async () => {
    const { bytes } = await compileRow(network());
    const model = readModel(bytes);
    const share = model.graph.nodes.find(({ origin }) => origin?.kind === 'compensation')?.inputs[1];
    if (share?.initializer === undefined) throw new Error('nothing is added');
    const { dataType, dims, size } = share.initializer;
    share.initializer = Tensor.fromNumbers(dataType, dims, new Float64Array(size));
    expect((await verifyModels(bytesOf(), encodeModel(model))).equal).toBe(false);
  });
});

describe('left as it is', () => {
  test.each<[string, Gated]>([
    ['a reader with padding', { window: { size: 3, pads: 1 } }],
    ['a reader in groups', { window: { size: 1, group: 2 } }],
    ['a gate of each place', { squeeze: (g, x) => g.averagePool(x, [3, 3], { pads: 1 }) }],
    ['zeros', { meaning: 'drop' }],
    ['another reader', { others: (g, product) => g.output(g.op('Tanh', [product])) }],
    ['a product that is an output', { others: (g, product) => g.output(product) }],
  ])('%s', async (_, given) => {
    expect(await unchanged('part-gates', bytesOf(given))).toContain('Mul');
  });

  test('where the Add costs more than the channels', async () => {
    expect(await unchanged('part-gates', bytesOf(), { align: 'auto' })).toContain('Mul');
    const { report } = await compileModel(bytesOf(), { align: 'auto' });
    expect(report.remarks.map(({ cause }) => cause)).toContain('gate');
  });
});
