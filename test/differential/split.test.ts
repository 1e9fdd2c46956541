/** Split in all its forms, between a layer with dead filters and one that reads the parts. */
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { INT64 } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { compileRow, layer, MEANINGS, type Meaning } from './row-network.js';

const CHANNELS = 8;

interface Case {
  readonly dead: readonly number[];
  /** How many channels the reader of the parts has. */
  readonly read?: number;
  readonly meaning?: Meaning;
}

/** x -> 8 filters, some dead -> Relu -> `parts`, which gives one value -> 1x1 convolution. */
function network({ dead, read = CHANNELS, meaning = 'drop' }: Case, parts: (g: GraphBuilder, x: string) => string) {
  return (g: GraphBuilder) => {
    const x = g.input('x', [2, 3, 5, 4]);
    const hidden = g.relu(layer(g, x, { name: 'made', out: CHANNELS, from: 3, dead, meaning }));
    g.output(layer(g, parts(g, hidden), { name: 'reader', out: 3, from: read }));
  };
}

/** What the compiled Split says of its parts. */
function splitOf(bytes: Uint8Array) {
  const node = readModel(bytes).graph.nodes.find(({ opType }) => opType === 'Split');
  const listed = node?.ints('split') ?? node?.inputs[1]?.initializer?.numbers();
  return { sizes: listed && [...listed], parts: node?.int('num_outputs', 0) };
}

const turned = (g: GraphBuilder, parts: readonly string[]) => g.concat(parts.toReversed());
const equal =
  (count: number, attributes: Record<string, number> = {}) =>
  (g: GraphBuilder, x: string) =>
    turned(g, g.ops('Split', [x], { axis: 1, ...attributes }, { outputs: count }));

const FORMS = [
  { form: 'an attribute with sizes', opset: 7, parts: (g, x) => turned(g, g.split(x, [4, 4])) },
  { form: 'equal parts', opset: 7, parts: equal(2) },
  { form: 'an attribute with sizes', opset: 11, parts: (g, x) => turned(g, g.split(x, [4, 4], -3)) },
  { form: 'equal parts', opset: 11, parts: equal(2) },
  { form: 'a constant input with sizes', opset: 13, parts: (g, x) => turned(g, g.split(x, [4, 4], -3)) },
  { form: 'equal parts', opset: 13, parts: equal(2) },
  { form: 'a constant input with sizes', opset: 18, parts: (g, x) => turned(g, g.split(x, [4, 4])) },
  { form: 'a number of parts', opset: 18, parts: equal(2, { num_outputs: 2 }) },
] as const satisfies readonly { form: string; opset: number; parts: (g: GraphBuilder, x: string) => string }[];

describe.each(FORMS)('$form, opset $opset', ({ form, opset, parts }) => {
  test.each(MEANINGS)('parts are cut to different widths, meaning %s', async (meaning) => {
    const outcome = await compileRow(network({ dead: [1, 2, 3, 6], meaning }, parts), { opset });
    expect(outcome).toMatchObject({ equal: true, removed: 4, changesAgain: false });
    expect(splitOf(outcome.bytes)).toEqual({ sizes: [1, 3], parts: 0 });
  });

  test('parts that stay equal', async () => {
    const outcome = await compileRow(network({ dead: [1, 2, 4, 7] }, parts), { opset });
    expect(outcome).toMatchObject({ equal: true, removed: 4, changesAgain: false });
    const isListed = form.includes('sizes');
    expect(splitOf(outcome.bytes)).toEqual({
      sizes: isListed ? [2, 2] : undefined,
      parts: isListed || opset < 18 ? 0 : 2,
    });
  });
});

describe('parts', () => {
  test('the last of a number of parts may be smaller', async () => {
    const parts = equal(3, { num_outputs: 3 });
    const outcome = await compileRow(network({ dead: [0, 4, 5] }, parts), { opset: 18 });
    expect(outcome).toMatchObject({ equal: true, removed: 3, changesAgain: false });
    // 3, 3, 2 became 2, 1, 2.
    expect(splitOf(outcome.bytes)).toEqual({ sizes: [2, 1, 2], parts: 0 });
  });

  test('a number of parts stays where it still gives them', async () => {
    const parts = equal(3, { num_outputs: 3 });
    const outcome = await compileRow(network({ dead: [0, 4, 6] }, parts), { opset: 18 });
    expect(outcome).toMatchObject({ equal: true, removed: 3, changesAgain: false });
    // 3, 3, 2 became 2, 2, 1.
    expect(splitOf(outcome.bytes)).toEqual({ sizes: undefined, parts: 3 });
  });

  test('of a part that nobody reads one channel stays', async () => {
    const parts = (g: GraphBuilder, x: string) => g.split(x, [5, 3])[1] ?? '';
    const outcome = await compileRow(network({ dead: [6], read: 3 }, parts));
    expect(outcome).toMatchObject({ equal: true, removed: 5, changesAgain: false });
    expect(splitOf(outcome.bytes).sizes).toEqual([1, 2]);
  });

  test('of a part that is wholly dead one channel stays', async () => {
    const parts = (g: GraphBuilder, x: string) => turned(g, g.split(x, [3, 5]));
    const outcome = await compileRow(network({ dead: [0, 1, 2, 4] }, parts));
    expect(outcome).toMatchObject({ equal: true, removed: 3, changesAgain: false });
    expect(splitOf(outcome.bytes).sizes).toEqual([1, 4]);
  });

  test('a part that is an output of the model stays whole', async () => {
    const parts = (g: GraphBuilder, x: string) => {
      const [first = '', second = ''] = g.split(x, [4, 4]);
      g.output(first);
      return second;
    };
    const outcome = await compileRow(network({ dead: [1, 2, 6, 7], read: 4 }, parts));
    expect(outcome).toMatchObject({ equal: true, removed: 2, changesAgain: false });
  });

  test('a cut through rows leaves channels alone', async () => {
    const parts = (g: GraphBuilder, x: string) => g.concat(g.split(x, [2, 3], 2), 2);
    const outcome = await compileRow(network({ dead: [1, 2, 6] }, parts));
    expect(outcome).toMatchObject({ equal: true, removed: 3, changesAgain: false });
    expect(splitOf(outcome.bytes).sizes).toEqual([2, 3]);
  });

  test('halves that gate each other shrink together', async () => {
    const gated = (g: GraphBuilder, x: string) => {
      const [value = '', gate = ''] = g.split(x, [4, 4]);
      return g.mul(value, g.op('Sigmoid', [gate]));
    };
    const outcome = await compileRow(network({ dead: [1, 3, 5, 6], read: 4 }, gated));
    // Channels 1 and 3 are 0, whatever gates them; 2 is live, and 6 gates it with 1/2.
    expect(outcome).toMatchObject({ equal: true, removed: 4, changesAgain: false });
  });
});

test('sizes that are not constant pin the axis', async () => {
  const parts = (g: GraphBuilder, x: string) => {
    const sizes = g.input('sizes', [2], INT64);
    const computed = g.add(g.mul(sizes, int64([0, 0])), int64([4, 4]));
    return turned(g, g.ops('Split', [x, computed], { axis: 1 }, { outputs: 2 }));
  };
  const outcome = await compileRow(network({ dead: [1, 2, 6] }, parts));
  expect(outcome.removed).toBe(0);
});
