import { existsSync, linkSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Interruption } from '../../src/cli/io.js';
import { PruneCompileError } from '../../src/errors.js';
import type { Verification } from '../../src/verify/verification.js';
import { TOOL } from '../../src/version.js';
import { BENCHMARK, DIFFERENT, REPORT } from '../report/sample.js';
import { COMPILED_BYTES, fakeEngine, modelFolder, run, withoutTimes } from './run-command.js';

const differing = { verifyModels: () => Promise.resolve(DIFFERENT) };

test('compiles, verifies, writes beside the input, shows the table', async () => {
  const { folder, model, at } = modelFolder();
  const result = await run([model]);
  expect(result.code).toBe(0);
  expect(readFileSync(at('model.pruned.onnx'))).toEqual(COMPILED_BYTES);
  expect(readdirSync(folder).toSorted()).toEqual(['model.onnx', 'model.pruned.onnx']);
  expect(withoutTimes(result.stderr)).toEqual([
    'load T   4 nodes',
    'write T   42 B',
    'verify T   4 inputs x 2 shapes',
    '',
  ]);
  expect(result.stdout).toContain('file size                             102.5 MB    42 B ');
  expect(result.stdout).not.toContain('\u001B');
});

test('--quiet: no steps; --json: the report and nothing else', async () => {
  const { model } = modelFolder();
  expect((await run([model, '--quiet'])).stderr).toBe('');
  const { stdout, stderr } = await run([model, '--json']);
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toMatchObject({
    schema: 1,
    input: model,
    after: { sizeBytes: 42 },
    verification: { equal: true },
  });
});

test('colours only where a person watches and NO_COLOR is not set', async () => {
  const { model } = modelFolder();
  expect((await run([model, '-z'], { isTTY: true })).stderr).toContain('\u001B[31m');
  expect((await run([model, '-z'], { isTTY: true, env: { NO_COLOR: '1' } })).stderr).not.toContain('\u001B');
});

test('outputs that differ: nothing is left, the old output stays, the worst output is named', async () => {
  const { folder, model, at } = modelFolder();
  writeFileSync(at('model.pruned.onnx'), 'old');
  const { code, stderr } = await run([model, '-q', '--force'], { engine: differing });
  expect(code).toBe(1);
  const to = at('model.pruned.onnx');
  expect(stderr).toBe(
    [
      `prune-compile: ${to} does not compute what ${model} computes    [E-OUTPUTS-DIFFER]`,
      '  output       logits',
      '  why          it differs by 0.31 of its scale',
      "  allowed      3.6e-6 (8 x the reference's own rounding noise)",
      '  the output   was not written (--keep-failed keeps it)',
      '  try          this is a bug: please report it, with the model if you can share',
      '               it; --stop-after N finds the edit that causes it',
      '',
    ].join('\n'),
  );
  expect(readFileSync(to, 'utf8')).toBe('old');
  expect(readdirSync(folder)).toHaveLength(2);
});

test('what lies in the model is not called a bug: a model that runs optimised only, outputs that are not finite', async () => {
  const { model, at } = modelFolder();
  const failing = (verification: Verification) =>
    run([model, '-q'], { engine: { verifyModels: () => Promise.resolve(verification) } });
  const { code, stderr } = await failing({
    ...DIFFERENT,
    fails: true,
    optimised: true,
    reason: 'the compiled model fails at x=1,3,60,60, where the reference runs: padding values must be non-negative',
  });
  expect(code).toBe(1);
  expect(stderr).toBe(
    [
      `prune-compile: ${at('model.pruned.onnx')} does not run where ${model} runs    [E-OUTPUTS-DIFFER]`,
      '  why          the compiled model fails at x=1,3,60,60, where the reference',
      '               runs: padding values must be non-negative',
      '  the output   was not written (--keep-failed keeps it)',
      "  try          the input itself runs only in ONNX Runtime's blocked layout,",
      '               which needs multiples of 8 or 16 channels and excludes sparse',
      '               operators: pass --align 16 without --sparse, or change the node',
      '               that fails so that it runs without graph optimisations',
      '',
    ].join('\n'),
  );
  const plain = await failing({ ...DIFFERENT, fails: true, reason: 'the compiled model cannot be loaded: why' });
  expect(plain.stderr).toContain('this is a bug');
  const outputs = [{ name: 'logits', difference: 0.31, bound: 3.6e-6, noise: 0, hasNonFinite: true as const }];
  const infinite = await failing({ ...DIFFERENT, outputs });
  expect(infinite.stderr).toContain("the input's own output has NaN or infinities");
  expect(infinite.stderr).not.toContain('bug');
});

