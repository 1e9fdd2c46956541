/** A compiled model runs an empty batch where the original does: no -1 is left in computed targets. */
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';
import { Tensor } from '../../src/ir/tensor.js';
import { createSession } from '../../src/runtime/session.js';
import { compileRow, layer, MEANINGS, type Meaning } from '../differential/row-network.js';
import { weights } from './dead-pair.js';
import { changed, unchanged } from './run-pass.js';

const SIZES = [{ x: [2, 2, 3, 5] }, { x: [1, 2, 1, 1] }];
const EMPTY = [0, 2, 3, 5];

/** Filters without weights hold one constant. */
function hidden(g: GraphBuilder, x: string, name: string, dead: readonly number[], meaning: Meaning): string {
  const count = 12;
  const bias = Array.from({ length: count }, (_, at) =>
    dead.includes(at) ? (meaning === 'zero' ? 0.5 : 0) : 0.1 * at,
  );
  return g.relu(g.conv(x, weights(name, [count, 2, 1], { filters: dead }), { bias }));
}

async function runEmpty(bytes: Uint8Array): Promise<readonly (readonly number[])[]> {
  const session = await createSession(bytes, { optimize: false });
  try {
    const outputs = await session.run({ x: new ort.Tensor('float32', new Float32Array(), EMPTY) });
    return Object.values(outputs).map(({ dims }) => dims);
  } finally {
    await session.release();
  }
}

function sizeOf(g: GraphBuilder, x: string, axis: number): string {
  return g.op('Gather', [g.op('Shape', [x]), int64([axis])], { axis: 0 });
}

/** Pixels are shuffled at an open size: [N, 12, H, W] -> [N, 3, 2, 2, H, W] -> turned -> [N, 3, 2H, 2W]. */
function shuffled(meaning: Meaning, dead: readonly number[] = [4, 5, 6, 7]) {
  return (g: GraphBuilder) => {
    const x = g.input('x', ['batch', 2, 'height', 'width']);
    const made = hidden(g, x, 'hidden', dead, meaning);
    const [batch = '', height = '', width = ''] = [0, 2, 3].map((axis) => sizeOf(g, made, axis));
    const apart = g.op('Reshape', [made, g.concat([batch, int64([3, 2, 2]), height, width], 0)]);
    const turned = g.transpose(apart, [0, 1, 4, 2, 5, 3]);
    const double = (value: string) => g.mul(value, int64([2]));
    const whole = g.op('Reshape', [turned, g.concat([batch, int64([3]), double(height), double(width)], 0)]);
    g.output(layer(g, whole, { name: 'reader', out: 2, from: 3 }));
  };
}

/** Two layers that lose different channels, taken apart to one target. */
function shared(meaning: Meaning) {
  return (g: GraphBuilder) => {
    const x = g.input('x', ['batch', 2, 'height', 'width']);
    const [batch, height, width] = [0, 2, 3].map((axis) => sizeOf(g, x, axis));
    const target = g.concat([batch ?? '', int64([6, 2]), height ?? '', width ?? ''], 0);
    for (const [at, dead] of [
      [0, 1],
      [0, 1, 4, 5],
    ].entries()) {
      const apart = g.op('Reshape', [hidden(g, x, `hidden${at}`, dead, meaning), target]);
      const means = g.op('ReduceMean', [apart], { axes: [2], keepdims: 0 });
      g.output(layer(g, means, { name: `reader${at}`, out: 2, from: 6 }));
    }
  };
}

describe.each(MEANINGS)('meaning %s', (meaning) => {
  test.each([
    ['a pixel shuffle', shuffled(meaning), 4],
    ['a target that two Reshapes read', shared(meaning), 6],
  ])('%s', async (_, build, removed) => {
    const outcome = await compileRow(build, { sizes: SIZES });
    expect(outcome).toMatchObject({ equal: true, removed, changesAgain: false });
    const g = graphBuilder();
    build(g);
    expect(await runEmpty(outcome.bytes)).toEqual(await runEmpty(g.bytes()));
  });
});

test('with -1 the empty batch fails', async () => {
  const { bytes } = await compileRow(shuffled('zero'));
  const model = readModel(bytes);
  for (const part of model.graph.nodes.filter(({ opType }) => opType === 'Concat').flatMap(({ inputs }) => inputs)) {
    if (part?.initializer === undefined) continue;
    const { dataType, dims } = part.initializer;
    part.initializer = Tensor.fromNumbers(dataType, dims, [...part.initializer.numbers()].with(0, -1));
  }
  await expect(runEmpty(encodeModel(model))).rejects.toThrow('Reshape');
});

describe('the pass alone', () => {
  const reshaped = (build: (g: GraphBuilder, x: string, target: (part: readonly number[]) => string) => void) => {
    const g = graphBuilder();
    const x = g.relu(g.input('x', ['batch', 12, 'height', 'width']));
    build(g, x, (part) => g.concat([sizeOf(g, x, 0), int64(part), sizeOf(g, x, 2), sizeOf(g, x, 3)], 0));
    return g.bytes();
  };

  test('writes the number down', async () => {
    const bytes = reshaped((g, x, target) => g.output(g.op('Reshape', [x, target([-1, 2, 2])])));
    expect(await changed('close-targets', bytes)).toContain('Concat_output_0_closed int64 [3] {3 2 2}');
  });

  test('one target for each number', async () => {
    const bytes = reshaped((g, x, target) => {
      const both = target([-1, 2]);
      g.output(g.op('Reshape', [x, both]));
      g.output(g.op('Reshape', [g.concat([x, x], 1), both]));
    });
    const picture = await changed('close-targets', bytes);
    expect(picture).toContain('Concat_output_0_closed int64 [2] {6 2}');
    expect(picture).toContain('Concat_output_0_closed_2 int64 [2] {12 2}');
  });

  test('nothing is left that nobody reads: old formats do not load it', async () => {
    const { bytes } = await compileRow(shuffled('zero'), { opset: 8, sizes: SIZES });
    const { graph } = readModel(bytes);
    expect([...graph.initializers()].filter(({ uses }) => uses.length === 0)).toEqual([]);
    expect((await runEmpty(bytes))[0]?.[0]).toBe(0);
  });

  test('what depends on the size stays open', async () => {
    const bytes = reshaped((g, x) => g.output(g.op('Reshape', [x, g.concat([sizeOf(g, x, 0), int64([12, -1])], 0)])));
    expect(await unchanged('close-targets', bytes)).toContain('int64 [2] {12 -1}');
  });
});
