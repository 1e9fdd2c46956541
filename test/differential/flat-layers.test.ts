/**
 * Transformer blocks whose layers read places of all sequences in one axis, as GPT-2 is exported:
 * [N, S, E] -> [N * S, E] -> Gemm -> [N, S, 3 * E], with both sizes free. The targets are computed
 * once, and all blocks read them.
 */
import { expect, test } from 'vitest';
import { graphBuilder, int64, scalar } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { readModel } from '../../src/onnx/read.js';
import { verifyModels } from '../../src/verify/verify.js';

const [HEADS, CHANNELS, HIDDEN] = [4, 3, 10];
const WIDTH = HEADS * CHANNELS;
const BLOCKS = 2;

interface Dead {
  readonly columns?: readonly number[];
  readonly rows?: readonly number[];
}

/** Values of head 1 and output rows of head 2 are zero, and every other hidden unit. */
function network(): Uint8Array {
  const g = graphBuilder({ opset: 18 });
  const x = g.input('x', ['batch', 'length', WIDTH]);
  const size = (axis: number) => g.op('Shape', [x], { start: axis, end: axis + 1 });
  const sizes = [size(0), size(1)];
  const target = (...last: readonly number[]) => g.concat([...sizes, ...last.map((extent) => int64([extent]))], 0);
  const targets = new Map([3 * WIDTH, WIDTH, HIDDEN].map((width) => [width, target(width)]));
  const ofHeads = target(HEADS, CHANNELS);
  const layer = (input: string, name: string, rows: number, columns: number, dead: Dead) => {
    const isDead = (row: number, column: number) =>
      dead.rows?.includes(row) === true || dead.columns?.includes(column) === true;
    const weight = normals(3, name, rows * columns, 0.3).map((value, at) =>
      isDead(Math.floor(at / columns), at % columns) ? 0 : value,
    );
    const bias = normals(4, name, columns).map((value, at) => (isDead(-1, at) ? 0 : value));
    const flat = g.reshape(input, [-1, rows]);
    const y = g.op('Gemm', [flat, g.initializer(`${name}.weight`, [rows, columns], weight), { data: bias }]);
    const made = g.op('Reshape', [y, targets.get(columns) ?? '']);
    // Exporters write it down, and it does not stay true.
    g.valueInfo(made, ['batch', 'length', columns]);
    return made;
  };
  const channelsOf = (head: number) => Array.from({ length: CHANNELS }, (_, at) => head * CHANNELS + at);
  let stream = x;
  for (let block = 0; block < BLOCKS; block++) {
    const packed = layer(stream, `attention ${block}`, WIDTH, 3 * WIDTH, {
      columns: channelsOf(2 * HEADS + 1),
    });
    const parts = ['query', 'key', 'value'].map((name) => `${name} ${block}`);
    g.op('Split', [packed], { axis: 2, num_outputs: 3 }, { outputs: parts });
    const [query = '', key = '', value = ''] = parts.map((part) => g.op('Reshape', [part, ofHeads]));
    const scores = g.op('MatMul', [g.transpose(query, [0, 2, 1, 3]), g.transpose(key, [0, 2, 3, 1])]);
    const attended = g.op('MatMul', [g.op('Softmax', [scores], { axis: -1 }), g.transpose(value, [0, 2, 1, 3])]);
    const merged = g.reshape(g.transpose(attended, [0, 2, 1, 3]), [-1, WIDTH]);
    stream = g.add(stream, layer(merged, `projection ${block}`, WIDTH, WIDTH, { rows: channelsOf(2) }));
    const units = Array.from({ length: HIDDEN / 2 }, (_, at) => 2 * at);
    const hidden = layer(stream, `hidden ${block}`, WIDTH, HIDDEN, { columns: units });
    const cubed = g.mul(g.op('Pow', [hidden, scalar(3)]), scalar(0.04));
    const active = g.mul(hidden, g.add(g.op('Tanh', [g.add(hidden, cubed)]), scalar(1)));
    stream = g.add(stream, layer(active, `output ${block}`, HIDDEN, WIDTH, {}));
  }
  g.output(stream);
  return g.bytes();
}

test('heads and hidden units go at two free sizes', async () => {
  const bytes = network();
  const compiled = await compileModel(bytes, { align: 1 });
  const output = compiled.encode();
  for (const x of [
    [2, 5, WIDTH],
    [1, 1, WIDTH],
    [3, 7, WIDTH],
  ])
    expect(await verifyModels(bytes, output, { seeds: [1], shapes: { x } })).toMatchObject({ equal: true });
  const weights = readModel(output).graph.nodes.flatMap(({ opType, inputs }) =>
    opType === 'Gemm' ? [inputs[1]?.initializer?.dims] : [],
  );
  const left = (HEADS - 2) * CHANNELS;
  const block = [
    [WIDTH, 3 * left],
    [left, WIDTH],
    [WIDTH, HIDDEN / 2],
    [HIDDEN / 2, WIDTH],
  ];
  expect(weights).toEqual([...block, ...block]);
  expect((await compileModel(output, { align: 1 })).report.changed).toBe(false);
});
