import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/command-table.js';
import { OPTION_KEYS, shownFlag, SPECS } from '../../src/cli/options.js';
import { TOOL } from '../../src/version.js';
import { modelFolder, run } from './run-command.js';

const COMMAND_NAMES = Object.keys(COMMANDS);

test.each([['--help'], ...COMMAND_NAMES.map((name) => [name, '--help'])])(
  'help of %s %s fits 80 columns',
  async (...argv) => {
    const { code, stdout, stderr } = await run(argv);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(stdout).toMatch(/^Usage: prune-compile /);
    expect(stdout).toContain('Examples:\n');
  },
);

test('the help of a command lists its options and no others', async () => {
  for (const command of COMMAND_NAMES) {
    const { stdout } = await run([command, '-h']);
    const listed = OPTION_KEYS.filter((key) =>
      new RegExp(`^ {2}(?:-\\w,| {3}) ${shownFlag(key)}( |$)`, 'm').test(stdout),
    );
    expect(listed).toEqual(OPTION_KEYS.filter((key) => SPECS[key].commands.some((name) => name === command)));
  }
});

test('what -o says is about the command that was asked for', async () => {
  const help = async (...words: string[]) => (await run([...words, '--help'])).stdout.replace(/\s+/g, ' ');
  expect(await help()).toContain('the compiled model; default: MODEL.pruned.onnx next to the input');
  expect(await help()).toContain('prune-compile COMMAND --help has the options of the other commands');
  expect(await help('mask')).toContain('the masks: .safetensors, .npz or .json; or .onnx');
  expect(await help('doctor')).toContain(
    'with --calibrate: the cost table; default: the path from which --sparse reads',
  );
  for (const command of ['mask', 'doctor']) expect(await help(command)).not.toContain('pruned.onnx');
});

test('every example of the help is a command line that is understood', async () => {
  for (const argv of [['--help'], ...COMMAND_NAMES.map((name) => [name, '--help'])]) {
    const { stdout } = await run(argv);
    for (const [, line = ''] of stdout.matchAll(/^ {2}prune-compile (.*)$/gm)) {
      const { stderr } = await run(line.replace(/ >.*/, '').split(' '), {
        engine: { compileModel: () => Promise.reject(new Error('stop')) },
      });
      expect(`${line}: ${stderr}`).not.toContain('E-USAGE');
    }
  }
});

test('version', async () => {
  expect(await run(['--version'])).toEqual({ code: 0, stdout: `${TOOL.version}\n`, stderr: '' });
});

