/** Masks for transposed convolutions of which each group is one channel, as decoders have them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { makeMasks } from '../../src/mask-maker/make-masks.js';
import { verifyModels } from '../../src/verify/verify.js';

const CHANNELS = 8;
const folder = mkdtempSync(join(tmpdir(), 'prune-compile-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** `perGroup`: filters of each of the groups, which are as many as channels over `reads`. */
function network(reads = 1, perGroup = 1): Uint8Array {
  const g = graphBuilder();
  const stored = (name: string, dims: readonly number[]) =>
    g.initializer(
      name,
      dims,
      normals(
        3,
        name,
        dims.reduce((product, extent) => product * extent, 1),
      ),
    );
  const groups = CHANNELS / reads;
  const hidden = g.relu(g.conv(g.input('x', [1, 3, 5, 4]), stored('first.weight', [CHANNELS, 3, 1, 1])));
  const operands = [hidden, stored('up.weight', [CHANNELS, perGroup, 2, 2]), stored('up.bias', [groups * perGroup])];
  const up = g.op('ConvTranspose', operands, { kernel_shape: [2, 2], strides: [2, 2], group: groups });
  g.output(g.conv(g.relu(up), stored('last.weight', [2, groups * perGroup, 1, 1])));
  return g.bytes();
}

test.each(['zero', 'drop'] as const)('half of the filters, meaning %s', async (meaning) => {
  const bytes = network();
  const made = await makeMasks(bytes, { ratio: 0.5, exclude: ['first', 'last'], meaning });
  expect(made.report.layers.map(({ mask, shape, masked }) => ({ mask, shape, masked }))).toEqual([
    { mask: 'up.weight', shape: [CHANNELS, 1, 2, 2], masked: CHANNELS / 2 },
  ]);
  const path = join(folder, `${meaning}.npz`);
  made.write(path, 'npz');
  const compiled = await compileModel(bytes, { masks: [path], meaning, align: 1 });
  const { before, after } = compiled.report;
  // What only dead filters read goes as well.
  expect(before.channels - after.channels).toBe(CHANNELS);
  const masked = made.encode('onnx');
  expect(await verifyModels(masked, compiled.encode())).toMatchObject({ equal: true });
  // The same masks at other filters are another model.
  const other = await makeMasks(bytes, {
    ratio: 0.5,
    exclude: ['first', 'last'],
    meaning,
    criterion: 'random',
    seed: 7,
  });
  expect((await verifyModels(other.encode('onnx'), compiled.encode())).equal).toBe(false);
});

test('groups of several channels are no layer: no axis counts their filters', async () => {
  for (const [reads, perGroup] of [
    [2, 1],
    [1, 2],
    [2, 2],
  ]) {
    const { report } = await makeMasks(network(reads, perGroup), { ratio: 0.5 });
    expect(report.layers.map(({ mask }) => mask)).toEqual(['first.weight']);
  }
});