test('--keep-failed leaves the output, --no-verify runs nothing', async () => {
  const { model, at } = modelFolder();
  expect((await run([model, '--keep-failed', '-o', at('kept.onnx')], { engine: differing })).code).toBe(1);
  expect(existsSync(at('kept.onnx'))).toBe(true);
  const { code, stdout } = await run([model, '--no-verify'], { engine: differing });
  expect(code).toBe(0);
  expect(stdout).toContain('outputs equal                         not checked');
});

test('gates say which was missed; a gate on speed measures, and holds the output back', async () => {
  const { model, at } = modelFolder();
  const to = at('small.onnx');
  const argv = [model, '-q', '-o', to, '--min-speedup', '3', '--max-size', '10', '--min-removed', '60%'];
  const { code, stderr, stdout } = await run(argv);
  expect(code).toBe(1);
  expect(stderr).toBe(
    [
      `prune-compile: ${to} misses 3 gates    [E-GATE]`,
      '  --max-size 10      it has 42 bytes (42 B)',
      '  --min-removed 60   56.14 % of the parameters were removed',
      '  --min-speedup 3    2.09x [2.05, 2.12] on CPU, 1 thread',
      '  the output         was not written (--keep-failed keeps it)',
      '',
    ].join('\n'),
  );
  expect(stdout).toContain('2.09x');
  expect(existsSync(to)).toBe(false);
  const passed = await run([model, '-q', '-o', to, '--min-speedup', '2', '--max-size', '1kB', '--min-removed', '50']);
  expect([passed.code, passed.stderr, existsSync(to)]).toEqual([0, '', true]);
});

test('providers are checked before any work', async () => {
  const { model } = modelFolder();
  const done: string[] = [];
  const { code, stderr } = await run([model, '--bench', '--providers', 'cuda'], {
    engine: {
      checkProviders: () => Promise.reject(new PruneCompileError('E-PROVIDER', { what: 'no cuda' })),
      compileModel: (...args) => (done.push('compiled'), fakeEngine().compileModel(...args)),
    },
  });
  expect([code, stderr, done]).toEqual([2, 'prune-compile: no cuda    [E-PROVIDER]\n', []]);
});

test('the three models are measured with the settings given, once per provider', async () => {
  const { model } = modelFolder();
  const seen: unknown[] = [];
  const argv = [
    model,
    '--bench',
    '--providers',
    'cpu,webgpu',
    '--threads',
    '2',
    '--batch',
    '4',
    '--runs',
    '9',
    '--shape',
    'x=1,2',
  ];
  await run(argv, {
    engine: {
      benchModels: (contenders, { provider, threads, batch, rounds, shapes }) => {
        seen.push([
          contenders.map(({ name, model: of }) => [name, String(of)]),
          { provider, threads, batch, rounds, shapes },
        ]);
        return Promise.resolve(BENCHMARK);
      },
    },
  });
  const models = [
    ['dense', 'dense'],
    ['masked', model],
    // Not where it was asked for yet: with a report it is put there in the end.
    ['compiled', expect.stringMatching(/\.prune-compile-[^/]+\/made\/model\.pruned\.onnx$/)],
  ];
  const settings = { threads: 2, batch: 4, rounds: 9, shapes: { x: [1, 2] } };
  expect(seen).toEqual(['cpu', 'webgpu'].map((provider) => [models, { provider, ...settings }]));
});

test('the input is never the output, by whatever name', async () => {
  const { model, at } = modelFolder();
  symlinkSync(model, at('soft.onnx'));
  linkSync(model, at('hard.onnx'));
  for (const output of ['model.onnx', 'soft.onnx', 'hard.onnx']) {
    expect(await run([model, '-o', at(output)])).toEqual({
      code: 2,
      stdout: '',
      stderr: `prune-compile: ${at(output)} is the input itself    [E-OUTPUT-IS-INPUT]\n  why   the input is never overwritten, because the result is compared with it\n  try   --output with another name\n`,
    });
  }
  expect((await run([model, '--report', at('model.onnx/r.md')])).stderr).toContain('E-OUTPUT-UNWRITABLE');
  expect((await run([model, '-o', at('none/x.onnx')])).stderr).toBe(
    `prune-compile: cannot write ${at('none/x.onnx')}    [E-OUTPUT-UNWRITABLE]\n  why   there is no folder ${at('none')}\n  try   --output with a path in a folder that exists\n`,
  );
});

test('a missing input is said before a missing folder of the output', async () => {
  const missing = new PruneCompileError('E-INPUT-MISSING', { what: 'there is no file none/a.onnx' });
  expect((await run(['none/a.onnx'], { engine: { compileModel: () => Promise.reject(missing) } })).stderr).toContain(
    '[E-INPUT-MISSING]',
  );
});

