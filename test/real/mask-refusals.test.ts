/**
 * The built command as a process of its own: every mask file of fixtures/real that must fail says
 * so in its own words, exits with 2, writes nothing and runs nothing; and one good file of each
 * format goes through.
 */
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ENGINE } from '../../src/cli/engine.js';
import { run } from '../cli/run-command.js';
import { manifest } from '../masks/manifest.js';
import { REAL_FILES } from '../support/real-models.js';
import { logProcesses } from '../support/log-processes.js';

const COMMAND = fileURLToPath(new URL('../../bin/prune-compile.js', import.meta.url));
const MODEL = (net: string) => `${REAL_FILES}/skeletons/models/${net}.plain.legacy_bn.onnx`;
const FILES = `${REAL_FILES}/masks/files`;

/** What each must say: its code and what is particular to it. */
const REFUSED: readonly (readonly [file: string, code: string, words: RegExp])[] = [
  ['evil.pt', 'E-MASK-UNSAFE', /would call posix\.system.*nothing was called/],
  ['evil.legacy.pth', 'E-MASK-UNSAFE', /would call posix\.system.*nothing was called/],
  ['evil_builtins.pkl', 'E-MASK-UNSAFE', /would call builtins\.eval.*nothing was called/],
  ['whole_module.pt', 'E-MASK-UNSAFE', /would call smallnets\.SmallResNet.*nothing was called/],
  ['object_array.npz', 'E-MASK-UNSAFE', /array a holds Python objects/],
  ['plain_pickle.pkl', 'E-MASK-FORMAT', /a Python pickle that torch\.save did not write/],
  ['empty.pt', 'E-MASK-FORMAT', /it is empty/],
  ['truncated.pt', 'E-MASK-DAMAGED', /begins like a zip archive/],
  ['truncated.legacy.pth', 'E-MASK-DAMAGED', /its last storages are/],
  ['truncated.safetensors', 'E-MASK-DAMAGED', /of tensor layer4\.1\.con/],
  ['bad_crc.pt', 'E-MASK-DAMAGED', /the checksum of/],
  ['huge_header.safetensors', 'E-MASK-DAMAGED', /its header has 1152921504606846976 bytes, and 2 are/],
  ['not_binary.pt', 'E-MASK-SOFT', /values other than 0 and 1.*0\.5/],
  ['s_resnet18.misfit.pt', 'E-MASK-SHAPE', /layer1\.0\.conv1 \[5\].*\[4, 4, 3, 3\]/],
  ['shared_storage.pt', 'E-MASK-SHAPE', /layer1\.0\.conv1 \[4, 16\].*\[4, 4, 3, 3\]/],
  ['shared_storage.legacy.pth', 'E-MASK-SHAPE', /layer1\.0\.conv1 \[4, 16\].*\[4, 4, 3, 3\]/],
  ['one_array.npy', 'E-MASK-NO-MATCH', /one_array \[32, 32, 3, 3\]/],
  ['noncontiguous.pt', 'E-MASK-NO-MATCH', /transposed \[5, 6, 2, 3\]/],
  ['scalar_and_empty.pt', 'E-MASK-NO-MATCH', /empty \[0, 3\], ok \[2\]/],
  ['s_resnet10.named_parameters.pt', 'E-MASK-EMPTY', /38 parameters of the model; no zero that the model has not/],
];

/** One good file of each format and of each kind of packing. */
const ACCEPTED = [
  ['s_resnet10.ln0.state_dict.pt', 's_resnet10'],
  ['s_resnet10.ln0.state_dict.legacy.pth', 's_resnet10'],
  ['s_resnet10.ln0.state_dict.proto4.pt', 's_resnet10'],
  ['s_resnet10.ln0.state_dict.safetensors', 's_resnet10'],
  ['s_resnet18.ln0.npz', 's_resnet18'],
  ['s_resnet18.ln0.deflate.npz', 's_resnet18'],
  ['zip64_end.pt', 's_resnet18'],
] as const;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Place {
  /** Where the output would go. */
  readonly folder: string;
  /** The process's own TMPDIR. */
  readonly temporary: string;
  readonly hook: string;
  /** What was started, as written down; the file is absent as long as that is nothing. */
  readonly log: string;
}

