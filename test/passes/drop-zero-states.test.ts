/** Initial states that are zeros are left out; others stay. */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder, type Input, int64 } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { changed, unchanged } from './run-pass.js';

const HIDDEN = 3;
const ZEROS = { data: [0], dims: [1, 1, 1] };

/** x [steps, batch, 2] -> GRU of three units. */
function network(state: (g: GraphBuilder, shape: string) => Input): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', ['steps', 'batch', 2]);
  const batch = g.op('Slice', [g.op('Shape', [x]), int64([1]), int64([2])]);
  const shape = g.concat([int64([1]), batch, int64([HIDDEN])], 0);
  const weights = (name: string, columns: number) => ({
    data: normals(1, name, 3 * HIDDEN * columns),
    dims: [1, 3 * HIDDEN, columns],
  });
  const operands = [x, weights('W', 2), weights('R', HIDDEN), '', '', state(g, shape)];
  g.output(g.op('GRU', operands, { hidden_size: HIDDEN }));
  return g.bytes();
}

describe('left out', () => {
  test.each<readonly [string, (g: GraphBuilder, shape: string) => Input]>([
    ['ConstantOfShape', (g, shape) => g.op('ConstantOfShape', [shape])],
    [
      'zeros that are expanded and cut',
      (g, shape) => g.slice(g.op('Expand', [ZEROS, shape]), { axes: [0], starts: [0], ends: [1] }),
    ],
  ])('%s', async (_, state) => {
    const [, after] = (await changed('drop-zero-states', network(state))).split('=>');
    expect(after).toMatch(/GRU\(x, GRU\.1 \[1,9,2\], GRU\.2 \[1,9,3\](, -)*\)/);
  });
});

describe('left as they are', () => {
  test.each<readonly [string, (g: GraphBuilder, shape: string) => Input]>([
    ['no state', () => ''],
    ['another number', (g, shape) => g.op('ConstantOfShape', [shape], { value: { data: [1], dims: [1] } })],
    [
      'zeros with something added',
      (g, shape) => g.add(g.op('ConstantOfShape', [shape]), { data: [0, 1, 0], dims: [3] }),
    ],
  ])('%s', async (_, state) => {
    expect(await unchanged('drop-zero-states', network(state))).toContain('unchanged');
  });
});
