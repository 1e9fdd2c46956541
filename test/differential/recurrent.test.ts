/**
 * Hidden units of recurrent layers: those that stay 0 go, and those that nobody reads, themselves at
 * the next step included. So do inputs that are 0 or have no weights.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder, type Input } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { readModel } from '../../src/onnx/read.js';
import { verifyModels } from '../../src/verify/verify.js';

const INPUTS = 6;
const HIDDEN = 8;
const GATES = { LSTM: 4, GRU: 3, RNN: 1 } as const;
type Type = keyof typeof GATES;
const TYPES = ['LSTM', 'GRU', 'RNN'] as const;

interface Given {
  readonly type?: Type;
  readonly direction?: 'forward' | 'reverse' | 'bidirectional';
  /** Units without rows in any gate, per direction. */
  readonly dead?: readonly (readonly number[])[];
  /** Whether their biases stay. */
  readonly hasLiveBias?: boolean;
  /** Units that no unit reads. */
  readonly unfed?: readonly number[];
  /** Features of Y that the last layer does not read. */
  readonly unread?: readonly number[];
  /** Inputs that are 0, and inputs without weights. */
  readonly deadInputs?: readonly number[];
  readonly unreadInputs?: readonly number[];
  readonly attributes?: Parameters<GraphBuilder['op']>[2];
  readonly opset?: number;
  /** initial_h, initial_c and P; sequence_lens. */
  readonly others?: (directions: number) => Partial<Record<'lengths' | 'h' | 'c' | 'p', Input>>;
  readonly output?: 'Y' | 'Y_h';
}

/** A matrix [rows, columns] per direction, without some rows and columns. */
function matrix(
  name: string,
  rows: number,
  columns: number,
  directions: number,
  zero: (direction: number, row: number, column: number) => boolean,
) {
  const data = normals(4, name, directions * rows * columns, 0.4).map((value, at) => {
    const [direction, row] = [Math.floor(at / rows / columns), Math.floor(at / columns) % rows];
    return zero(direction, row, at % columns) ? 0 : value;
  });
  return { data, dims: columns === 1 ? [directions, rows] : [directions, rows, columns] };
}

function network(given: Given): Uint8Array {
  const { type = 'LSTM', direction = 'forward', dead = [[]], hasLiveBias = false, unfed = [], opset = 17 } = given;
  const { unread = [], deadInputs = [], unreadInputs = [], output = 'Y' } = given;
  const g = graphBuilder({ opset });
  const directions = direction === 'bidirectional' ? 2 : 1;
  const rows = GATES[type] * HIDDEN;
  const isDead = (which: number, row: number) => dead[which]?.includes(row % HIDDEN) === true;
  const x = g.input('x', ['steps', 2, 3]);
  const made = matrix('made', 3, INPUTS, 1, (_, __, column) => deadInputs.includes(column));
  const inputs = g.op('Tanh', [g.op('MatMul', [x, { data: made.data, dims: [3, INPUTS] }])]);
  const { lengths = '', h = '', c = '', p = '' } = given.others?.(directions) ?? {};
  const operands: Input[] = [
    inputs,
    matrix('W', rows, INPUTS, directions, (which, row, column) => isDead(which, row) || unreadInputs.includes(column)),
    matrix('R', rows, HIDDEN, directions, (which, row, column) => isDead(which, row) || unfed.includes(column)),
    matrix('B', 2 * rows, 1, directions, (which, row) => !hasLiveBias && isDead(which, row)),
    lengths,
    h,
    ...(type === 'LSTM' ? [c, p] : []),
  ];
  const attributes = { hidden_size: HIDDEN, direction, ...given.attributes };
  const [all = '', last = ''] = g.ops(type, operands, attributes, { outputs: 2, name: 'recurrent' });
  const features = directions * HIDDEN;
  const merged =
    output === 'Y'
      ? g.reshape(g.transpose(all, [0, 2, 1, 3]), [0, 0, -1])
      : g.reshape(g.transpose(last, [1, 0, 2]), [2, -1]);
  const read = matrix('read', features, 4, 1, (_, row) => unread.includes(row));
  g.output(g.op('MatMul', [merged, { data: read.data, dims: [features, 4] }]));
  return g.bytes();
}

async function compiled(given: Given) {
  const bytes = network(given);
  const result = await compileModel(bytes, { align: 1 });
  const output = result.encode();
  const node = readModel(output).graph.findNode('recurrent');
  for (const shapes of [{ x: [4, 2, 3] }, { x: [1, 2, 3] }])
    expect(await verifyModels(bytes, output, { shapes })).toMatchObject({ equal: true });
  expect((await compileModel(output, { align: 1 })).report.changed).toBe(false);
  const [hidden, inputs] = [node?.int('hidden_size', 0), node?.inputs[1]?.initializer?.dims[2]];
  return { hidden, inputs };
}

