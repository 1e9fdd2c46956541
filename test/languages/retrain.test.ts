/**
 * docs/retrain.md with PyTorch itself, from its exporters to training steps; `npm run test:torch`
 * makes the environment.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test, onTestFinished } from 'vitest';
import { findVenv } from '../../kernels/test/venv.mjs';
import { renderChannels } from '../../src/retraining/channels.js';
import { compileModel } from '../../src/compile.js';

/** Of the output's scale: rounding of sums in another order. */
const LIMIT = 1e-5;
const MOST_MS = 900_000;

/**
 * What each export has: all parameters of the module, or convolutions that normalisations were
 * folded into.
 */
const EXPORTS = { torchscript: 'all', unoptimised: 'all', folded: 'folded', dynamo: 'folded', hooks: 'some' } as const;
const MEANINGS = ['zero', 'drop'] as const;

interface Made {
  readonly equal: boolean;
  readonly keys: readonly string[];
}

interface Trained {
  readonly keys: readonly string[];
  readonly difference: number;
  readonly unheld: number;
  readonly finite: boolean;
  readonly moved: number;
}

const python = findVenv('torch') ?? '';
if (python === '') console.log('Training on with PyTorch is not tested: npm run test:torch makes a Python with it');

test.skipIf(python === '')(
  'a trained ResNet: every export loads strictly, computes what the compiled model does, and trains on',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'prune-compile-retrain-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const { equal, keys } = inPython(folder, 'make') as Made;
    expect(equal, 'the biases that exporters store once').toBe(true);
    const names: string[] = [];
    for (const form of Object.keys(EXPORTS))
      for (const meaning of MEANINGS) {
        const masks = form === 'hooks' ? [] : [join(folder, 'masks.pth')];
        const compiled = await compileModel(join(folder, `${form}.onnx`), { masks, meaning, align: 1 });
        const name = `${form}.${meaning}`;
        compiled.write(join(folder, `${name}.small.onnx`));
        writeFileSync(join(folder, `${name}.json`), renderChannels(compiled.channels()));
        writeFileSync(join(folder, `${name}.safetensors`), compiled.stateDict());
        names.push(name);
      }
    const trained = inPython(folder, 'train', ...names) as Readonly<Record<string, Trained>>;
    for (const [form, has] of Object.entries(EXPORTS))
      for (const meaning of MEANINGS) {
        const name = `${form}.${meaning}`;
        const found = trained[name];
        expect(found, name).toMatchObject({ finite: true, moved: 1 });
        // With `zero` the constants of masked filters are in no module; the report says so.
        if (meaning === 'drop') expect(found?.unheld, name).toBe(0);
        if (found?.unheld === 0) expect(found.difference, name).toBeLessThan(LIMIT);
        const lost = keys.filter((key) => found?.keys.includes(key) === false && !isOfRemovedLayer(key, found.keys));
        if (has === 'all') expect(lost, name).toEqual([]);
      }
  },
  MOST_MS,
);

/** A branch that is zero is gone with its normalisation. */
function isOfRemovedLayer(key: string, keys: readonly string[]): boolean {
  const module = key.slice(0, key.lastIndexOf('.'));
  return !keys.some((other) => other.startsWith(`${module}.`));
}

function inPython(folder: string, ...args: readonly string[]): unknown {
  const script = fileURLToPath(new URL('trained_resnet.py', import.meta.url));
  const { status, stdout, stderr } = spawnSync(python, [script, ...args], { cwd: folder, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}
