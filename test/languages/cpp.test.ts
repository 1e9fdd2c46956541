/**
 * A compiled model in a C++ program, with the runtime of onnxruntime-node: the same bits as in
 * Node.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { createSession } from '../../src/runtime/user-session.js';
import { compiler, COMPILER, LIBRARY, needs } from '../support/needs.js';
import { compiledPair, DIMS, INPUT } from './compiled-pair.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const kernels = join(root, 'kernels');
const runtimes = join(root, 'node_modules/onnxruntime-node/bin/napi-v6');
const runtime = join(runtimes, process.platform, process.arch, 'libonnxruntime.so.1');
const needsAll = needs(LIBRARY, COMPILER, {
  present: existsSync(runtime),
  missing: 'onnxruntime-node has no libonnxruntime.so.1 for this system',
  remedy: 'run it on Linux',
});

/** As use_from_cpp.cc makes it. */
const input = Float32Array.from({ length: DIMS.reduce((size, extent) => size * extent, 1) }, (_, at) => {
  return (((37 * at) % 101) - 50) / 64;
});

test('a C++ program registers the library, runs the model and gets what Node gets', needsAll, async () => {
  const { folder, library, sparse, output } = await compiledPair();
  const program = join(folder, 'use_from_cpp');
  const source = join(kernels, 'test', 'use_from_cpp.cc');
  const flags = ['-std=c++20', '-O1', '-Wall', '-Wextra', '-Werror', '-I', join(kernels, 'include')];
  const built = spawnSync(compiler, [...flags, source, '-o', program, '-ldl'], { encoding: 'utf8' });
  expect(built.status, built.stderr).toBe(0);
  const run = (...args: string[]) => spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28 });

  const { status, stdout, stderr } = run(runtime, library, sparse, INPUT, output, ...DIMS.map(String));
  expect(status, stderr).toBe(0);
  const [extents = '', ...values] = stdout.trimEnd().split('\n');
  const session = await createSession(sparse, { intraOpNumThreads: 1 });
  const wanted = (await session.run({ [INPUT]: new ort.Tensor('float32', input, DIMS) }))[output];
  expect(extents.trim().split(' ').map(Number)).toEqual(wanted?.dims);
  expect(Float32Array.from(values, Number)).toEqual(wanted?.data);

  const missing = run(runtime, `${library}.none`, sparse, INPUT, output, ...DIMS.map(String));
  expect(missing.status).toBe(1);
  expect(missing.stderr).toContain(`${library}.none`);
});
