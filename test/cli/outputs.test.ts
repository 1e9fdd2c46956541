/**
 * Where outputs go: what may be replaced there, by which names, and that all of them appear or
 * none.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { ENGINE } from '../../src/cli/engine.js';
import { moveTogether, NotRestored } from '../../src/files/move.js';
import { Staging } from '../../src/files/staging.js';
import { writeFiles } from '../../src/files/write-files.js';
import { readModel } from '../../src/onnx/read.js';
import { writeModel } from '../../src/onnx/write.js';
import { COMPILED_BYTES, modelFolder, run } from './run-command.js';

/** conv (of its filters two are zero) -> Relu -> conv. */
function prunedModel(): Uint8Array {
  const g = graphBuilder();
  const weights = (rows: number, zero: number) => ({
    data: Array.from({ length: rows * 4 }, (_, at) => (at < zero * 4 ? 0 : 1 + (at % 3))),
    dims: [rows, 4, 1, 1],
  });
  const hidden = g.relu(g.conv(g.input('x', [1, 4, 5, 5]), weights(4, 2), { name: 'first' }));
  g.output(g.conv(hidden, weights(3, 0), { name: 'second' }));
  return g.bytes();
}

function folder(): { folder: string; at: (name: string) => string } {
  const made = mkdtempSync(join(tmpdir(), 'prune-compile-test-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return { folder: made, at: (name) => join(made, name) };
}

/** Node.js makes no device itself, and not everybody may. */
const MAY_MAKE_DEVICES = (() => {
  const made = mkdtempSync(join(tmpdir(), 'prune-compile-test-'));
  const { status } = spawnSync('mknod', [join(made, 'null'), 'c', '1', '3']);
  rmSync(made, { recursive: true });
  return status === 0;
})();

const SPECIAL: Readonly<Record<string, (path: string) => unknown>> = {
  'a named pipe': (path) => execFileSync('mkfifo', [path]),
  'a socket': async (path) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  },
  ...(MAY_MAKE_DEVICES && { 'a device': (path: string) => execFileSync('mknod', [path, 'c', '1', '3']) }),
};

describe('what is no file is refused before any work, and still there', () => {
  const cases = Object.keys(SPECIAL).flatMap((kind) =>
    ['--output', '--report', '--channels', '--state-dict', 'mask --output', 'doctor --calibrate --output'].map(
      (option) => [kind, option] as const,
    ),
  );
  test.each(cases)('%s, %s', async (kind, option) => {
    const { model, at } = modelFolder();
    const path = at(option.startsWith('mask') ? 'x.npz' : 'x.md');
    await SPECIAL[kind]?.(path);
    symlinkSync(path, at(`link-${basename(path)}`));
    const before = lstatSync(path);
    const words = option.split(' ');
    const command = words.length === 1 ? [model] : words[0] === 'mask' ? ['mask', model] : words.slice(0, -1);
    for (const to of [path, at(`link-${basename(path)}`)]) {
      const { code, stdout, stderr } = await run([...command, words.at(-1) ?? '', to, '--force', '-q']);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr.replace(/\s+/g, ' ')).toContain(
        `cannot write ${to} [E-OUTPUT-UNWRITABLE] why it is ${kind}, not a regular file`,
      );
    }
    // What it says to do works: only the model and the cost table go to standard output.
    const { stderr } = await run([...command, words.at(-1) ?? '', path, '-q']);
    expect(stderr.includes('--output - >')).toBe(option === '--output' || words[0] === 'doctor');
    const after = lstatSync(path);
    expect([after.ino, after.mode, existsSync(at('model.pruned.onnx'))]).toEqual([before.ino, before.mode, false]);
  });

  test('by the API too', async () => {
    const { at } = folder();
    execFileSync('mkfifo', [at('pipe')]);
    const write = () => writeFiles([{ path: at('pipe'), chunks: [Buffer.from('x')] }]);
    expect(write).toThrow(expect.objectContaining({ code: 'E-OUTPUT-UNWRITABLE' }));
    expect(() => writeModel(readModel(prunedModel()), at('pipe'))).toThrow('it is a named pipe');
    expect(lstatSync(at('pipe')).isFIFO()).toBe(true);
  });
});

