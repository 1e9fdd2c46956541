import { expect, test } from 'vitest';
import { contenderNames } from '../../src/cli/commands/bench.js';
import { nearestNames } from '../../src/nearest.js';
import { BENCHMARK, DIFFERENT, REPORT, VERIFICATION } from '../report/sample.js';
import { run } from './run-command.js';

const INSPECTION = {
  model: 'a.onnx',
  opset: 17,
  figures: REPORT.before,
  layers: [],
  removableChannels: 0,
  unknownOps: [],
  remarks: [],
  unreadWeights: [],
  subgraphLayers: 0,
};

test('inspect', async () => {
  const engine = { inspectModel: () => Promise.resolve(INSPECTION) };
  const text = await run(['inspect', 'a.onnx'], { engine });
  expect([text.code, text.stderr]).toEqual([0, '']);
  expect(text.stdout).toMatch(/^a\.onnx: opset 17/);
  expect(JSON.parse((await run(['inspect', 'a.onnx', '--json'], { engine })).stdout)).toEqual({
    schema: 1,
    ...INSPECTION,
  });
});

test('why', async () => {
  const explanation = {
    node: '/conv1',
    channels: 2,
    groups: [{ channels: [0, 1], state: 'removable' as const, chain: [] }],
  };
  const engine = { explainNode: () => Promise.resolve(explanation) };
  expect((await run(['why', 'a.onnx', '/conv1'], { engine })).stdout).toBe(
    '/conv1: 2 of 2 channels can be removed\nchannels 0, 1 (2 of 2) can be removed\n',
  );
  expect(JSON.parse((await run(['why', 'a.onnx', '/conv1', '--json'], { engine })).stdout)).toEqual({
    schema: 1,
    model: 'a.onnx',
    ...explanation,
  });
});

test('verify: 0 when equal, 1 when not', async () => {
  const equal = await run(['verify', 'a.onnx', 'b.onnx', '-q']);
  expect([equal.code, equal.stderr]).toEqual([0, '']);
  const differ = await run(['verify', 'a.onnx', 'b.onnx', '-q'], {
    engine: { verifyModels: () => Promise.resolve(DIFFERENT) },
  });
  expect(differ.code).toBe(1);
  expect(differ.stdout).toContain('OUTPUTS DIFFER');
  expect(differ.stderr).toBe('prune-compile: b.onnx does not compute what a.onnx computes    [E-OUTPUTS-DIFFER]\n');
  const json = await run(['verify', 'a.onnx', 'b.onnx', '--json']);
  expect(JSON.parse(json.stdout)).toEqual({
    schema: 1,
    reference: 'a.onnx',
    candidate: 'b.onnx',
    verification: VERIFICATION,
  });
});

test('bench', async () => {
  const seen: unknown[] = [];
  const engine = {
    benchModels: (
      contenders: readonly { name: string }[],
      { baseline }: { readonly baseline?: string | undefined },
    ) => {
      seen.push([contenders, baseline]);
      return Promise.resolve(BENCHMARK);
    },
  };
  const { code, stdout } = await run(['bench', 'x/a.onnx', 'x/b.onnx', '--json'], { engine });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ schema: 1, benchmarks: [BENCHMARK] });
  expect(seen).toEqual([
    [
      [
        { name: 'a.onnx', model: 'x/a.onnx' },
        { name: 'b.onnx', model: 'x/b.onnx' },
      ],
      'a.onnx',
    ],
  ]);
});

test('contenders are told apart', () => {
  expect(contenderNames(['x/a.onnx', 'y/b.onnx'])).toEqual(['a.onnx', 'b.onnx']);
  expect(contenderNames(['x/a.onnx', 'y/a.onnx'])).toEqual(['x/a.onnx', 'y/a.onnx']);
  expect(contenderNames(['a.onnx', 'a.onnx'])).toEqual(['a.onnx #1', 'a.onnx #2']);
});

test('nearest names', () => {
  expect(nearestNames('inpsect', ['inspect', 'bench', 'why'])).toEqual(['inspect']);
  expect(nearestNames('xyz', ['inspect', 'bench', 'why'])).toEqual([]);
});