/** Command lines and everything that is said about them. */
const MISTAKES: readonly (readonly [argv: string, stderr: readonly string[]])[] = [
  ['', ['compile takes MODEL    [E-USAGE]', '  try    prune-compile MODEL', '  help   prune-compile --help']],
  [
    'a.onnx b.onnx',
    [
      'compile takes MODEL, but got 2: a.onnx, b.onnx    [E-USAGE]',
      '  try    prune-compile a.onnx --output b.onnx',
      '  help   prune-compile --help',
    ],
  ],
  [
    'why a.onnx',
    [
      'why takes MODEL NODE, but got 1: a.onnx    [E-USAGE]',
      '  try    prune-compile why MODEL NODE',
      '  help   prune-compile why --help',
    ],
  ],
  ['inspct a.onnx', ['there is no command inspct    [E-USAGE]', '  try   prune-compile inspect MODEL']],
  ['a.onnx --strutured', ['there is no option --strutured    [E-USAGE]', '  try   --structured']],
  ['a.onnx --no-verfy', ['there is no option --no-verfy    [E-USAGE]', '  try   --no-verify']],
  [
    'a.onnx --mask-prefix backbone.',
    ['--mask-prefix has no effect without masks    [E-USAGE]', '  try   --masks FILE'],
  ],
  ['a.onnx -z', ['there is no option -z    [E-USAGE]', '  try   prune-compile --help']],
  [
    'inspect a.onnx --bench',
    [
      'inspect has no option --bench    [E-USAGE]',
      '  why   it belongs to compile',
      '  try   prune-compile inspect --help',
    ],
  ],
  [
    'a.onnx --align 0',
    ['--align takes a whole number of at least 1, or auto, not "0"    [E-USAGE]', '  for example   --align 8'],
  ],
  [
    'a.onnx --target tpu',
    ['--target takes one of cpu, cuda, webgpu, tensorrt, not "tpu"    [E-USAGE]', '  for example   --target cpu'],
  ],
  [
    'a.onnx --sparse --state-dict s.safetensors',
    [
      '--channels and --state-dict describe dense layers and cannot be combined with --sparse    [E-USAGE]',
      '  try   --structured instead of --sparse for the network to train',
    ],
  ],
  [
    'a.onnx --providers gpu',
    ['--providers takes one of cpu, webgpu, cuda, tensorrt, not "gpu"    [E-USAGE]', '  for example   --providers cpu'],
  ],
  [
    'a.onnx --runs',
    ['--runs takes a whole number of at least 3, not nothing    [E-USAGE]', '  for example   --runs 31'],
  ],
  [
    'a.onnx --shape x=1,a',
    [
      '--shape takes the name of an input and its extents, not "x=1,a"    [E-SHAPE]',
      '  for example   --shape input=1,3,224,224',
    ],
  ],
  [
    'a.onnx --report r.pdf',
    [
      '--report takes a file that ends in .json, .md, .html, not "r.pdf"    [E-USAGE]',
      '  for example   --report report.html',
    ],
  ],
  [
    'a.onnx --min-removed 101',
    ['--min-removed takes a percentage from 0 to 100, not "101"    [E-USAGE]', '  for example   --min-removed 30'],
  ],
  [
    'a.onnx --max-size 3XB',
    ['--max-size takes a size in bytes, kB, MB or GB, not "3XB"    [E-USAGE]', '  for example   --max-size 45MB'],
  ],
  [
    'a.onnx --min-speedup -1',
    ['--min-speedup takes a number above 0, not "-1"    [E-USAGE]', '  for example   --min-speedup 1.5'],
  ],
];

test.each(MISTAKES)('%s', async (argv, stderr) => {
  const words = argv.split(' ').filter((word) => word !== '');
  expect(await run(words)).toEqual({ code: 2, stdout: '', stderr: `prune-compile: ${stderr.join('\n')}\n` });
});

test('with --json, errors are one JSON object on standard error', async () => {
  const { code, stdout, stderr } = await run(['a.onnx', '--json', '--align', 'x']);
  expect([code, stdout]).toEqual([2, '']);
  expect(JSON.parse(stderr)).toEqual({
    error: {
      code: 'E-USAGE',
      what: '--align takes a whole number of at least 1, or auto, not "x"',
      facts: [{ label: 'for example', text: '--align 8' }],
      exitCode: 2,
    },
  });
});

test('a part of a name is enough to be told the whole', async () => {
  expect((await run(['a.onnx', '--speedup', '2'])).stderr).toContain('try   --min-speedup\n');
  expect((await run(['a.onnx', '--dict', 'x'])).stderr).toContain('try   --state-dict\n');
  expect((await run(['a.onnx', '--zz'])).stderr).toContain('try   prune-compile --help\n');
});

test('a config file may name the schema that editors check it by', async () => {
  const { model, at } = modelFolder();
  writeFileSync(at('c.json'), '{ "$schema": "https://example.org/config.json", "quiet": true }');
  expect(await run([model, '--config', at('c.json')])).toMatchObject({ code: 0, stderr: '' });
});

test('flags beat variables, variables beat the config file', async () => {
  const { model, at } = modelFolder();
  writeFileSync(
    at('c.json'),
    '{ "align": 2, "maxSize": "1kB", "verify": false, "shape": { "input": [1, 3, 8, 8] }, "skip": ["p", "q"] }',
  );
  const seen: unknown[] = [];
  const engine = { compileModel: (_: unknown, options: unknown) => Promise.reject(seen.push(options)) };
  const env = {
    PRUNE_COMPILE_ALIGN: '4',
    PRUNE_COMPILE_CONFIG: at('c.json'),
    PRUNE_COMPILE_SKIP: 'r',
    PRUNE_COMPILE_TARGET: '',
  };
  await run([model], { engine, env });
  await run([model, '--align', '8', '--shape', 'a=1,2', '--shape', 'b=3x4'], { engine, env });
  expect(seen).toMatchObject([
    { align: 4, skip: ['r'], shapes: { input: [1, 3, 8, 8] } },
    { align: 8, skip: ['r'], shapes: { a: [1, 2], b: [3, 4] } },
  ]);
});

