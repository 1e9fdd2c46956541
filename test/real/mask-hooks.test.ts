/**
 * Networks exported while they were pruned: the masks are in the graph, multiplied in when it runs.
 * No mask file is needed, and what comes out is what the file and the plain export give, or the
 * export after prune.remove.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { normals } from '../../fixtures/networks/random.js';
import { pathOf } from '../masks/manifest.js';
import { compileByCommand, removedPerConvolution, total } from '../support/command.js';
import { applyMasks, dropMasked, masksOf } from '../support/file-masks.js';
import { smallestSlices } from '../support/criteria.js';
import { outputsOf, RawNetwork, TOLERANCE, worstDifference } from '../support/raw-network.js';
import { REAL_FILES, realModelNames } from '../support/real-models.js';

const load = (name: string) => readFileSync(`${REAL_FILES}/skeletons/models/${name}.onnx`);
const images = { values: normals(4, 'images', 2 * 3 * 4096), dims: [2, 3, 64, 64] };
const HOOKS = realModelNames(/_hooks\./);

/** s_resnet18.ln0_hooks.dynamo -> s_resnet18.ln0 */
const pruningOf = (name: string) => name.replace(/_hooks.*/, '');

/**
 * Filters that are empty in the sibling of which the masks were removed go with scale and shift.
 */
function droppedSibling(pruning: string): Uint8Array {
  const [net] = pruning.split('.');
  const network = new RawNetwork(load(`${net}.plain.legacy_bn`));
  for (const weights of network.convolutionWeights()) zeroAsRemoved(network, pruning, weights);
  for (const weights of network.convolutionWeights()) network.dropEmptyFilters(weights);
  return network.bytes();
}

/**
 * The folded sibling has its zeros where the weights of the same convolution of the plain export
 * must have theirs.
 */
function zeroAsRemoved(network: RawNetwork, pruning: string, weights: string): void {
  const removed = new RawNetwork(load(`${pruning}_removed.legacy`));
  const place = network.convolutionWeights().indexOf(weights);
  network.zero(weights, removed.floats(removed.convolutionWeights()[place] ?? ''));
}

type Meaning = 'zero' | 'drop';

interface Sibling {
  /** Of the reference. */
  readonly expected: Float32Array;
  /** Channels that go from the export after prune.remove. */
  readonly removed: readonly number[];
}

const siblings = new Map<string, Promise<Sibling>>();
const noOutputs = new Float32Array();

async function sibling(pruning: string, meaning: Meaning): Promise<Sibling> {
  const key = `${pruning} ${meaning}`;
  const make = async (): Promise<Sibling> => {
    const removed = load(`${pruning}_removed.legacy`);
    const { report } = await compileByCommand(removed, ['--align', '1', '--meaning', meaning]);
    const reference = meaning === 'zero' ? removed : droppedSibling(pruning);
    return { expected: await outputsOf(reference, images), removed: removedPerConvolution(report) };
  };
  const known = siblings.get(key) ?? make();
  siblings.set(key, known);
  return known;
}

