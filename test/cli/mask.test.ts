/** The command `mask`: where masks go, what is printed, and what is refused before any work. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ENGINE } from '../../src/cli/engine.js';
import { readMaskFile } from '../../src/masks/read.js';
import { matrixNetwork, residualNetwork } from '../mask-maker/networks.js';
import { modelFolder, run, withoutTimes } from './run-command.js';

const engine = { makeMasks: ENGINE.makeMasks };

function network(bytes = residualNetwork()) {
  const place = modelFolder();
  writeFileSync(place.model, bytes);
  return place;
}

test('writes beside the input and says what the compiler will remove', async () => {
  const { folder, model, at } = network();
  const { code, stdout, stderr } = await run(['mask', model, '--groups', 'residual', '--width-multiple', '4'], {
    engine,
  });
  expect([code, withoutTimes(stderr)]).toEqual([0, ['masks T   4 masks, 1464 zeros', 'write T   3.5 kB', '']]);
  expect(readdirSync(folder).toSorted()).toEqual(['model.masks.safetensors', 'model.onnx']);
  expect(stdout.replaceAll(`${folder}/`, '')).toBe(`model.onnx -> model.masks.safetensors
filters by l1, 50.0 % of each layer, groups aligned, widths a multiple of 4
1 464 of 2 928 weights in 4 layers become zero (50.0 %)

filters  masked  weights 0  channels  removable  layer
     24      12     50.0 %        24         12  Conv /stem/Conv
     40      20     50.0 %        40         20  Conv /block/expand/Conv
     40      20     50.0 %        40         20  Conv /block/depth/Conv
     24      12     50.0 %        24         12  Conv /block/project/Conv

no mask: /fc/Gemm: /fc/Gemm_output_0 is an output of the model and keeps its
  shape

what the compiler will remove of it:
                        now           compiled      change
channels                133           69            -64
parameters              3 176         1 113         -65.0 %
MACs                    105 528       35 484        -66.4 %

next: prune-compile model.onnx --masks model.masks.safetensors
`);
  expect(readMaskFile(at('model.masks.safetensors')).format).toBe('safetensors');
});

test('scattered zeros: it says plainly that they save nothing', async () => {
  const { model, at } = network();
  const { stdout } = await run(['mask', model, '--granularity', '2:4', '-o', at('m.onnx'), '-q'], { engine });
  expect(stdout).toContain('These zeros remain: dense kernels do not skip zeros, so they save no time.');
  expect(stdout).toContain(`next: prune-compile ${at('m.onnx')} --sparse\n`);
  expect(stdout.split('\n').filter((line) => line.length > 80 && !line.includes(at('')))).toEqual([]);
});

test('--json: one object; formats by the name of the output', async () => {
  const { model, at } = network(matrixNetwork());
  for (const name of ['m.npz', 'm.JSON', 'm.safetensors', 'm.onnx']) {
    const { code, stdout, stderr } = await run(
      ['mask', model, '-o', at(name), '--json', '--ratio', '25%', '--seed', '4', '--criterion', 'random'],
      { engine },
    );
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toMatchObject({
      schema: 1,
      model,
      output: at(name),
      sizeBytes: readFileSync(at(name)).length,
      unit: 'filter',
      options: { granularity: 'filter', criterion: 'random', ratio: 0.25, seed: 4, groups: 'none', scope: 'layer' },
      layers: [{ mask: 'first' }, { mask: 'square' }],
      skipped: [{ node: '/last/MatMul' }],
    });
  }
});

test('a model from standard input', async () => {
  const { at } = modelFolder();
  const argv = ['mask', '-', '-o', at('m.json'), '-q'];
  const { code, stdout } = await run(argv, { engine, stdin: residualNetwork() });
  expect([code, existsSync(at('m.json'))]).toEqual([0, true]);
  expect(stdout).toMatch(/^standard input -> /);
});

test.each([
  [['--ratio', '1.5'], '--ratio takes a number above 0 and below 1, not "1.5"    [E-USAGE]'],
  [['--criterion', 'l3'], '--criterion takes one of l1, l2, random, fpgm, bn-scale, not "l3"    [E-USAGE]'],
  [['-o', 'masks.pth'], 'the name masks.pth does not say a format    [E-USAGE]'],
  [['--granularity', 'filter', '--bench'], 'mask has no option --bench    [E-USAGE]'],
])('%j', async (options, message) => {
  const { model } = modelFolder();
  const { code, stderr } = await run(['mask', model, ...options]);
  expect([code, stderr.split('\n')[0]]).toEqual([2, `prune-compile: ${message}`]);
});

test('standard input has no name to call the masks after; the input is never replaced', async () => {
  const { model } = modelFolder();
  expect((await run(['mask', '-'])).stderr).toContain('masks of a model from standard input need a file    [E-USAGE]');
  expect((await run(['mask', model, '-o', model])).stderr).toContain('[E-OUTPUT-IS-INPUT]');
  expect(readFileSync(model, 'utf8')).toBe('input');
});

test('a failure leaves nothing behind', async () => {
  const { folder, model } = network();
  const { code, stderr } = await run(['mask', model, '--exclude', 'nothing'], { engine });
  expect([code, stderr.split('\n')[0]]).toEqual([
    2,
    'prune-compile: there is no layer called "nothing" to exclude    [E-NODE-UNKNOWN]',
  ]);
  expect(readdirSync(folder)).toEqual(['model.onnx']);
});
