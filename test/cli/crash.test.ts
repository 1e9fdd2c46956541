/**
 * The whole command on a model that crashes ONNX Runtime at small sizes: nothing is left, whether
 * it is told to go there or not.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { ENGINE } from '../../src/cli/engine.js';
import { modelFolder, run } from './run-command.js';

/** InstanceNormalization of an image without its first row and column. */
function cropped(): Uint8Array {
  const g = graphBuilder();
  const weights = { data: normals(1, 'w', 12).fill(0, 0, 3), dims: [4, 3, 1, 1] };
  const first = g.relu(g.conv(g.input('x', ['n', 3, 'h', 'w']), weights));
  const second = g.conv(first, { data: normals(1, 'v', 12), dims: [3, 4, 1, 1] });
  const rest = g.slice(second, { axes: [2, 3], starts: [1, 1], ends: [Infinity, Infinity] });
  g.output(g.op('InstanceNormalization', [rest, { data: [1, 2, 3] }, { data: [0, 1, 2] }]));
  return g.bytes();
}

test('sizes that crash are not chosen, and an error where they are asked for', async () => {
  const { folder, model } = modelFolder();
  writeFileSync(model, cropped());
  const before = readdirSync(folder);
  const asked = await run([model, '--align', '1', '--shape', 'x=1,3,1,1'], { engine: ENGINE });
  expect(asked.code).toBe(2);
  expect(asked.stderr).toMatch(/why\s+ONNX Runtime crashed/);
  expect(readdirSync(folder)).toEqual(before);
  const { code, stdout } = await run([model, '--align', '1'], { engine: ENGINE });
  expect(code).toBe(0);
  expect(stdout).toMatch(/outputs equal\s+yes/);
});