test('external data of the input is not replaced either', async () => {
  const { model, at } = modelFolder();
  writeFileSync(at('out.onnx.data'), 'weights of the input');
  const initializer = [{ externalData: [{ key: 'location', value: 'out.onnx.data' }] }];
  const { code, stderr } = await run([model, '-q', '-o', at('out.onnx')], {
    engine: {
      compileModel: async (...args) => {
        const compiled = await fakeEngine().compileModel(...args);
        const write = (path: string) => (writeFileSync(`${path}.data`, 'new'), compiled.write(path));
        return { ...compiled, input: { ...compiled.input, proto: { graph: { initializer } } }, write };
      },
    },
  });
  expect([code, readFileSync(at('out.onnx.data'), 'utf8')]).toEqual([2, 'weights of the input']);
  expect(stderr).toContain('E-OUTPUT-IS-INPUT');
  expect(existsSync(at('out.onnx'))).toBe(false);
});

test('standard output takes the model, standard error the table; standard input gives one', async () => {
  const { model } = modelFolder();
  const out = await run([model, '-o', '-']);
  expect(out.stdout).toBe(COMPILED_BYTES.toString());
  expect(out.stderr).toContain(`${model} -> standard output`);
  const both = await run(['-', '-q'], { stdin: Buffer.from('model') });
  expect([both.code, both.stdout, both.stderr]).toEqual([0, COMPILED_BYTES.toString(), '']);
  expect((await run([model, '-o', '-', '--json'])).stderr).toContain(
    'the model and the JSON cannot both go to standard output',
  );
});

test('a reader that left: quiet for a table, a failure for a model', async () => {
  const { model } = modelFolder();
  expect(await run([model, '-q'], { brokenStdout: true })).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(await run([model, '-q', '-o', '-'], { brokenStdout: true })).toEqual({
    code: 2,
    stdout: '',
    stderr:
      'prune-compile: cannot write the model to standard output    [E-OUTPUT-UNWRITABLE]\n  why   its reader closed it\n',
  });
});

test('nothing to do is not a failure', async () => {
  const { model, at } = modelFolder();
  const { code, stdout } = await run([model], {
    engine: {
      compileModel: async (...args) => {
        const compiled = await fakeEngine().compileModel(...args);
        return { ...compiled, report: { ...REPORT, changed: false, after: REPORT.before } };
      },
    },
  });
  expect([code, existsSync(at('model.pruned.onnx'))]).toEqual([0, true]);
  expect(stdout).toMatch(/^nothing to remove: /);
});

test('report files of every format', async () => {
  const { model, at } = modelFolder();
  const files = ['r.html', 'r.json', 'r.md'].map(at);
  await run([model, ...files.flatMap((file) => ['--report', file])]);
  expect(files.map((file) => readFileSync(file, 'utf8').slice(0, 2))).toEqual(['<!', '{\n', '# ']);
  expect(JSON.parse(readFileSync(at('r.json'), 'utf8'))).toMatchObject({
    steps: [{ step: 'load' }, { step: 'write' }, { step: 'verify' }],
  });
});

test('Ctrl-C: 130, nothing said, nothing left', async () => {
  const { folder, model } = modelFolder();
  const controller = new AbortController();
  const verifyModels = (_: unknown, __: unknown, options?: { signal?: AbortSignal | undefined }) =>
    new Promise<Verification>((_resolve, reject) => {
      options?.signal?.addEventListener('abort', () => reject(controller.signal.reason));
      controller.abort(new Interruption('SIGINT'));
    });
  const { code, stdout, stderr } = await run([model, '-q'], { signal: controller.signal, engine: { verifyModels } });
  expect([code, stdout, stderr, readdirSync(folder)]).toEqual([130, '', '', ['model.onnx']]);
});

test('an unexpected exception is a bug, with what to send', async () => {
  const { folder, model } = modelFolder();
  const error = Object.assign(new Error('oh'), { lastEdit: 'remove 3 channels of /conv1' });
  const { code, stdout, stderr } = await run([model, '-q'], { engine: { verifyModels: () => Promise.reject(error) } });
  expect([code, stdout, readdirSync(folder)]).toEqual([70, '', ['model.onnx']]);
  expect(stderr.split('\n').slice(0, 6)).toEqual([
    'prune-compile: this is a bug in prune-compile: oh    [E-INTERNAL]',
    '  last edit   remove 3 channels of /conv1',
    `  version     ${TOOL.version}, Node ${process.version}, ${process.platform} ${process.arch}`,
    `  command     prune-compile ${model} -q`,
    '  please      report this output, with the model if you can share it',
    'Error: oh',
  ]);
});
