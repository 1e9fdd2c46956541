/** A recurrent layer whose directions have other dead units becomes two, and each loses its own. */
import { describe, expect, test } from 'vitest';
import { graphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { Tensor } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';
import { verifyModels } from '../../src/verify/verify.js';
import { runPass, unchanged } from './run-pass.js';

const [INPUTS, HIDDEN, BATCH] = [3, 6, 2];
const GATES = { LSTM: 4, GRU: 3, RNN: 1 } as const;
type Type = keyof typeof GATES;

interface Given {
  readonly type?: Type;
  readonly opset?: number;
  /** Units without rows and biases, per direction. */
  readonly dead?: readonly [readonly number[], readonly number[]];
  /** Whether their biases stay: they hold another number at every step. */
  readonly keepsBias?: boolean;
  /** Rows of the last layer without weights. */
  readonly unread?: readonly number[];
  /** Units of both directions that no unit reads. */
  readonly unfed?: readonly number[];
  readonly activations?: readonly string[];
  /** Of a GRU: the reset is applied behind the product. */
  readonly isResetBehind?: boolean;
  readonly hasStates?: boolean;
  readonly readsLast?: boolean;
  /** What the turned output is merged to. */
  readonly merged?: readonly number[];
}

function network(given: Given = {}): Uint8Array {
  const { type = 'LSTM', opset = 17, dead = [[], []], unread = [], unfed = [], keepsBias = false } = given;
  const g = graphBuilder({ opset });
  const rows = GATES[type] * HIDDEN;
  const operand = (name: string, columns: number, count = rows) => {
    const data = normals(4, name, 2 * count * columns, 0.4).map((value, at) => {
      const [direction, row] = [Math.floor(at / columns / count), Math.floor(at / columns) % count];
      const isDead = dead[direction]?.includes(row % HIDDEN) === true && !(keepsBias && columns === 1);
      return isDead || (name === 'R' && unfed.includes(at % columns)) ? 0 : value;
    });
    return { data, dims: columns === 1 ? [2, count] : [2, count, columns] };
  };
  const state = (name: string) => ({
    data: normals(5, name, 2 * BATCH * HIDDEN).map((value, at) => (at % HIDDEN < 3 ? 0 : value)),
    dims: [2, BATCH, HIDDEN],
  });
  const states = given.hasStates === true ? ['', state('h'), ...(type === 'LSTM' ? [state('c')] : [])] : [];
  const attributes = {
    hidden_size: HIDDEN,
    direction: 'bidirectional',
    ...(given.isResetBehind === true && { linear_before_reset: 1 }),
    ...(given.activations && { activations: given.activations }),
  };
  const operands = [g.input('x', ['steps', BATCH, INPUTS]), operand('W', INPUTS), operand('R', HIDDEN)];
  const [all = '', last = ''] = g.ops(type, [...operands, operand('B', 1, 2 * rows), ...states], attributes, {
    outputs: 2,
    name: 'recurrent',
  });
  const features = given.merged?.at(-1) ?? -1;
  const turned = g.transpose(all, [0, 2, 1, 3]);
  const merged = g.op('Reshape', [turned, int64(given.merged ?? [0, 0, -1])]);
  const read = normals(6, 'read', 2 * HIDDEN * 4).map((w, at) => (unread.includes(Math.floor(at / 4)) ? 0 : w));
  const flat = features === -1 || features === 2 * HIDDEN ? merged : g.reshape(merged, [-1, BATCH, 2 * HIDDEN]);
  g.output(g.op('MatMul', [flat, { data: read, dims: [2 * HIDDEN, 4] }]));
  if (given.readsLast === true) g.output(last);
  return g.bytes();
}

/** Units that are left, per node. */
async function unitsLeft(given: Given): Promise<readonly (readonly [string, number])[]> {
  const bytes = network(given);
  const output = (await compileModel(bytes, { align: 1 })).encode();
  for (const shapes of [{ x: [4, BATCH, INPUTS] }, { x: [1, BATCH, INPUTS] }])
    expect(await verifyModels(bytes, output, { shapes })).toMatchObject({ equal: true });
  expect((await compileModel(output, { align: 1 })).report.changed).toBe(false);
  return readModel(output).graph.nodes.flatMap((node) =>
    node.opType in GATES ? [[node.string('direction', ''), node.int('hidden_size', 0)] as const] : [],
  );
}

const PARTED = [
  ['forward', HIDDEN - 3],
  ['reverse', HIDDEN - 1],
];

describe.each(['LSTM', 'GRU', 'RNN'] as const)('%s', (type) => {
  test.each([7, 14, 22])('each direction loses its own units, opset %d', async (opset) => {
    expect(await unitsLeft({ type, opset, dead: [[0, 2, 5], [2]] })).toEqual(PARTED);
  });

  test('units that are read by nobody in one direction', async () => {
    const given = { type, unread: [1, 3, HIDDEN + 4], unfed: [1, 3, 4], dead: [[0], []] } as const;
    expect(await unitsLeft(given)).toEqual(PARTED);
  });

  test('states, and activations of each direction', async () => {
    const names = { LSTM: ['Sigmoid', 'Tanh', 'Relu'], GRU: ['Sigmoid', 'Tanh'], RNN: ['Relu'] }[type];
    const given = { type, hasStates: true, activations: [...names, ...names], dead: [[0, 2, 5], [1]] } as const;
    // Unit 5 begins with another number than 0.
    expect(await unitsLeft(given)).toEqual([
      ['forward', HIDDEN - 2],
      ['reverse', HIDDEN - 1],
    ]);
  });

  test('a bias makes more than 0 of a unit, which stays', async () => {
    const left = await unitsLeft({ type, dead: [[0, 2, 5], [2]], keepsBias: true });
    expect(left).toEqual([['bidirectional', HIDDEN]]);
  });
});

test('a reset behind the product stays there', async () => {
  expect(await unitsLeft({ type: 'GRU', isResetBehind: true, dead: [[0, 2, 5], [2]] })).toEqual(PARTED);
});

test('exchanged directions are told apart', async () => {
  const given = { dead: [[0, 2, 5], [2]] } as const;
  const model = readModel((await runPass('part-directions', network(given))).bytes);
  const nodes = model.graph.nodes.filter(({ opType }) => opType === 'LSTM');
  const weights = nodes.map(({ inputs }) => inputs[1]);
  const [forward, reverse] = weights.map((value) => value?.initializer);
  for (const [value, other] of [
    [weights[0], reverse],
    [weights[1], forward],
  ] as const)
    if (value !== undefined && other !== undefined)
      value.initializer = Tensor.fromNumbers(other.dataType, other.dims, other.numbers());
  expect((await verifyModels(network(given), encodeModel(model))).equal).toBe(false);
});

describe('left as it is', () => {
  test.each<readonly [string, Given]>([
    [
      'the same units are dead in both',
      {
        dead: [
          [1, 2],
          [2, 1],
        ],
      },
    ],
    ['the last states are read', { dead: [[1], []], readsLast: true }],
    ['places are merged as well', { dead: [[1], []], merged: [1, -1, 2 * HIDDEN] }],
    ['directions are not side by side', { dead: [[1], []], merged: [0, -1, HIDDEN] }],
  ])('%s', async (_, given) => {
    expect(await unchanged('part-directions', network(given))).toContain('bidirectional');
  });
});
