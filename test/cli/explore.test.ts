/** The command `explore`: its file, what ends it and goes on, parts, and the files for schedulers. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ENGINE } from '../../src/cli/engine.js';
import { withConclusions } from '../../src/exploration/conclusions.js';
import { readExploration } from '../../src/exploration/file.js';
import { exploration, point } from '../explore/sample.js';
import { residualNetwork } from '../mask-maker/networks.js';
import { folder as givenFolder } from '../samples/given-files.js';
import { needs } from '../support/needs.js';
import { modelFolder, run } from './run-command.js';

const COMMAND = fileURLToPath(new URL('../../bin/prune-compile.js', import.meta.url));
const SCHEDULERS = fileURLToPath(new URL('../../docs/schedulers/', import.meta.url));
const GRID = ['--granularities', 'filter', '--ratios', '0.25,0.5,0.75', '--criteria', 'l1,l2', '--runs', '3'];

const engine = {
  explore: ENGINE.explore,
  readExploration: ENGINE.readExploration,
  combineExplorations: ENGINE.combineExplorations,
  countMissing: ENGINE.countMissing,
};

function network() {
  const place = modelFolder();
  writeFileSync(place.model, residualNetwork());
  return place;
}

/** What does not depend on the clock. */
function points(path: string) {
  return readExploration(path).points.map(({ seconds: _seconds, timing, ...others }) => ({
    ...others,
    isTimed: timing !== undefined,
  }));
}

/** Explores until the first points are in the file. */
async function killedAtOnce(model: string, file: string): Promise<void> {
  rmSync(file, { force: true });
  // A process group of its own: the command and the process that works for it.
  const killed = spawn(process.execPath, [COMMAND, 'explore', model, ...GRID, '-q', '-o', file], {
    detached: true,
    stdio: 'ignore',
  });
  const ended = once(killed, 'close');
  while (!existsSync(file)) await sleep(5);
  try {
    process.kill(-(killed.pid ?? 0), 'SIGKILL');
  } catch {
    // It has ended.
  }
  await ended;
}