describe('pruning hooks active', () => {
  test('the exports are here, and one mask of theirs is the Identity of another layer’s', () => {
    expect(HOOKS).toHaveLength(14);
    const { nodes } = new RawNetwork(load('s_resnet18.ln0_hooks.legacy_nofold'));
    const shared = nodes.filter(({ opType, input }) => opType === 'Identity' && input?.[0]?.endsWith('weight_mask'));
    expect(shared.map(({ output }) => output?.[0])).toEqual(['layer1.1.conv2.weight_mask']);
  });

  test.each(HOOKS)('%s', async (name) => {
    const pruning = pruningOf(name);
    const outputs = new Map<Meaning, Float32Array>();
    for (const meaning of ['zero', 'drop'] as const) {
      const { expected, removed } = await sibling(pruning, meaning);
      const { report, bytes } = await compileByCommand(load(name), ['--align', '1', '--meaning', meaning]);
      expect(worstDifference(expected, await outputsOf(bytes, images)), meaning).toBeLessThan(TOLERANCE);
      expect(removedPerConvolution(report)).toEqual(removed);
      outputs.set(meaning, expected);
    }
    const [zero = noOutputs, drop = noOutputs] = outputs.values();
    // Where whole filters are masked, the two meanings are not the same function.
    if (pruning.endsWith('ln0')) expect(worstDifference(zero, drop)).toBeGreaterThan(1000 * TOLERANCE);
  });

  test.each(['zero', 'drop'])('s_resnet18.ln0: as the mask file onto the plain export, meaning %s', async (meaning) => {
    const file = pathOf({ file: 's_resnet18.ln0.1d.bool.pt' });
    const options = ['--align', '1', '--meaning', meaning];
    const masks = masksOf(file);
    const network = new RawNetwork(load('s_resnet18.plain.legacy_bn'));
    const reference = (meaning === 'zero' ? applyMasks : dropMasked)(network, masks);
    const expected = await outputsOf(reference.bytes(), images);
    const fromFile = await compileByCommand(load('s_resnet18.plain.legacy_bn'), [...options, '-m', file]);
    for (const name of HOOKS.filter((candidate) => candidate.startsWith('s_resnet18.ln0'))) {
      const { report, bytes } = await compileByCommand(load(name), options);
      expect(removedPerConvolution(report), name).toEqual(removedPerConvolution(fromFile.report));
      expect(worstDifference(expected, await outputsOf(bytes, images)), name).toBeLessThan(TOLERANCE);
    }
  });

  test('the masks of the file are those of the graph, and those that the weights ask for', () => {
    const plain = new RawNetwork(load('s_resnet18.plain.legacy_bn'));
    const hooks = new RawNetwork(load('s_resnet18.ln0_hooks.legacy_nofold'));
    const masks = masksOf(pathOf({ file: 's_resnet18.ln0.npz' }));
    expect(masks).toHaveLength(19);
    for (const { parameter, kept } of masks) {
      expect(hooks.floats(`${parameter}_orig`)).toEqual(plain.floats(parameter));
      const name = `${parameter}_mask`;
      const shared = hooks.nodes.find(({ output }) => output?.[0] === name)?.input?.[0];
      expect(Uint8Array.from(hooks.floats(shared ?? name)), name).toEqual(kept);
      const [filters = 0] = plain.dims(parameter);
      expect(smallestSlices(plain, parameter, 0, filters / 2, 'l2'), parameter).toEqual(kept);
    }
  });

  test.each([
    's_resnet18.ln0_hooks.legacy_nofold',
    's_resnet18.rand_hooks.dynamo',
    's_mobilenet.ln0_hooks.dynamo_noopt',
  ])('%s: the operands of the multiplications swapped', async (name) => {
    const swapped = new RawNetwork(load(name));
    const products = swapped.nodes.filter(
      ({ opType, input }) => opType === 'Mul' && input?.some((operand) => operand.endsWith('weight_orig')),
    );
    expect(products.length).toBeGreaterThan(0);
    for (const { input } of products) input?.reverse();
    for (const meaning of ['zero', 'drop']) {
      const options = ['--align', '1', '--meaning', meaning];
      // Both through the same encoder: it knows an older ONNX, and leaves out what that had not.
      const expected = await compileByCommand(new RawNetwork(load(name)).bytes(), options);
      const found = await compileByCommand(swapped.bytes(), options);
      expect(removedPerConvolution(found.report)).toEqual(removedPerConvolution(expected.report));
      expect(found.report.after).toEqual(expected.report.after);
      const [a, b] = [await outputsOf(expected.bytes, images), await outputsOf(found.bytes, images)];
      expect(worstDifference(a, b)).toBe(0);
    }
  });

  test('channels that go', async () => {
    const channels = async (name: string) =>
      total(removedPerConvolution((await compileByCommand(load(name), ['--align', '1'])).report));
    expect(await channels('s_resnet18.ln0_hooks.dynamo_noopt')).toBe(72);
    expect(await channels('s_resnet18.rand_hooks.legacy')).toBe(0);
  });
});
