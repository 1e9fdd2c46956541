/**
 * The recipes of docs/masks.md, run as they stand by the tools that they are for; `npm run
 * test:torch` makes the environment.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { expect, test, onTestFinished } from 'vitest';
import { findVenv } from '../../kernels/test/venv.mjs';
import { compileModel } from '../../src/compile.js';
import { FileTensor } from '../../src/masks/contents.js';
import { readMaskFile } from '../../src/masks/read.js';
import { createSession } from '../../src/runtime/session.js';

/** Of the output's scale: rounding of sums in another order. */
const LIMIT = 1e-5;
const MOST_MS = 900_000;
const RECIPES = [
  'PyTorch, `torch.nn.utils.prune`',
  'PyTorch, masks alone',
  'safetensors',
  'ONNX',
  'NumPy',
  'Torch-Pruning',
  'Lightning',
];

const python = findVenv('torch') ?? '';
if (python === '')
  console.log('The recipes of docs/masks.md are not run: npm run test:torch makes a Python with PyTorch');

test.skipIf(python === '')(
  'what the tools write prunes what they pruned',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'prune-compile-recipes-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const [script, page] = ['mask_recipes.py', '../../docs/masks.md'].map((path) =>
      fileURLToPath(new URL(path, import.meta.url)),
    );
    const result = spawnSync(python, [script ?? '', page ?? ''], { cwd: folder, encoding: 'utf8' });
    expect(result.status, result.stderr).toBe(0);
    const { ran } = JSON.parse(result.stdout.trim().split('\n').at(-1) ?? '') as {
      ran: Record<string, { recipe: string; files: string[] }>;
    };
    expect(Object.values(ran).map(({ recipe }) => recipe)).toEqual(RECIPES);
    for (const [name, { recipe, files }] of Object.entries(ran)) {
      const at = (file: string) => join(folder, name, file);
      const masks = files.filter((file) => !file.startsWith('model.onnx'));
      // Of NumPy's two files one has all masks, the other those of one layer among them.
      const compiled = await compileModel(at('model.onnx'), { masks: masks.map(at), align: 1 });
      expect(compiled.report.masks?.zeros, recipe).toBeGreaterThan(0);
      const output = join(folder, name, 'small.onnx');
      compiled.write(output);
      const difference = await differenceOf(output, arrayIn(at('input.npy')), arrayIn(at('expected.npy')));
      expect(difference, recipe).toBeLessThan(LIMIT);
    }
  },
  MOST_MS,
);

function arrayIn(path: string): FileTensor {
  const { root } = readMaskFile(path);
  if (root instanceof FileTensor) return root;
  throw new Error(`${path} is no array`);
}

async function differenceOf(path: string, input: FileTensor, expected: FileTensor): Promise<number> {
  const session = await createSession(readFileSync(path));
  const [name = ''] = session.inputNames;
  const feed = Float32Array.from(input.toTensor().numbers());
  const outputs = await session.run({ [name]: new ort.Tensor('float32', feed, [...input.dims]) });
  const values = outputs[session.outputNames[0] ?? '']?.data as Float32Array;
  const wanted = expected.toTensor().numbers();
  const scale = Math.max(...Array.from(wanted, Math.abs));
  await session.release();
  expect(values).toHaveLength(wanted.length);
  return Math.max(...Array.from(values, (value, at) => Math.abs(value - (wanted[at] ?? 0)))) / scale;
}
