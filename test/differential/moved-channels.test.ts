/**
 * Operators that move, repeat or normalise channels, between a layer with dead filters and one that
 * reads what they make.
 */
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { INT64 } from '../../src/ir/tensor.js';
import { compileRow, layer, MEANINGS, type Meaning } from './row-network.js';

interface Case {
  readonly dead: readonly number[];
  readonly meaning?: Meaning;
  /** Filters of the first layer. */
  readonly channels?: number;
  /** Channels of what the reader reads. */
  readonly read: number;
}

type Moving = (g: GraphBuilder, x: string) => string;

/** x -> filters, some dead -> the operator -> 1x1 convolution. */
function network({ dead, meaning = 'drop', channels = 8, read }: Case, moving: Moving) {
  return (g: GraphBuilder) => {
    const x = g.input('x', [2, 3, 4, 6]);
    const made = layer(g, x, { name: 'made', out: channels, from: 3, dead, meaning });
    g.output(layer(g, moving(g, made), { name: 'reader', out: 3, from: read }));
  };
}

describe('DepthToSpace', () => {
  const deep =
    (mode?: string): Moving =>
    (g, x) =>
      g.op('DepthToSpace', [x], { blocksize: 2, ...(mode && { mode }) });
  /** Of 8 channels those that make the first of 2. */
  const ofFirst = { DCR: [0, 2, 4, 6], CRD: [0, 1, 2, 3] } as const;

  test.each([7, 11, 13])('blocks of channels go together, opset %d', async (opset) => {
    const outcome = await compileRow(network({ dead: ofFirst.DCR, read: 2 }, deep()), { opset });
    expect(outcome).toMatchObject({ equal: true, removed: 4, changesAgain: false });
  });

  test.each(['DCR', 'CRD'] as const)('mode %s', async (mode) => {
    for (const opset of [11, 13]) {
      const outcome = await compileRow(network({ dead: ofFirst[mode], read: 2 }, deep(mode)), { opset });
      expect(outcome).toMatchObject({ equal: true, removed: 4, changesAgain: false });
    }
    const other = ofFirst[mode === 'DCR' ? 'CRD' : 'DCR'];
    expect(await compileRow(network({ dead: other, read: 2 }, deep(mode)))).toMatchObject({ equal: true, removed: 0 });
  });

  test('different constants make no constant', async () => {
    const given = { dead: ofFirst.DCR, read: 2, meaning: 'zero' } as const;
    expect(await compileRow(network(given, deep('DCR')))).toMatchObject({ equal: true, removed: 0 });
  });
});

describe('SpaceToDepth', () => {
  const wide: Moving = (g, x) => g.op('SpaceToDepth', [x], { blocksize: 2 });
  test.each(MEANINGS)('all copies of a channel go with it, meaning %s', async (meaning) => {
    for (const opset of [7, 13]) {
      const outcome = await compileRow(network({ dead: [1, 2, 7], read: 32, meaning }, wide), { opset });
      expect(outcome).toMatchObject({ equal: true, removed: 3, changesAgain: false });
    }
  });
});

describe('Gather', () => {
  const gather =
    (indices: readonly number[], dims = [indices.length]): Moving =>
    (g, x) =>
      g.op('Gather', [x, { ...int64(indices), dims }], { axis: 1 });

  test.each(MEANINGS)('a permutation orders what is kept, meaning %s', async (meaning) => {
    for (const opset of [7, 11, 13]) {
      const outcome = await compileRow(
        network({ dead: [0, 3, 6], meaning, read: 8 }, gather([7, -7, 0, 3, 2, 5, 4, -2])),
        { opset },
      );
      expect(outcome).toMatchObject({ equal: true, removed: 3, changesAgain: false });
    }
  });

  test('channels that are not picked go, those picked twice go once', async () => {
    const outcome = await compileRow(network({ dead: [2, 5], read: 5 }, gather([2, 0, 2, 5, 7])));
    expect(outcome).toMatchObject({ equal: true, removed: 6, changesAgain: false });
  });

  test('a list that is not constant pins the channels', async () => {
    const computed: Moving = (g, x) => {
      const list = g.add(g.mul(g.input('i', [8], INT64), int64([0])), int64([7, 6, 5, 4, 3, 2, 1, 0]));
      return g.op('Gather', [x, list], { axis: 1 });
    };
    expect(await compileRow(network({ dead: [2, 5], read: 8 }, computed))).toMatchObject({ equal: true, removed: 0 });
  });

  test('a table of indices pins the channels', async () => {
    const table: Moving = (g, x) => g.reshape(gather([7, 6, 5, 4, 3, 2, 1, 0], [2, 4])(g, x), [2, 8, 4, 6]);
    expect(await compileRow(network({ dead: [2, 5], read: 8 }, table))).toMatchObject({ equal: true, removed: 0 });
  });
});

