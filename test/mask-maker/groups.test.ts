/**
 * Groups line up what can only go together; widths, exclusions, and what the compiler then does.
 */
import { describe, expect, test } from 'vitest';
import { resnet } from '../../fixtures/networks/resnet/resnet.js';
import { compileModel } from '../../src/compile.js';
import { makeMasks, type MadeMasks } from '../../src/mask-maker/make-masks.js';
import { verifyModels } from '../../src/verify/verify.js';
import { loadRealModel } from '../support/real-models.js';
import { failureOfAsync } from './failure.js';
import { groupedNetwork, plainNetwork, residualNetwork } from './networks.js';

/** Indices along the first axis of which nothing is kept. */
function goneFilters({ masks }: MadeMasks, name: string): number[] {
  const mask = masks.find((candidate) => candidate.name === name);
  if (mask === undefined) throw new Error(`no mask ${name}`);
  const [filters = 0] = mask.dims;
  const size = mask.keep.length / filters;
  const isGone = (filter: number) => mask.keep.subarray(filter * size, (filter + 1) * size).every((keep) => keep === 0);
  return Array.from({ length: filters }, (_, filter) => filter).filter(isGone);
}

const GROUPS = [
  ['stem.weight', 'block.project.weight'],
  ['block.expand.weight', 'block.depth.weight'],
] as const;

describe('groups: residual', () => {
  test.each(['layer', 'global'] as const)('members have the same indices, scope %s', async (scope) => {
    const made = await makeMasks(residualNetwork(), { groups: 'residual', scope });
    for (const [one, other] of GROUPS) expect(goneFilters(made, one)).toEqual(goneFilters(made, other));
    if (scope === 'layer') expect(GROUPS.map(([one]) => goneFilters(made, one).length)).toEqual([12, 20]);
    const alone = await makeMasks(residualNetwork(), { scope });
    expect(GROUPS.some(([one, other]) => goneFilters(alone, one).join() !== goneFilters(alone, other).join())).toBe(
      true,
    );
  });

  test('input channels of all readers line up', async () => {
    const { report } = await makeMasks(residualNetwork(), { groups: 'residual', granularity: 'channel' });
    expect(report.layers.map(({ mask, masked }) => [mask, masked])).toEqual([
      ['block.expand.weight', 12],
      ['block.project.weight', 20],
      ['fc.weight', 12],
    ]);
    expect(report.skipped).toEqual([
      { node: '/stem/Conv', why: 'x is an input of the model and keeps its shape' },
      { node: '/block/depth/Conv', why: 'its input channels belong to groups' },
    ]);
    expect(report.removableChannels).toBeGreaterThanOrEqual(12 + 12 + 20 + 20 - 4);
  });

  test('widths are multiples, rounded up, and never more than there are', async () => {
    const kept = async (widthMultiple: number) => {
      const made = await makeMasks(residualNetwork(), { groups: 'residual', ratio: 0.6, widthMultiple });
      return made.report.layers.map(({ units, masked }) => units - masked);
    };
    expect(await kept(1)).toEqual([10, 16, 16, 10]);
    expect(await kept(8)).toEqual([16, 16, 16, 16]);
    expect(await kept(16)).toEqual([16, 16, 16, 16]);
    expect(await kept(32)).toEqual([24, 32, 32, 24]);
  });

  test.each([
    ['stem', '/stem/Conv', '/block/project/Conv'],
    ['/block/expand/Conv', '/block/expand/Conv', '/block/depth/Conv'],
    ['block.e?pand.weight', '/block/expand/Conv', '/block/depth/Conv'],
    ['*.depth', '/block/depth/Conv', '/block/expand/Conv'],
  ])('what is excluded keeps its partners: %s', async (pattern, excluded, partner) => {
    const { skipped } = (await makeMasks(residualNetwork(), { groups: 'residual', exclude: [pattern] })).report;
    expect(skipped.slice(0, -1).toSorted((a, b) => a.why.localeCompare(b.why))).toEqual([
      { node: excluded, why: 'excluded' },
      { node: partner, why: `it is coupled to ${excluded}, which is excluded` },
    ]);
  });

  test('a module stands for all that is in it; nothing left to mask is an error', async () => {
    const { code, what } = await failureOfAsync(makeMasks(residualNetwork(), { exclude: ['block', 'stem'] }));
    expect([code, what]).toEqual([
      'E-USAGE',
      'no layer that --exclude leaves can have masks of the granularity filter',
    ]);
  });
});