const states = (directions: number, name: string, isZero: (unit: number) => boolean): Input => ({
  data: normals(6, name, directions * 2 * HIDDEN).map((value, at) => (isZero(at % HIDDEN) ? 0 : value)),
  dims: [directions, 2, HIDDEN],
});

describe.each(TYPES)('%s', (type) => {
  test.each([7, 14, 22])('units that stay 0 go, opset %d', async (opset) => {
    expect(await compiled({ type, dead: [[0, 2, 5]], opset })).toEqual({ hidden: HIDDEN - 3, inputs: INPUTS });
  });

  test('both directions lose the units that are dead in both', async () => {
    const given = {
      type,
      direction: 'bidirectional',
      // With Y each direction is a layer of its own (part-directions).
      output: 'Y_h',
      dead: [
        [0, 2, 5],
        [2, 5, 6],
      ],
    } as const;
    expect(await compiled(given)).toEqual({ hidden: HIDDEN - 2, inputs: INPUTS });
  });

  test.each(['Y', 'Y_h'] as const)('units that nobody reads go, where %s is read', async (output) => {
    const given = { type, unfed: [1, 3], unread: [1, 3, 4], hasLiveBias: true, output } as const;
    expect(await compiled(given)).toEqual({ hidden: HIDDEN - 2, inputs: INPUTS });
  });

  test('units that stay 0 go, the reset applied behind the product', async () => {
    const attributes = type === 'GRU' ? { linear_before_reset: 1 } : {};
    expect(await compiled({ type, dead: [[0, 2, 5]], attributes })).toEqual({ hidden: HIDDEN - 3, inputs: INPUTS });
  });

  test('units that the next step reads stay', async () => {
    expect(await compiled({ type, unread: [1, 3] })).toEqual({ hidden: HIDDEN, inputs: INPUTS });
  });

  test('a bias makes more than 0 of a unit', async () => {
    expect(await compiled({ type, dead: [[0, 2]], hasLiveBias: true })).toEqual({ hidden: HIDDEN, inputs: INPUTS });
  });

  test('inputs that are 0 go, and those without weights', async () => {
    expect(await compiled({ type, deadInputs: [0, 4], unreadInputs: [1] })).toEqual({
      hidden: HIDDEN,
      inputs: INPUTS - 3,
    });
  });

  test('states and lengths: a unit that begins with another number stays', async () => {
    const isZero = (unit: number) => unit !== 5;
    const others = (directions: number) => ({
      lengths: { data: Int32Array.of(1, 1) },
      h: states(directions, 'h', isZero),
      ...(type === 'LSTM' && {
        c: states(directions, 'c', isZero),
        p: { data: normals(7, 'p', directions * 3 * HIDDEN), dims: [directions, 3 * HIDDEN] },
      }),
    });
    expect(await compiled({ type, dead: [[0, 2, 5]], direction: 'reverse', others })).toEqual({
      hidden: HIDDEN - 2,
      inputs: INPUTS,
    });
  });

  test('a bound: everything stays', async () => {
    const attributes = { clip: { float: 0.5 } };
    expect(await compiled({ type, dead: [[0, 2]], attributes, deadInputs: [1] })).toEqual({
      hidden: HIDDEN,
      inputs: INPUTS,
    });
  });

  test.each(['forward', 'bidirectional'] as const)('activations that are written down, %s', async (direction) => {
    const activations = { LSTM: ['Sigmoid', 'Tanh', 'relu'], GRU: ['Sigmoid', 'Relu'], RNN: ['Tanh'] }[type];
    const directions = direction === 'forward' ? 1 : 2;
    const attributes = { activations: Array.from({ length: directions }, () => activations).flat() };
    const dead = Array.from({ length: directions }, () => [0, 2]);
    expect(await compiled({ type, dead, attributes, direction, deadInputs: [1] })).toEqual({
      hidden: HIDDEN - 2,
      inputs: INPUTS - 1,
    });
  });

  test('an activation that makes more than 0 of 0: units stay, inputs go', async () => {
    const activations = { LSTM: ['Sigmoid', 'Tanh', 'Sigmoid'], GRU: ['Sigmoid', 'Sigmoid'], RNN: ['Sigmoid'] }[type];
    expect(await compiled({ type, dead: [[0, 2]], attributes: { activations }, deadInputs: [1] })).toEqual({
      hidden: HIDDEN,
      inputs: INPUTS - 1,
    });
  });
});