describe('a link is followed', () => {
  test('to a file, which is replaced; the link stays', async () => {
    const { model, at } = modelFolder();
    mkdirSync(at('store'));
    writeFileSync(at('store/real.onnx'), COMPILED_BYTES);
    symlinkSync('store/real.onnx', at('out.onnx'));
    expect((await run([model, '-q', '-o', at('out.onnx')])).code).toBe(0);
    expect(readlinkSync(at('out.onnx'))).toBe('store/real.onnx');
    expect(readFileSync(at('store/real.onnx'))).toEqual(COMPILED_BYTES);
    expect(readdirSync(at('store'))).toEqual(['real.onnx']);
  });

  test('also to a place where nothing is yet; in a circle it leads nowhere', async () => {
    const { model, at } = modelFolder();
    mkdirSync(at('store'));
    symlinkSync('store/new.onnx', at('out.onnx'));
    expect((await run([model, '-q', '-o', at('out.onnx')])).code).toBe(0);
    expect(lstatSync(at('store/new.onnx')).isFile()).toBe(true);
    symlinkSync('circle.onnx', at('circle.onnx'));
    expect((await run([model, '-q', '-o', at('circle.onnx')])).stderr).toContain('E-OUTPUT-UNWRITABLE');
    symlinkSync('none/x.onnx', at('lost.onnx'));
    expect((await run([model, '-q', '-o', at('lost.onnx')])).stderr.replace(/\s+/g, ' ')).toContain(
      `[E-OUTPUT-UNWRITABLE] why it is a link to ${at('none/x.onnx')}, and there is no folder ${at('none')} `,
    );
  });

  test('but not for a data file, which has to be beside its model', async () => {
    const { at } = folder();
    const g = graphBuilder();
    g.output(g.conv(g.input('x', [1, 64, 2, 2]), { data: Array.from({ length: 512 }, () => 1), dims: [8, 64, 1, 1] }));
    writeModel(readModel(g.bytes()), at('m.onnx'), { largestMessage: 1000 });
    writeFileSync(at('elsewhere'), '');
    symlinkSync('elsewhere', at('out.onnx.data'));
    const { stderr } = await run([at('m.onnx'), '-q', '--force', '-o', at('out.onnx')], { engine: ENGINE });
    expect(stderr.replace(/\s+/g, ' ')).toContain('[E-OUTPUT-UNWRITABLE] why it is a link');
    expect([existsSync(at('out.onnx')), readFileSync(at('elsewhere'), 'utf8')]).toEqual([false, '']);
  });

  test('two names of one place are one output', async () => {
    const { model, at } = modelFolder();
    symlinkSync('a.json', at('b.json'));
    const { code, stderr } = await run([model, '--report', at('a.json'), '--channels', at('b.json')]);
    expect([code, stderr.includes('cannot be both a report and the kept channels')]).toEqual([2, true]);
  });
});

