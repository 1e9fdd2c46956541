/** The config file that is found by itself, --dry-run and --verbose. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ENGINE } from '../../src/cli/engine.js';
import { residualNetwork } from '../mask-maker/networks.js';
import { modelFolder, run } from './run-command.js';

const COMMAND = fileURLToPath(new URL('../../bin/prune-compile.js', import.meta.url));

function network() {
  const place = modelFolder();
  writeFileSync(place.model, residualNetwork());
  return place;
}

describe('prune-compile.config.json of the working directory', () => {
  function inspect(folder: string, ...options: readonly string[]) {
    const argv = [COMMAND, 'inspect', 'model.onnx', ...options];
    return spawnSync(process.execPath, argv, { cwd: folder, encoding: 'utf8' });
  }

  test('is used and told; --no-config and --config leave it alone', () => {
    const { folder, at } = network();
    writeFileSync(at('prune-compile.config.json'), '{ "json": true }');
    writeFileSync(at('other.json'), '{ "quiet": true }');
    const found = inspect(folder);
    expect([found.status, JSON.parse(found.stdout)]).toMatchObject([0, { schema: 1 }]);
    const shown = inspect(folder, '--no-json');
    expect(shown.stderr).toContain('prune-compile.config.json was found and is used (--no-config ignores it)');
    for (const options of [['--no-config'], ['--config', 'other.json']]) {
      const { status, stdout, stderr } = inspect(folder, ...options);
      expect([status, stdout.startsWith('{'), stderr]).toEqual([0, false, '']);
    }
  });

  test('a mistake in it names the file; it starts no command', () => {
    const { folder, at } = network();
    writeFileSync(at('prune-compile.config.json'), '{ "jsson": true }');
    expect(inspect(folder)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('jsson in prune-compile.config.json is not an option') as unknown,
    });
    writeFileSync(at('prune-compile.config.json'), '{ "evaluate": "touch here" }');
    expect(inspect(folder).stderr).toContain('is a command, which only files that are named may give');
    expect(existsSync(at('here'))).toBe(false);
  });
});

describe('--dry-run', () => {
  test('compile: the result and what would be written; nothing is', async () => {
    const { folder, model, at } = network();
    await run(['mask', model, '-o', at('m.json'), '-q'], { engine: { makeMasks: ENGINE.makeMasks } });
    const before = readdirSync(folder);
    const engine = { compileModel: ENGINE.compileModel };
    const argv = [model, '--masks', at('m.json'), '--dry-run', '--bench', '--report', at('r.html')];
    const { code, stdout } = await run(argv, { engine });
    expect(code).toBe(0);
    expect(stdout).toContain('parameters');
    expect(stdout).toContain(
      `dry run: nothing was written, verified or measured; it would write ${at('model.pruned.onnx')}, ${at('r.html')}`,
    );
    expect(readdirSync(folder)).toEqual(before);
    const gate = await run([...argv, '--min-removed', '99', '--json'], { engine });
    expect([gate.code, JSON.parse(gate.stdout)]).toMatchObject([1, { dryRun: true, changed: true }]);
  });

  test('mask and explore', async () => {
    const { folder, model } = network();
    const engine = { makeMasks: ENGINE.makeMasks, planExploration: ENGINE.planExploration };
    const masks = await run(['mask', model, '--dry-run', '-q'], { engine });
    expect([masks.code, masks.stdout]).toEqual([0, expect.stringContaining('dry run: nothing was written')]);
    const argv = ['explore', model, '--granularities', 'filter', '--ratios', '0.5,0.9', '--dry-run'];
    const points = await run(argv, { engine });
    expect(points.stdout).toMatch(
      /^ {2}filter 90 % l1\n {2}filter 50 % l1\n\ndry run: nothing was measured; it would measure 2 points/,
    );
    expect(readdirSync(folder)).toEqual(['model.onnx']);
  });
});

test('--verbose: options by their places, edits, and where an error arose', async () => {
  const { model, at } = network();
  await run(['mask', model, '-o', at('m.json'), '-q'], { engine: { makeMasks: ENGINE.makeMasks } });
  const env = { PRUNE_COMPILE_ALIGN: '4' };
  const argv = [model, '--masks', at('m.json'), '-v'];
  const { code, stderr } = await run(argv, { env, engine: { compileModel: ENGINE.compileModel } });
  expect(code).toBe(0);
  expect(stderr).toMatch(/^version +\d+\.\d+\.\d+, Node v/);
  expect(stderr).toMatch(/^option +--masks$/m);
  expect(stderr).toMatch(/^option +PRUNE_COMPILE_ALIGN$/m);
  expect(stderr).toMatch(/^edit {3,}\S/m);
  const failed = await run(['nothing.onnx', '-v'], { engine: { compileModel: ENGINE.compileModel } });
  expect(failed.stderr).toMatch(/\[E-INPUT-MISSING\][^]*\n +at /);
  expect((await run([model, '-v', '-q'])).stderr).toContain('--quiet and --verbose exclude each other');
});