test.each([
  ['{ "algn": 2 }', 'algn in CONFIG is not an option    [E-USAGE]\n  try   align\n'],
  ['{ "verify": "x" }', 'verify in CONFIG takes true or false, not "x"    [E-USAGE]\n'],
  ['{ "align": {} }', 'align in CONFIG takes text, a number or a list of them, not {}    [E-USAGE]\n'],
  [
    '{ "align": 0 }',
    'align in CONFIG takes a whole number of at least 1, or auto, not "0"    [E-USAGE]\n  for example   --align 8\n',
  ],
  [
    '[]',
    'cannot read the config file CONFIG    [E-INPUT-UNREADABLE]\n  why           it is not a JSON object\n  for example   { "structured": true, "minSpeedup": 1.5 }\n',
  ],
])('config file %s', async (content, stderr) => {
  const { model, at } = modelFolder();
  writeFileSync(at('c.json'), content);
  expect(await run([model, '--config', at('c.json')])).toEqual({
    code: 2,
    stdout: '',
    stderr: `prune-compile: ${stderr.replace('CONFIG', at('c.json'))}`,
  });
});

test('variables: switches, and names that are none', async () => {
  const off = await run(['a.onnx'], { env: { PRUNE_COMPILE_NO_VERIFY: 'maybe' } });
  expect(off.stderr).toBe(
    'prune-compile: PRUNE_COMPILE_NO_VERIFY takes 1 or 0, not "maybe"    [E-USAGE]\n  for example   PRUNE_COMPILE_NO_VERIFY=1\n',
  );
  const mistyped = await run(['a.onnx'], { env: { PRUNE_COMPILE_MIN_SPEDUP: '2' } });
  expect(mistyped.stderr).toBe(
    'prune-compile: the environment variable PRUNE_COMPILE_MIN_SPEDUP is not an option    [E-USAGE]\n  try   PRUNE_COMPILE_MIN_SPEEDUP\n',
  );
  const native = await run(['inspect'], { env: { PRUNE_COMPILE_ISA: 'avx2', PRUNE_COMPILE_KERNEL: 'stream' } });
  expect(native.stderr).not.toContain('variable');
});

describe('completion', () => {
  const completed = async (...words: string[]) =>
    (await run(['--get-yargs-completions', 'prune-compile', ...words])).stdout
      .split('\n')
      .filter((word) => word !== '');

  test('of commands, and of the options of the command that is there', async () => {
    expect(await completed('ma')).toEqual(['mask']);
    expect(await completed('')).toEqual(COMMAND_NAMES);
    expect(await completed('mask', 'x.onnx', '--w')).toEqual(['--width-multiple']);
    expect(await completed('x.onnx', '--min-s')).toEqual(['--min-speedup']);
    expect(await completed('why', '--min-s')).toEqual([]);
    expect(await completed('-')).toEqual(await completed('compile', '-'));
  });

  test('of a file: the shell does that', async () => {
    expect(await completed('model')).toEqual([]);
    expect(await completed('inspect', 'mo')).toEqual([]);
    expect(await completed('x.onnx', '--report', '--h')).toEqual([]);
    expect(await completed('x.onnx', '-m', '')).toEqual([]);
  });

  test('names that objects have are no commands', async () => {
    expect(await completed('constructor', '--min-s')).toEqual(['--min-speedup']);
    expect(await completed('__proto__', 'toS')).toEqual([]);
  });

  test('the script asks this command', async () => {
    const { code, stdout, stderr } = await run(['completion']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('prune-compile --get-yargs-completions');
    expect(stdout.endsWith('\n')).toBe(true);
  });
});