describe('a file that is there', () => {
  const foreign = [
    ['--output', 'out.onnx'],
    ['--report', 'r.md'],
    ['--report', 'r.html'],
    ['--channels', 'kept.json'],
    ['--state-dict', 'small.safetensors'],
  ] as const;

  test.each(foreign)('%s %s: not replaced without --force when somebody else wrote it', async (option, name) => {
    const { folder: all, model, at } = modelFolder();
    writeFileSync(at(name), '# Made with prune-compile, by hand');
    const refused = await run([model, '-q', option, at(name)]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(
      `${at(name)} already exists and was not written by prune-compile    [E-OUTPUT-EXISTS]`,
    );
    expect(refused.stderr).toContain('--force');
    expect(readdirSync(all)).toHaveLength(2);
    expect(readFileSync(at(name), 'utf8')).toBe('# Made with prune-compile, by hand');
    expect((await run([model, '-q', '--force', option, at(name)])).code).toBe(0);
    expect(readFileSync(at(name), 'utf8')).not.toBe('# Made with prune-compile, by hand');
  });

  test('notes that end with a report are not a report', async () => {
    const { model, at } = modelFolder();
    expect((await run([model, '-q', '--report', at('r.md')])).code).toBe(0);
    writeFileSync(at('r.md'), `# My notes\n\n${readFileSync(at('r.md'), 'utf8')}`);
    expect((await run([model, '-q', '--report', at('r.md')])).stderr).toContain('E-OUTPUT-EXISTS');
  });

  test('an output of another kind is not replaced either: masks are no model', async () => {
    const { at } = folder();
    writeFileSync(at('m.onnx'), prunedModel());
    const real = { engine: ENGINE };
    expect((await run(['mask', at('m.onnx'), '-q', '-o', at('masks.npz')], real)).code).toBe(0);
    expect((await run([at('m.onnx'), '-q', '-o', at('masks.npz')], real)).stderr).toContain('E-OUTPUT-EXISTS');
  });

  test('by anybody else that came while it worked: nothing is written', async () => {
    const { folder: all, model, at } = modelFolder();
    const verifyModels = () => {
      writeFileSync(at('model.pruned.onnx'), 'of somebody else');
      return Promise.resolve({ equal: true, difference: 0, bound: 0, noise: 0, boundReason: '', cases: [], notes: [] });
    };
    const { stderr } = await run([model, '-q', '--report', at('r.md')], { engine: { verifyModels } });
    expect(stderr).toContain('E-OUTPUT-EXISTS');
    expect(readdirSync(all).toSorted()).toEqual(['model.onnx', 'model.pruned.onnx']);
    expect(readFileSync(at('model.pruned.onnx'), 'utf8')).toBe('of somebody else');
  });

  test('an empty file is no loss', async () => {
    const { model, at } = modelFolder();
    writeFileSync(at('out.onnx'), '');
    expect((await run([model, '-q', '-o', at('out.onnx')])).code).toBe(0);
    expect(readFileSync(at('out.onnx'))).toEqual(COMPILED_BYTES);
  });

  test('the same command again needs no flag, whatever it writes', async () => {
    const { at } = folder();
    writeFileSync(at('m.onnx'), prunedModel());
    const sides = ['--report', at('r.md'), '--report', at('r.html'), '--report', at('r.json')];
    const commands = [
      [at('m.onnx'), '-q', '--align', '1', ...sides, '--channels', at('k.json'), '--state-dict', at('s.safetensors')],
      ...['masks.safetensors', 'masks.npz', 'masks.json', 'masked.onnx'].map((name) => [
        'mask',
        at('m.onnx'),
        '-q',
        '-o',
        at(name),
      ]),
    ];
    for (const command of commands) {
      const again = [(await run(command, { engine: ENGINE })).code, (await run(command, { engine: ENGINE })).code];
      expect([command.at(-1), ...again]).toEqual([command.at(-1), 0, 0]);
    }
    expect(readdirSync(at('.'))).toHaveLength(11);
  });

  test('a copy of the input is an earlier output, too; beside external data by its mark', async () => {
    const { at } = folder();
    const g = graphBuilder();
    const weights = { data: Array.from({ length: 512 }, (_, index) => index + 1), dims: [8, 64, 1, 1] };
    g.output(g.conv(g.input('x', [1, 64, 2, 2]), weights));
    writeFileSync(at('m.onnx'), g.bytes());
    writeModel(readModel(at('m.onnx')), at('big.onnx'), { largestMessage: 1000 });
    for (const name of ['m.onnx', 'big.onnx'])
      for (const _ of [1, 2]) {
        const { code, stdout } = await run([at(name), '-q'], { engine: ENGINE });
        expect([code, stdout.includes('nothing to remove')]).toEqual([0, true]);
      }
    const files = ['big.onnx', 'big.onnx.data', 'big.pruned.onnx', 'big.pruned.onnx.data', 'm.onnx', 'm.pruned.onnx'];
    expect(readdirSync(at('.')).toSorted()).toEqual(files);
    // Without its model a data file is anybody's.
    rmSync(at('big.pruned.onnx'));
    writeFileSync(at('big.pruned.onnx.data'), 'of somebody else');
    expect((await run([at('big.onnx'), '-q'], { engine: ENGINE })).stderr).toContain(
      'big.pruned.onnx.data already exists',
    );
  });
});

describe('all files or none', () => {
  test('a side file that cannot be written takes the model with it', async () => {
    const { folder: all, model, at } = modelFolder();
    writeFileSync(at('model.pruned.onnx'), COMPILED_BYTES);
    const verifyModels = () => {
      mkdirSync(at('r.md'));
      return Promise.resolve({ equal: true, difference: 0, bound: 0, noise: 0, boundReason: '', cases: [], notes: [] });
    };
    const before = lstatSync(at('model.pruned.onnx')).ino;
    const argv = [model, '-q', '--channels', at('k.json'), '--report', at('r.md')];
    const { code, stderr } = await run(argv, { engine: { verifyModels } });
    expect([code, stderr.includes('E-OUTPUT-UNWRITABLE')]).toEqual([2, true]);
    expect(readdirSync(all).toSorted()).toEqual(['model.onnx', 'model.pruned.onnx', 'r.md']);
    expect(lstatSync(at('model.pruned.onnx')).ino).toBe(before);
  });

  test('a move that fails takes back those before it', () => {
    const { folder: all, at } = folder();
    for (const name of ['A', 'B', 'C']) writeFileSync(at(name), `earlier ${name}`);
    rmSync(at('B'));
    mkdirSync(at('kept'));
    for (const name of ['a', 'b']) writeFileSync(at(name), `new ${name}`);
    const move = (name: string) => ({ from: at(name), to: at(name.toUpperCase()), earlier: at('kept') });
    expect(() => moveTogether([move('a'), move('b'), move('c')])).toThrow('ENOENT');
    expect(readdirSync(all).toSorted()).toEqual(['A', 'C', 'kept']);
    expect([readFileSync(at('A'), 'utf8'), readFileSync(at('C'), 'utf8')]).toEqual(['earlier A', 'earlier C']);
    expect(readdirSync(at('kept'))).toEqual([]);
  });

  test('what cannot be put back is kept, and the error says where', () => {
    const { at } = folder();
    mkdirSync(at('kept'));
    for (const name of ['A', 'a']) writeFileSync(at(name), name);
    const first = { from: at('a'), to: at('A'), earlier: at('kept') };
    const second = {
      get from(): string {
        // Between the two moves somebody puts a folder where the first file was.
        rmSync(at('A'));
        mkdirSync(at('A/in the way'), { recursive: true });
        return at('none');
      },
      to: at('B'),
      earlier: at('kept'),
    };
    expect(() => moveTogether([first, second])).toThrow(NotRestored);
    expect(readFileSync(at('kept/0'), 'utf8')).toBe('A');
  });

  test('of two files of the API the first is taken back where the second fails', () => {
    const { folder: all, at } = folder();
    writeFileSync(at('one'), 'earlier');
    const chunks = function* () {
      yield Buffer.from('new');
      mkdirSync(at('two/in the way'), { recursive: true });
    };
    const files = [
      { path: at('one'), chunks: [Buffer.from('new')] },
      { path: at('two'), chunks: chunks() },
    ];
    expect(() => writeFiles(files)).toThrow(expect.objectContaining({ code: 'E-OUTPUT-UNWRITABLE' }));
    expect(readFileSync(at('one'), 'utf8')).toBe('earlier');
    expect(readdirSync(all).toSorted()).toEqual(['one', 'two']);
  });
});

describe('staging', () => {
  const names = [
    `${'x'.repeat(250)}.onnx`,
    `${'ü'.repeat(125)}.onnx`,
    '-o.onnx',
    ' a b\n\t.onnx',
    '...onnx',
    '\'$(x)`"\\.onnx',
    '\u001B[31m.onnx',
    'made',
    'earlier',
  ];

  test.each(names)('every legal name is one for an output: %j', async (name) => {
    const { folder: all, model, at } = modelFolder();
    const sides = name.endsWith('.onnx') ? ['--report', at(name.replace(/\.onnx$/, '.html'))] : [];
    const { code, stderr } = await run([model, '-q', `--output=${at(name)}`, ...sides]);
    expect([code, stderr]).toEqual([0, '']);
    expect(readFileSync(at(name))).toEqual(COMPILED_BYTES);
    expect(readdirSync(all)).toHaveLength(2 + sides.length / 2);
  });

  test('of a name without room for .data the data file has as much as there is room for', () => {
    const { at, folder: all } = folder();
    const g = graphBuilder();
    g.output(g.conv(g.input('x', [1, 64, 2, 2]), { data: Array.from({ length: 512 }, () => 1), dims: [8, 64, 1, 1] }));
    const path = at(`${'ü'.repeat(125)}.onnx`);
    writeModel(readModel(g.bytes()), path, { largestMessage: 1000 });
    expect(readdirSync(all).toSorted()).toEqual([`${'ü'.repeat(125)}.data`, `${'ü'.repeat(125)}.onnx`].toSorted());
    expect(readModel(path).externalBytes).toBe(2048);
  });

  test('a name that is too long is said before any work', async () => {
    const { folder: all, at } = folder();
    const name = `${'x'.repeat(250)}.onnx`;
    writeFileSync(at(name), 'input');
    const { code, stderr } = await run([at(name), '-q']);
    expect([code, stderr.includes('its name is longer than 255 bytes')]).toEqual([2, true]);
    expect(readdirSync(all)).toEqual([name]);
  });

  test('what a process that is gone left behind is removed, and nothing else', () => {
    const { folder: all, at } = folder();
    const own = basename(join(new Staging(all).made, '..'));
    const gone = spawnSync(process.execPath, ['-e', '']).pid;
    const called = (pid: number | string, machine = own.split('-')[3], end = 'aaaaaa') =>
      `.prune-compile-${pid}-${machine}-${end}`;
    const left = called(gone);
    mkdirSync(at(`${left}/made`), { recursive: true });
    writeFileSync(at(`${left}/made/x.onnx`), 'half');
    const holding = called(gone, undefined, 'bbbbbb');
    mkdirSync(at(`${holding}/earlier`), { recursive: true });
    writeFileSync(at(`${holding}/earlier/0`), 'the last copy');
    const others = [called(process.ppid), called(gone, '00000000'), called('x'), `${called(gone)}.onnx`];
    for (const name of others) mkdirSync(at(name));
    mkdirSync(at('target'));
    writeFileSync(at('target/x'), 'of somebody else');
    symlinkSync('target', at(called(gone, undefined, 'cccccc')));
    writeFileSync(at(called(gone, undefined, 'dddddd')), 'a file of that name');
    const before = readdirSync(all);
    writeFiles([{ path: at('out'), chunks: [Buffer.from('x')] }]);
    expect(readdirSync(all).toSorted()).toEqual([...before.filter((name) => name !== left), 'out'].toSorted());
    expect(existsSync(at('target/x'))).toBe(true);
  });
});
