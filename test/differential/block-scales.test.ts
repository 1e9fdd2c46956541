/** Weights with a scale for each block of elements (DequantizeLinear-21, `block_size`). */
import { expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { verifyModels } from '../../src/verify/verify.js';

const [INPUTS, HIDDEN, BLOCK] = [8, 16, 4];
const ZERO_POINT = 5;

interface Network {
  /** Columns of the first weights at the zero point; rows of the second ones. */
  readonly deadColumns?: readonly number[];
  readonly deadRows?: readonly number[];
}

/** x [n, 8] -> blocks along the inputs, 16 columns -> Relu -> blocks along the inputs, 4 columns. */
function network({ deadColumns = [], deadRows = [] }: Network): Uint8Array {
  const g = graphBuilder({ opset: 21 });
  const decoded = (name: string, [rows, columns]: readonly [number, number], isZero: (at: number) => boolean) => {
    const numbers = normals(1, name, rows * columns);
    const codes = Int8Array.from(numbers, (value, at) => (isZero(at) ? ZERO_POINT : Math.round(value * 30)));
    const dims = [rows / BLOCK, columns];
    const scales = normals(2, name, (rows / BLOCK) * columns).map((value) => Math.abs(value) * 0.01 + 0.001);
    const zeros = new Int8Array(scales.length).fill(ZERO_POINT);
    const operands = [
      { data: codes, dims: [rows, columns] },
      { data: scales, dims },
      { data: zeros, dims },
    ];
    return g.op('DequantizeLinear', operands, { axis: 0, block_size: BLOCK });
  };
  const first = decoded('first', [INPUTS, HIDDEN], (at) => deadColumns.includes(at % HIDDEN));
  const hidden = g.relu(g.op('MatMul', [g.input('x', ['n', INPUTS]), first]));
  const second = decoded('second', [HIDDEN, 4], (at) => deadRows.includes(Math.floor(at / 4)));
  g.output(g.op('MatMul', [hidden, second]));
  return g.bytes();
}

/** The first weights alone, behind which numbers are stored as they are. */
function oneLayer(deadColumns: readonly number[]): Uint8Array {
  const g = graphBuilder({ opset: 21 });
  const codes = Int8Array.from(normals(1, 'codes', INPUTS * HIDDEN), (value, at) =>
    deadColumns.includes(at % HIDDEN) ? 0 : Math.round(value * 30),
  );
  const scales = normals(2, 'scales', (INPUTS / BLOCK) * HIDDEN).map((value) => Math.abs(value) * 0.01 + 0.001);
  const operands = [
    { data: codes, dims: [INPUTS, HIDDEN] },
    { data: scales, dims: [INPUTS / BLOCK, HIDDEN] },
  ];
  const weights = g.op('DequantizeLinear', operands, { axis: 0, block_size: BLOCK });
  const hidden = g.relu(g.op('MatMul', [g.input('x', ['n', INPUTS]), weights]));
  g.output(g.op('MatMul', [hidden, g.initializer('last', [HIDDEN, 4], normals(3, 'last', HIDDEN * 4))]));
  return g.bytes();
}

async function outcomeOf(bytes: Uint8Array) {
  const compiled = await compileModel(bytes, { align: 1 });
  const { before, after, remarks } = compiled.report;
  const { equal } = await verifyModels(bytes, compiled.encode(), { seeds: [1, 2] });
  return { equal, removed: before.channels - after.channels, held: remarks.filter(({ cause }) => cause !== undefined) };
}

test('columns go with their scales and zero points', async () => {
  expect(await outcomeOf(oneLayer([1, 3, 4]))).toEqual({ equal: true, removed: 3, held: [] });
});

test('along the axis of the blocks nothing goes, and it is said', async () => {
  for (const dead of [{ deadColumns: [1, 3, 4] }, { deadRows: [0, 1, 2, 3] }]) {
    const { equal, removed, held } = await outcomeOf(network(dead));
    expect({ equal, removed }).toEqual({ equal: true, removed: 0 });
    expect(held[0]).toMatchObject({ operator: 'DequantizeLinear' });
    expect(held[0]?.message).not.toContain('0 nodes');
  }
});