describe('grouped convolutions', () => {
  const perGroup = (made: MadeMasks, name: string) =>
    [0, 6, 12, 18].map((start) => goneFilters(made, name).filter((at) => at >= start && at < start + 6).length);

  test.each(['layer', 'global'] as const)('as many of each group are masked, and go; scope %s', async (scope) => {
    const options = { groups: 'residual', meaning: 'drop', scope, ratio: 0.4 } as const;
    const made = await makeMasks(groupedNetwork(), options);
    for (const name of ['block.reduce.weight', 'block.grouped.weight']) {
      const [first, ...others] = perGroup(made, name);
      expect(first).toBeGreaterThan(0);
      expect(others).toEqual([first, first, first]);
    }
    if (scope === 'layer') expect(perGroup(made, 'block.grouped.weight')[0]).toBe(2);
    const masked = made.report.layers.reduce((total, layer) => total + layer.masked, 0);
    const { report } = await compileModel(made.encode('onnx'), { align: 1 });
    expect(report.before.channels - report.after.channels).toBe(masked);
  });

  test('input channels of what reads them, too', async () => {
    const options = { groups: 'residual', granularity: 'channel', ratio: 0.4 } as const;
    const made = await makeMasks(groupedNetwork(), options);
    const { report } = await compileModel(made.encode('onnx'), { align: 1 });
    // Those of the grouped convolution itself are left alone.
    expect(report.layers.map(({ node, keptOutputChannels }) => [node, keptOutputChannels])).toEqual([
      ['/stem/Conv', 12],
      ['/block/reduce/Conv', 24],
      ['/block/grouped/Conv', 16],
      ['/block/expand/Conv', 12],
      ['/fc/Gemm', 5],
    ]);
  });

  test('without groups of coupled channels each layer is on its own', async () => {
    const made = await makeMasks(groupedNetwork(), { ratio: 0.4 });
    expect(new Set(perGroup(made, 'block.grouped.weight')).size).toBeGreaterThan(1);
  });

  test('widths are multiples that all groups share', async () => {
    const made = await makeMasks(groupedNetwork(), { groups: 'residual', ratio: 0.6, widthMultiple: 16 });
    // 10 of 24 would stay.
    expect(perGroup(made, 'block.grouped.weight')).toEqual([2, 2, 2, 2]);
  });
});

test('without groups the excluded alone are left out', async () => {
  const { report } = await makeMasks(plainNetwork(), { exclude: ['a'] });
  expect(report.layers.map(({ mask }) => mask)).toEqual(['b.weight']);
  expect(report.skipped).toEqual([
    { node: '/a/Conv', why: 'excluded' },
    { node: '/fc/Gemm', why: '/fc/Gemm_output_0 is an output of the model and keeps its shape' },
  ]);
});

test('an unknown layer is an error with the nearest names', async () => {
  expect(await failureOfAsync(makeMasks(plainNetwork(), { exclude: ['b.wieght'] }))).toMatchObject({
    code: 'E-NODE-UNKNOWN',
    what: 'there is no layer called "b.wieght" to exclude',
    facts: [['the model has', expect.stringContaining('b.weight')], expect.anything()],
  });
});

async function checkPromise(model: Uint8Array, options: Parameters<typeof makeMasks>[1]): Promise<number> {
  const made = await makeMasks(model, options);
  const masked = made.encode('onnx');
  const compiled = await compileModel(masked);
  const { before, after } = compiled.report;
  expect(before.channels - after.channels).toBe(made.report.removableChannels);
  expect([after.parameters, after.macs]).toEqual([made.report.after.parameters, made.report.after.macs]);
  expect((await verifyModels(masked, compiled.encode(), { seeds: [1] })).equal).toBe(true);
  return made.report.removableChannels;
}

test('a ResNet: what was said goes, and more with groups', async () => {
  const model = resnet('resnet18', { width: 16, size: 64, blocks: [1, 1, 1, 1] }).denseBytes();
  const alone = await checkPromise(model, {});
  const aligned = await checkPromise(model, { groups: 'residual' });
  expect(aligned).toBeGreaterThan(alone);
});

describe('real exports', () => {
  test.each([
    ['s_resnet18.plain.legacy', 44, 80],
    ['s_mobilenet.plain.legacy', undefined, 1252],
  ])('%s: the channels that were promised go', async (name, alone, aligned) => {
    const model = await loadRealModel(name);
    expect(await checkPromise(model, { groups: 'residual' })).toBe(aligned);
    if (alone !== undefined) expect(await checkPromise(model, {})).toBe(alone);
  });

  test('with the meaning drop, a ResNet-18 of width 4 loses all that is masked but the narrowest stage', async () => {
    const { report } = await makeMasks(await loadRealModel('s_resnet18.plain.legacy'), {
      groups: 'residual',
      meaning: 'drop',
    });
    // 150 filters are masked; five layers of width 4 keep their widths for speed.
    expect(report.removableChannels).toBe(150 - 5 * 2);
  });
});
