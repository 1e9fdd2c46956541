/** The sparse operators in this process; skipped, saying so, where the native library is not built. */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as ort from 'onnxruntime-node';
import { graphBuilder } from '../../fixtures/graph-builder.js';
import { normals, uniforms } from '../../fixtures/random.js';
import { EAGER } from '../../src/analysis/sparse-tables.js';
import { compileModel } from '../../src/compile.js';
import { kernelsPath } from '../../src/runtime/kernels.js';
import { createSession } from '../../src/runtime/user-session.js';

const isBuilt = existsSync(kernelsPath());
if (!isBuilt) console.log('sparse operators are not tested: npm run build:kernels makes their library');

const DIMS = [2, 16, 20, 20];

function model(): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', ['n', 16, 'h', 'w']);
  const weights = (name: string) => {
    const keep = uniforms(3, `${name}#keep`, 16 * 16 * 9);
    return {
      data: normals(3, name, 16 * 16 * 9, 0.2).map((value, at) => ((keep[at] ?? 0) < 0.8 ? 0 : value)),
      dims: [16, 16, 3, 3],
    };
  };
  const first = g.relu(g.conv(x, weights('a'), { pads: 1 }));
  g.output(g.op('Abs', [g.conv(first, weights('b'), { pads: 1 })]));
  return g.bytes();
}

test.skipIf(!isBuilt)('are the same to the bit between runs, sessions and numbers of threads', async () => {
  const compiled = (await compileModel(model(), { sparse: true, sparseTarget: EAGER, shapes: { x: DIMS } })).encode();
  const feed = { x: new ort.Tensor('float32', normals(3, 'x', 2 * 16 * 400), DIMS) };
  const results: Float32Array[] = [];
  for (const intraOpNumThreads of [1, 2, 1]) {
    const session = await createSession(compiled, { intraOpNumThreads });
    for (let run = 0; run < 2; run++) {
      const [output] = Object.values(await session.run(feed));
      if (!(output?.data instanceof Float32Array)) throw new Error('no float output');
      results.push(Float32Array.from(output.data));
    }
    await session.release();
  }
  for (const result of results) expect(result).toEqual(results[0]);
});

test.skipIf(!isBuilt)('leave sessions of other models as they were', async () => {
  const dense = model();
  const before = await ort.InferenceSession.create(dense);
  const after = await createSession(dense);
  const feed = { x: new ort.Tensor('float32', normals(4, 'x', 2 * 16 * 400), DIMS) };
  const [one, other] = [await before.run(feed), await after.run(feed)];
  expect(Object.values(one)[0]?.data).toEqual(Object.values(other)[0]?.data);
});
