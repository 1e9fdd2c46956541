/**
 * Models whose Loop does not end in any time that somebody waits: the command as a process, which
 * has to end in spite of a run that goes on.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { BOOL, INT64 } from '../../src/ir/tensor.js';

const COMMAND = fileURLToPath(new URL('../../bin/prune-compile.js', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'prune-compile-endless-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Two layers, with a dead channel between them, and a Loop behind them. */
function looping(turns: bigint | undefined): Uint8Array {
  const body = graphBuilder();
  body.input('turn', [], INT64);
  body.input('before', [], BOOL);
  const state = body.input('state', [1, 4]);
  body.output(body.op('Identity', ['before']), [], BOOL);
  body.output(body.op('Neg', [state]), [1, 4]);
  const g = graphBuilder();
  const hidden = g.relu(g.gemm(g.input('x', [1, 4]), { data: normals(1, 'w', 32).fill(0, 0, 4), dims: [8, 4] }));
  const second = g.gemm(hidden, { data: normals(1, 'v', 32), dims: [4, 8] });
  const most = turns === undefined ? '' : g.constant({ data: [turns], dims: [], dataType: INT64 });
  const always = g.constant({ data: [true], dims: [] });
  g.output(g.op('Loop', [most, always, second], { body: { graph: body.graph() } }, { name: 'around' }));
  return g.bytes();
}

function prune(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, ...words], {
    encoding: 'utf8',
    timeout: 40_000,
  });
  return { status, stdout, stderr };
}

describe.each([
  ['2^62 turns', 2n ** 62n],
  ['a condition that stays true', undefined],
])('a Loop of %s', (_, turns) => {
  test.each(['compile', 'verify', 'bench'])('%s ends with an error', (command) => {
    const model = join(folder, 'model.onnx');
    writeFileSync(model, looping(turns));
    const words = {
      compile: [model, '--align', '1'],
      verify: ['verify', model, model],
      bench: ['bench', model],
    }[command];
    const { status, stderr } = prune(...(words ?? []), '--run-limit', '1');
    expect(stderr).toMatch(/one run of the model did not end within 1 seconds\s+\[E-MODEL-ENDLESS\]/);
    expect(status).toBe(2);
    expect(readdirSync(folder)).toEqual(['model.onnx']);
  });
});

test('it is compiled without the check, and a Loop that ends is checked', () => {
  const model = join(folder, 'model.onnx');
  writeFileSync(model, looping(2n ** 62n));
  expect(prune(model, '--align', '1', '--no-verify').status).toBe(0);
  writeFileSync(model, looping(10n));
  const { status, stdout } = prune(model, '--align', '1');
  expect([status, stdout]).toEqual([0, expect.stringMatching(/outputs equal\s+yes/)]);
});
