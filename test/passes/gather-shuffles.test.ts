/** Shuffles whose groups cannot shrink alike become a Gather; others stay. */
import { describe, expect, test } from 'vitest';
import { type Dim, graphBuilder, type GraphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { compileRow, layer } from '../differential/row-network.js';
import { weights } from './dead-pair.js';
import { readModel } from '../../src/onnx/read.js';
import { changed, runPass, unchanged } from './run-pass.js';

const CHANNELS = 6;

interface Shuffle {
  readonly dead?: readonly number[];
  readonly parts?: readonly number[];
  readonly order?: readonly number[];
  readonly after?: readonly number[];
  readonly batch?: Dim;
  readonly others?: (g: GraphBuilder, apart: string, turned: string) => void;
}

/** x -> 6 filters, some dead -> Relu -> [3 groups of 2], turned -> 1x1 convolution. */
function network(given: Shuffle) {
  const { dead = [1, 2], parts = [2, 3], order = [0, 2, 1, 3, 4], after = [CHANNELS, 4, 3], batch = 2 } = given;
  return (g: GraphBuilder) => {
    const x = g.input('x', [batch, 2, 4, 3]);
    const hidden = g.relu(g.conv(x, weights('w1', [CHANNELS, 2, 1], { filters: dead }), { bias: [0, 0, 0, 1, 0, 1] }));
    const lead = typeof batch === 'number' ? batch : -1;
    const apart = g.reshape(hidden, [lead, ...parts, 4, 3]);
    const turned = g.transpose(apart, order);
    const shuffled = g.reshape(turned, [lead, ...after]);
    given.others?.(g, apart, turned);
    g.output(layer(g, shuffled, { name: 'reader', out: 3, from: after[0] ?? 0 }));
  };
}

function bytesOf(given: Shuffle): Uint8Array {
  const g = graphBuilder();
  network(given)(g);
  return g.bytes();
}

describe('gathered', () => {
  test('other channels are dead in each group', async () => {
    expect(await changed('gather-shuffles', bytesOf({}))).toMatchInlineSnapshot(`
      inputs: x [2,2,4,3]
      Conv_output_0 [2,6,4,3] = Conv(x, Conv.1 [6,2,1,1], Conv.2 [6] {0 0 0 1 0 1})
      Relu_output_0 [2,6,4,3] = Relu(Conv_output_0)
      Reshape_output_0 [2,2,3,4,3] = Reshape(Relu_output_0, Reshape.1 int64 [5] {2 2 3 4 3})
      Transpose_output_0 [2,3,2,4,3] = Transpose(Reshape_output_0) perm=0,2,1,3,4
      Reshape_1_output_0 [2,6,4,3] = Reshape(Transpose_output_0, Reshape_1.1 int64 [4] {2 6 4 3})
      reader_output_0 [2,3,4,3] = Conv(Reshape_1_output_0, reader.1 [3,6,1,1], reader.2 [3] {-0.569 1.06 -0.00905})
      outputs: reader_output_0
      =>
      inputs: x [2,2,4,3]
      Conv_output_0 [2,6,4,3] = Conv(x, Conv.1 [6,2,1,1], Conv.2 [6] {0 0 0 1 0 1})
      Relu_output_0 [2,6,4,3] = Relu(Conv_output_0)
      Reshape_output_0 [2,2,3,4,3] = Reshape(Relu_output_0, Reshape.1 int64 [5] {2 2 3 4 3})
      Transpose_output_0 [2,3,2,4,3] = Transpose(Reshape_output_0) perm=0,2,1,3,4
      Reshape_1_output_0 [2,6,4,3] = Gather(Relu_output_0, Reshape_1_output_0_picks int64 [6] {0 3 1 4 2 5}) axis=1
      Reshape_1_output_0_picked [2,6,4,3] = Reshape(Transpose_output_0, Reshape_1.1 int64 [4] {2 6 4 3})
      reader_output_0 [2,3,4,3] = Conv(Reshape_1_output_0, reader.1 [3,6,1,1], reader.2 [3] {-0.569 1.06 -0.00905})
      outputs: reader_output_0
    `);
  });

  test.each(['batch', 2])('each channel then goes on its own, batch %s', async (batch) => {
    const outcome = await compileRow(network({ dead: [1, 3, 5], batch }));
    expect(outcome).toMatchObject({ equal: true, removed: 3, changesAgain: false });
  });

  test.each([
    ['nobody else reads it', false, 3],
    ['a sum over all channels reads the rest', true, 0],
  ])('channels that a Slice skips alone are dead: %s', async (_, isRead, removed) => {
    const outcome = await compileRow((g) => {
      const x = g.input('x', [2, 2, 4, 3]);
      const hidden = g.relu(layer(g, x, { name: 'hidden', out: CHANNELS, from: 2 }));
      const lists = [[0], [CHANNELS], [1], [2]].map((list) => int64(list));
      g.output(layer(g, g.op('Slice', [hidden, ...lists]), { name: 'reader', out: 3, from: 3 }));
      if (isRead) g.output(g.op('ReduceMean', [hidden], { axes: [1] }));
    });
    expect(outcome).toMatchObject({ equal: true, removed, changesAgain: false });
  });

  test('a Gather of everything in order goes, of others none', async () => {
    const gathers = async (indices: number[]) => {
      const g = graphBuilder();
      const x = g.input('x', [1, 3, 2]);
      g.output(g.relu(g.op('Gather', [x, int64(indices)], { axis: 1 })));
      const { bytes } = await runPass('gather-shuffles', g.bytes());
      return readModel(bytes).graph.nodes.find(({ opType }) => opType === 'Relu')?.inputs[0]?.name === 'x';
    };
    expect(await gathers([0, 1, 2])).toBe(true);
    expect(await gathers([0, 2, 1])).toBe(false);
    expect(await gathers([0, 1])).toBe(false);
  });

  test('other constants are in each group', async () => {
    expect(await compileRow(network({ dead: [0, 3] }))).toMatchObject({ equal: true, removed: 2, changesAgain: false });
  });

  test('three parts in any order', async () => {
    const three = { parts: [2, 1, 3], order: [0, 3, 2, 1, 4, 5], dead: [0, 4] };
    expect(await compileRow(network(three))).toMatchObject({ equal: true, removed: 2, changesAgain: false });
  });
});

describe('left as they are', () => {
  test('groups that shrink alike', async () => {
    const bytes = bytesOf({ dead: [1, 4] });
    expect(await unchanged('gather-shuffles', bytes)).toContain('Transpose');
    expect(await compileRow(network({ dead: [1, 4] }))).toMatchObject({ equal: true, removed: 2, changesAgain: false });
  });

  test('nothing is dead', async () => {
    expect(await unchanged('gather-shuffles', bytesOf({ dead: [] }))).toContain('Transpose');
  });

  test('somebody else reads what is in between', async () => {
    for (const others of [
      (g: GraphBuilder, apart: string) => g.output(apart),
      (g: GraphBuilder, _: string, turned: string) => g.output(g.op('Abs', [turned])),
    ])
      expect(await unchanged('gather-shuffles', bytesOf({ others }))).toContain('Transpose');
  });

  test('places are turned as well', async () => {
    const bytes = bytesOf({ order: [0, 2, 1, 4, 3], after: [CHANNELS, 3, 4] });
    expect(await unchanged('gather-shuffles', bytes)).toContain('Transpose');
  });

  test('channels become places', async () => {
    const bytes = bytesOf({ order: [0, 1, 3, 4, 2], after: [2, 4, 9] });
    expect(await unchanged('gather-shuffles', bytes)).toContain('Transpose');
  });
});