async function inPlace(work: (at: Place) => Promise<void>): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'prune-compile-refusal-'));
  const inside = (name: string) => join(base, name);
  const at = { folder: inside('folder'), temporary: inside('temporary'), hook: inside('hook.mjs'), log: inside('log') };
  try {
    mkdirSync(at.folder);
    mkdirSync(at.temporary);
    writeFileSync(at.hook, logProcesses(at.log));
    await work(at);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

async function node({ hook, temporary }: Place, args: readonly string[]): Promise<Ended> {
  // ONNX Runtime leaves .ses and mat-debug-PID.log of its own where temporary files go, unless told
  // not to.
  const env = { ...process.env, TMPDIR: temporary, ORT_DISABLE_TELEMETRY: '1' };
  return new Promise((resolve) => {
    execFile(process.execPath, ['--import', pathToFileURL(hook).href, ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

interface Failure {
  readonly error: {
    readonly code: string;
    readonly what: string;
    readonly facts: readonly { readonly label: string; readonly text: string }[];
  };
}

describe('mask files that are no good', () => {
  test('every file that the manifest has refused is in the table', () => {
    const listed = manifest(/./)
      .filter(({ expect: what }) => !/^ok( or refuse)?$/.test(what))
      .map(({ file }) => file);
    expect(listed).toHaveLength(14);
    const here = REFUSED.map(([file]) => file);
    expect(listed.filter((file) => !here.includes(file))).toEqual([]);
  });

  test.concurrent.each(REFUSED)('%s: %s', async (file, code, words) =>
    inPlace(async (at) => {
      const net = file.startsWith('s_resnet10') ? MODEL('s_resnet10') : MODEL('s_resnet18');
      const traces = tracesOf(file);
      const before = traces.map(stampOf);
      const output = join(at.folder, 'output.onnx');
      const ended = await node(at, [COMMAND, net, '--masks', `${FILES}/${file}`, '-o', output, '--json']);
      expect(ended.code, ended.stderr).toBe(2);
      expect(ended.stdout).toBe('');
      const { error } = JSON.parse(ended.stderr.trim().split('\n').at(-1) ?? '') as Failure;
      expect(error.code).toBe(code);
      expect(error.what).toContain(file);
      expect([error.what, ...error.facts.map((fact) => fact.text)].join(' ')).toMatch(words);
      expect(error.facts.map(({ label }) => label)).toContain('try');
      expect(readdirSync(at.folder)).toEqual([]);
      expect(readdirSync(at.temporary)).toEqual([]);
      expect(existsSync(at.log), 'something was run').toBe(false);
      expect(traces.map(stampOf)).toEqual(before);
    }),
  );

  test.each(['legacy', 'dynamo'])('all of them onto %s, in this process: the same errors', async (variant) =>
    inPlace(async ({ folder }) => {
      const output = join(folder, 'output.onnx');
      // What is there already stays what it was.
      writeFileSync(output, 'mine');
      for (const [file, code] of REFUSED) {
        const net = MODEL(file.startsWith('s_resnet10') ? 's_resnet10' : 's_resnet18').replace('legacy_bn', variant);
        const argv = [net, '--masks', `${FILES}/${file}`, '-o', output, '--force', '--json', '-q', '--meaning', 'drop'];
        const ended = await run(argv, { engine: ENGINE });
        const { error } = JSON.parse(ended.stderr) as Failure;
        expect([ended.code, error.code], file).toEqual([2, code]);
      }
      expect(readdirSync(folder)).toEqual(['output.onnx']);
      expect(readFileSync(output, 'utf8')).toBe('mine');
    }),
  );

  test('the hostile files would leave a trace, and what is run is written down', async () => {
    expect(tracesOf('evil.pt')).toEqual(['/tmp/pwned_by_pickle']);
    expect(tracesOf('evil.legacy.pth')).toEqual(['/tmp/pwned_by_pickle']);
    await inPlace(async (at) => {
      const script = `
        import { execFileSync } from 'node:child_process';
        execFileSync(process.execPath, ['--version']);
        eval('1 + 1');
      `;
      expect((await node(at, ['--input-type=module', '-e', script])).code).toBe(0);
      expect(readFileSync(at.log, 'utf8')).toBe(`execFileSync ${process.execPath}\neval 1 + 1\n`);
    });
  });
});

/** Files that the shell command inside would make. */
function tracesOf(file: string): string[] {
  const bytes = readFileSync(`${FILES}/${file}`);
  const start = bytes.indexOf('echo ');
  if (start < 0) return [];
  // Text in a pickle: X, its length in four bytes, itself.
  const command = bytes.toString('latin1', start, start + bytes.readUInt32LE(start - 4));
  return [command.slice(command.indexOf('> ') + 2)];
}

function stampOf(path: string): number | undefined {
  return existsSync(path) ? statSync(path).mtimeMs : undefined;
}

describe('mask files that are good, by the built command', () => {
  test.concurrent.each(ACCEPTED)('%s', async (file, net) =>
    inPlace(async (at) => {
      const output = join(at.folder, 'output.onnx');
      const ended = await node(at, [COMMAND, MODEL(net), '--masks', `${FILES}/${file}`, '-o', output, '-q']);
      expect(ended.code, ended.stderr).toBe(0);
      expect(readdirSync(at.folder)).toEqual(['output.onnx']);
      expect(readdirSync(at.temporary)).toEqual([]);
      expect(statSync(output).size).toBeLessThan(statSync(MODEL(net)).size);
      expect(existsSync(at.log), 'something was run').toBe(false);
    }),
  );
});
