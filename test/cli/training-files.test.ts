/** --channels and --state-dict: written with the model, under the same rules. */
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DIFFERENT } from '../report/sample.js';
import { PruneCompileError } from '../../src/errors.js';
import { CHANNELS, fakeEngine, modelFolder, run, STATE_DICT } from './run-command.js';

const differing = { verifyModels: () => Promise.resolve(DIFFERENT) };

test('both are written beside the model, and nothing else', async () => {
  const { folder, model, at } = modelFolder();
  const result = await run([model, '--channels', at('kept.json'), '--state-dict', at('small.safetensors')]);
  expect(result.code).toBe(0);
  expect(JSON.parse(readFileSync(at('kept.json'), 'utf8'))).toEqual(CHANNELS);
  expect(readFileSync(at('small.safetensors'))).toEqual(STATE_DICT);
  expect(readdirSync(folder)).toHaveLength(4);
  expect(result.stderr).toContain('kept.json, ');
});

test('the report says what a module cannot hold, to those who asked for the weights', async () => {
  const { model, at } = modelFolder();
  const asked = await run([model, '--json', '--channels', at('kept.json')]);
  expect(asked.stdout).toContain('1 layer computes what no module of the original network holds');
  expect((await run([model, '--json'])).stdout).not.toContain('"state-dict"');
});

test('a state dict that could not be loaded: nothing is written, not the model either', async () => {
  const { folder, model, at } = modelFolder();
  const { compileModel } = fakeEngine();
  const unloadable: typeof compileModel = async (source, options) => ({
    ...(await compileModel(source, options)),
    stateDict: () => {
      throw new PruneCompileError('E-STATE-DICT', { what: 'the state dict would miss 1 parameter' });
    },
  });
  const argv = [model, '-q', '--channels', at('kept.json'), '--state-dict', at('small.safetensors')];
  const result = await run(argv, { engine: { compileModel: unloadable } });
  expect([result.code, result.stderr.includes('E-STATE-DICT')]).toEqual([2, true]);
  expect(readdirSync(folder)).toHaveLength(1);
  expect((await run(argv.slice(0, 4), { engine: { compileModel: unloadable } })).code).toBe(0);
});

test('outputs that differ: neither is written, what was there stays; --keep-failed writes them', async () => {
  const { folder, model, at } = modelFolder();
  writeFileSync(at('kept.json'), 'old');
  const argv = [model, '-q', '--force', '--channels', at('kept.json'), '--state-dict', at('small.safetensors')];
  expect((await run(argv, { engine: differing })).code).toBe(1);
  expect(readFileSync(at('kept.json'), 'utf8')).toBe('old');
  expect(readdirSync(folder)).toHaveLength(2);
  expect((await run([...argv, '--keep-failed'], { engine: differing })).code).toBe(1);
  expect(JSON.parse(readFileSync(at('kept.json'), 'utf8'))).toEqual(CHANNELS);
  expect(existsSync(at('small.safetensors'))).toBe(true);
});

test.each([
  ['--channels', 'kept.json'],
  ['--state-dict', 'small.safetensors'],
])('%s never replaces the input, also under another name', async (option, name) => {
  const { model, at } = modelFolder();
  linkSync(model, at(name));
  for (const path of [model, at(name)]) {
    const { code, stderr } = await run([model, option, path]);
    expect([code, stderr.includes('E-OUTPUT-IS-INPUT'), stderr.includes(`${option} with another name`)]).toEqual([
      2,
      true,
      true,
    ]);
  }
  expect(readFileSync(model, 'utf8')).toBe('input');
});

test('one file cannot be two things; a folder is no file', async () => {
  const { model, at } = modelFolder();
  mkdirSync(at('folder'));
  const twice = await run([model, '--channels', at('x.json'), '--report', at('x.json')]);
  expect(twice.stderr).toContain('cannot be both a report and the kept channels');
  const asModel = await run([model, '-o', at('small.onnx'), '--state-dict', `${at('folder')}/../small.onnx`]);
  expect(asModel.stderr).toContain('cannot be both the model and the small weights');
  expect((await run([model, '--channels', at('folder')])).stderr).toContain('E-OUTPUT-UNWRITABLE');
  expect(existsSync(at('small.onnx'))).toBe(false);
});