describe('Expand', () => {
  test.each(MEANINGS)('the shape counts what is kept, meaning %s', async (meaning) => {
    const expanded: Moving = (g, x) => g.op('Expand', [g.globalAveragePool(x), int64([2, 8, 4, 6])]);
    for (const opset of [8, 13]) {
      const outcome = await compileRow(network({ dead: [1, 2, 7], read: 8, meaning }, expanded), { opset });
      expect(outcome).toMatchObject({ equal: true, removed: 3, changesAgain: false });
    }
  });

  test('where the shape says 1 it stays', async () => {
    const expanded: Moving = (g, x) =>
      g.reduceMean(g.op('Expand', [x, int64([2, 1, 1, 1, 1])]), [0], { keepDims: false });
    const outcome = await compileRow(network({ dead: [1, 2, 7], read: 8 }, expanded));
    expect(outcome).toMatchObject({ equal: true, removed: 3, changesAgain: false });
  });

  test('a shape that is computed from static extents is known', async () => {
    const expanded: Moving = (g, x) => g.op('Expand', [g.globalAveragePool(x), g.op('Shape', [x])]);
    expect(await compileRow(network({ dead: [1, 2, 7], read: 8 }, expanded))).toMatchObject({
      equal: true,
      removed: 3,
    });
  });

  test('a shape that is computed from an input pins the channels', async () => {
    const expanded: Moving = (g, x) => {
      const shape = g.add(g.mul(g.input('n', [4], INT64), int64([0])), int64([2, 8, 4, 6]));
      return g.op('Expand', [g.globalAveragePool(x), shape]);
    };
    expect(await compileRow(network({ dead: [1, 2, 7], read: 8 }, expanded))).toMatchObject({
      equal: true,
      removed: 0,
    });
  });
});

describe('Tile', () => {
  test.each(MEANINGS)('all copies of a channel go with it, meaning %s', async (meaning) => {
    const tiled: Moving = (g, x) => g.op('Tile', [x, int64([1, 3, 1, 2])]);
    for (const opset of [7, 13]) {
      const outcome = await compileRow(network({ dead: [1, 2, 7], read: 24, meaning }, tiled), { opset });
      expect(outcome).toMatchObject({ equal: true, removed: 3, changesAgain: false });
    }
  });

  test('counts that are computed pin the channels', async () => {
    const tiled: Moving = (g, x) => {
      const counts = g.add(g.mul(g.input('n', [4], INT64), int64([0])), int64([1, 1, 2, 1]));
      return g.op('Tile', [x, counts]);
    };
    expect(await compileRow(network({ dead: [1, 2, 7], read: 8 }, tiled))).toMatchObject({ equal: true, removed: 0 });
  });
});

describe('InstanceNormalization', () => {
  const normalized =
    (scale?: readonly number[]): Moving =>
    (g, x) =>
      g.relu(
        g.op('InstanceNormalization', [x, { data: scale ?? normals(4, 's', 8) }, { data: normals(5, 'b', 8) }], {
          epsilon: { float: 1e-5 },
        }),
      );

  test('channels of zeros become their bias', async () => {
    for (const opset of [7, 17, 22]) {
      const outcome = await compileRow(network({ dead: [1, 2, 7], read: 8 }, normalized()), { opset });
      expect(outcome).toMatchObject({ equal: true, removed: 3, changesAgain: false });
    }
  });

  test('of other constants rounding is left, and enlarged: they stay', async () => {
    const given = { dead: [1, 2, 7], read: 8, meaning: 'zero' } as const;
    expect(await compileRow(network(given, normalized()))).toMatchObject({ equal: true, removed: 0 });
  });

  test('a scale of 0 leaves the bias, whatever comes in', async () => {
    const outcome = await compileRow(network({ dead: [], read: 8 }, normalized([1, 0, 2, 3, 0, 1, 1, 1])));
    expect(outcome).toMatchObject({ equal: true, removed: 2, changesAgain: false });
  });
});