test('unbroken, killed and resumed, and two merged parts: the same set of points', async () => {
  const { model, at, folder } = network();
  const whole = await run(['explore', model, ...GRID, '-o', at('whole.json')], { engine });
  expect([whole.code, points(at('whole.json')).length]).toEqual([0, 6]);
  expect(whole.stderr).toMatch(/^1\/6 .* ms {3}filter 50 % l1: \d\.\d\dx \[.*\n2\/6 /m);

  // A busy machine may let the command end before it is killed: then once more.
  do await killedAtOnce(model, at('killed.json'));
  while (points(at('killed.json')).length === 6);
  const measured = readExploration(at('killed.json')).points[0];
  const resumed = await run(['explore', model, ...GRID, '-o', at('killed.json')], { engine });
  expect([resumed.code, points(at('killed.json'))]).toEqual([0, points(at('whole.json'))]);
  expect(readExploration(at('killed.json')).points).toContainEqual(measured);

  for (const part of ['1/2', '2/2'])
    expect((await run(['explore', model, ...GRID, '--shard', part], { engine })).code).toBe(0);
  const parts = ['model.explore.1-of-2.json', 'model.explore.2-of-2.json'].map(at);
  const merged = await run(['explore', '--merge', ...parts, '-o', at('merged.json')], { engine });
  expect([merged.code, points(at('merged.json'))]).toEqual([0, points(at('whole.json'))]);
  // What the killed command left was swept up. Where it was replacing the file at that moment, a
  // second name of the earlier file stays (staging.ts).
  const left = readdirSync(folder).filter((name) => name.startsWith('.'));
  expect(left.filter((name) => readdirSync(join(folder, name, 'earlier')).length === 0)).toEqual([]);
});

test('--budget and --json; Ctrl-C tells what was measured', async () => {
  const { model, at } = network();
  const { code, stdout, stderr } = await run(['explore', model, ...GRID, '--budget', '0.001s', '--json'], { engine });
  expect([code, stderr]).toEqual([0, '']);
  expect(JSON.parse(stdout)).toMatchObject({ schema: 1, missing: 5, points: [{ ratio: 0.5, equal: true }] });
  const text = await run(['explore', model, ...GRID, '--budget', '0.001s'], { engine });
  expect(text.stdout).toContain('note: 4 points of the grid are not measured: the same command goes on');

  const controller = new AbortController();
  const interrupted = await run(['explore', model, ...GRID, '-o', at('i.json')], {
    signal: controller.signal,
    engine: {
      ...engine,
      explore: (source, options) =>
        ENGINE.explore(source, {
          ...options,
          onPoint: (found, step) => {
            options?.onPoint?.(found, step);
            controller.abort(new Error('interrupted'));
          },
        }),
    },
  });
  expect(interrupted.code).not.toBe(0);
  expect(interrupted.stdout).toContain('5 points of the grid are not measured');
  expect(points(at('i.json'))).toHaveLength(1);
});

const SAMPLE = withConclusions(
  exploration([point('filter', 0.5, 1.5), point('filter', 0.7, 2), point('unstructured', 0.5, 0.8)]),
);

test('what is printed, and reports', async () => {
  const { model, at } = network();
  const reports = ['r.html', 'r.md', 'r.json'].flatMap((name) => ['--report', at(name)]);
  const { code, stdout } = await run(['explore', model, '-q', ...reports], {
    engine: { ...engine, explore: () => Promise.resolve(SAMPLE) },
  });
  expect(code).toBe(0);
  expect(stdout.replaceAll(model, 'model.onnx')).toMatchInlineSnapshot(`
    "Pruning pays from 50 % on (filter): 1.50x there, and 2.00x at 70 %

    granularity   ratio  zeros     MACs    size  speed-up [95 % CI]
    filter         50 %   50 %  -50.0 %  2.0 kB  1.50x [1.40, 1.60]
    filter         70 %   70 %  -70.0 %  2.0 kB  2.00x [1.90, 2.10]
    unstructured   50 %   50 %  -50.0 %  2.0 kB  0.80x [0.70, 0.90]

    from 50 % on, filter pays on this machine: 1.50x [1.40, 1.60] there, at most
      2.00x [1.90, 2.10] at 70 %
    unstructured does not pay on this machine: no point at 50 % is significantly
      faster than the dense model
    at 50 % the fastest is filter: 1.50x [1.40, 1.60]
    at 70 % the fastest is filter: 2.00x [1.90, 2.10]

    note: the lowest by l1 are pruned
    note: outputs equal at 3 points
    note: 1 point of the grid is not measured: the same command goes on
    measured on AMD EPYC 9R14, 2 cores, 24.0 GB memory, linux x64, Node 20.20.2,
      ONNX Runtime 1.30.0; 1 thread; the dense model takes 2.00 ms

    next:
      prune-compile mask model.onnx --granularity filter --criterion l1 --ratio 0.5 -o pruned.safetensors
      prune-compile model.onnx --masks pruned.safetensors --bench
    "
  `);
  expect(readFileSync(at('r.md'), 'utf8')).toContain(
    '| filter | 70 % | 70 % | -70.0 % | 2.0 kB | 2.00x [1.90, 2.10] |',
  );
  expect(readFileSync(at('r.html'), 'utf8')).toContain(
    'Pruning pays from 50 % on (filter): 1.50x there, and 2.00x at 70 %',
  );
  expect(readExploration(at('r.json')).points).toEqual(SAMPLE.points);
  // Its own files are replaced, those of others are not.
  const again = await run(['explore', model, '-q', ...reports], {
    engine: { ...engine, explore: () => Promise.resolve(SAMPLE) },
  });
  expect(again.code).toBe(0);
  writeFileSync(at('model.explore.json'), 'mine');
  expect((await run(['explore', model, '-q'], { engine })).stderr).toContain('[E-OUTPUT-EXISTS]');
});

test('a compiled model that computes something else is a failure', async () => {
  const { model } = network();
  const { timing: _timing, ...wrong } = { ...point('filter', 0.5, 1.5), equal: false };
  const { code, stdout, stderr } = await run(['explore', model, '-q'], {
    engine: { ...engine, explore: () => Promise.resolve(withConclusions(exploration([wrong]))) },
  });
  expect(code).toBe(1);
  expect(stdout).toContain('OUTPUTS DIFFER');
  expect(stderr).toContain(
    '1 of 1 compiled models do not compute what their masked models compute    [E-OUTPUTS-DIFFER]',
  );
});

test.each([
  [['--shard', '3/2'], '--shard takes a part and their number, from 1/N to N/N, not "3/2"'],
  [['--budget', 'long'], '--budget takes a time in seconds, minutes or hours, not "long"'],
  [['--ratios', '0.5,1'], '--ratios takes a number above 0 and below 1, not "1"'],
  [['--criteria', 'l1,l3'], '--criteria takes one of l1, l2, random, fpgm, bn-scale, not "l3"'],
  [['--granularity', 'filter'], 'explore has no option --granularity'],
  [['another.onnx'], 'explore takes one model, but got'],
  [['--merge', '--budget', '1m'], '--merge measures nothing, and --budget was given'],
])('%j', async (options, message) => {
  const { model } = modelFolder();
  const { code, stderr } = await run(['explore', model, ...options], { engine });
  expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
});

describe('schedulers', () => {
  const read = (name: string) => readFileSync(join(SCHEDULERS, name), 'utf8');

  /** A folder whose `prune-compile` is that of this checkout. */
  function onPath(): string {
    const { path, write } = givenFolder();
    chmodSync(write('prune-compile', `#!/bin/sh\nexec '${process.execPath}' '${COMMAND}' "$@"\n`), 0o755);
    return `${path}${delimiter}${process.env['PATH'] ?? ''}`;
  }

  function shell(argv: readonly string[], env: Readonly<Record<string, string>>) {
    const [command = '', ...rest] = argv;
    return spawnSync(command, rest, { encoding: 'utf8', env: { ...process.env, PATH: onPath(), ...env } });
  }

  const merged = async (at: (name: string) => string) => {
    const parts = ['model.explore.1-of-2.json', 'model.explore.2-of-2.json'].map(at);
    const { code } = await run(['explore', '--merge', ...parts, '-o', at('merged.json')], { engine });
    expect([code, points(at('merged.json')).length]).toEqual([0, 6]);
  };

  test.each(readdirSync(SCHEDULERS).filter((name) => name.endsWith('.sh')))('%s is a script', (name) => {
    expect(spawnSync('bash', ['-n', join(SCHEDULERS, name)], { encoding: 'utf8' })).toMatchObject({
      status: 0,
      stderr: '',
    });
  });

  test('the SLURM array, as SLURM runs it', async () => {
    const options = [...read('explore-slurm.sh').matchAll(/^#SBATCH (\S+)$/gm)].map(([, option]) => option);
    expect(options).toContain('--array=1-8');
    expect(options.every((option) => /^--[a-z-]+(=\S+)?$/.test(option ?? ''))).toBe(true);
    const { model, at } = network();
    for (const task of ['1', '2']) {
      const env = { SLURM_ARRAY_TASK_ID: task, SLURM_ARRAY_TASK_COUNT: '2' };
      expect(shell(['bash', join(SCHEDULERS, 'explore-slurm.sh'), model, ...GRID], env).status).toBe(0);
    }
    await merged(at);
  });

  test('the Kubernetes job, its command as the container runs it', async () => {
    const job = parse(read('explore-kubernetes.yaml')) as {
      kind: string;
      spec: {
        completionMode: string;
        completions: number;
        template: { spec: { containers: [{ command: string[]; env: { name: string; value: string }[] }] } };
      };
    };
    const { completionMode, completions, template } = job.spec;
    const [{ command, env }] = template.spec.containers;
    expect([job.kind, completionMode]).toEqual(['Job', 'Indexed']);
    expect(env).toContainEqual({ name: 'PARTS', value: String(completions) });
    const { model, at } = network();
    const [interpreter = '', flag = '', text = ''] = command;
    for (const index of ['0', '1']) {
      const given = { MODEL: model, PARTS: '2', JOB_COMPLETION_INDEX: index };
      expect(shell([interpreter, flag, `${text} ${GRID.join(' ')}`], given).status).toBe(0);
    }
    await merged(at);
  });

  const PARALLEL = {
    present: spawnSync('parallel', ['--version']).status === 0,
    missing: 'there is no GNU parallel',
    remedy: 'install it (Debian: apt-get install parallel)',
  };

  test('GNU parallel', needs(PARALLEL), () => {
    const { model, at } = network();
    const { status, stderr } = shell(['bash', join(SCHEDULERS, 'explore-parallel.sh'), '2', model, ...GRID], {});
    expect([status, stderr]).toEqual([0, expect.any(String)]);
    expect(points(at('model.explore.json'))).toHaveLength(6);
  });
});
