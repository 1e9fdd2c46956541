/**
 * Every good mask file of fixtures/real by the command onto three exports of its net: bound
 * entirely, as many zeros as the file holds, and the outputs of a reference into which the test
 * wrote the zeros itself (support/raw-network.ts).
 */
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { normals } from '../../fixtures/networks/random.js';
import { type Listed, manifest, pathOf } from '../masks/manifest.js';
import { compileByCommand, masksIn, removedPerConvolution, total } from '../support/command.js';
import { smallestElements, smallestSlices } from '../support/criteria.js';
import { applyMasks, dropMasked, type FileMask, masksOf, parameterName, zerosOf } from '../support/file-masks.js';
import { type Images, outputsOf, RawNetwork, TOLERANCE, worstDifference } from '../support/raw-network.js';
import { REAL_FILES, loadRealModel } from '../support/real-models.js';

const MODELS = `${REAL_FILES}/skeletons/models`;
/**
 * With what each binds: normalisation kept, folded (names lost), folded by the newer exporter
 * (names kept).
 */
const EXPORTS = [
  ['legacy_bn', 'name'],
  ['legacy', 'module'],
  ['dynamo', 'name'],
] as const;

interface Good extends Listed {
  readonly net: string;
  readonly prefix?: string;
}

const isGood = (listed: Listed & Partial<Good>): listed is Good =>
  listed.expect.startsWith('ok') &&
  /^s_resnet(10|18|20)$/.test(listed.net ?? '') &&
  !/misfit|named_parameters/.test(listed.file);
const good = manifest(/./).filter(isGood);

const modelPath = (net: string, variant: string) => `${MODELS}/${net}.plain.${variant}.onnx`;
const network = (net: string) => new RawNetwork(readFileSync(modelPath(net, 'legacy_bn')));

function images(net: string, size = net === 's_resnet20' ? [32, 32] : [64, 64]): Images {
  const dims = [2, 3, ...size];
  return {
    values: normals(
      1,
      'images',
      dims.reduce((product, extent) => product * extent, 1),
    ),
    dims,
  };
}

/** Files that hold the same masks have the same of these. */
function identity(net: string, masks: readonly FileMask[]): string {
  const elements = masks.map(({ parameter, kept }) => {
    const each = network(net).floats(parameter).length / kept.length;
    const all = Uint8Array.from({ length: each * kept.length }, (_, at) => kept[Math.floor(at / each)] ?? 0);
    return `${parameter} ${crc32(all)}`;
  });
  return `${net}: ${elements.toSorted().join()}`;
}

interface Known {
  readonly file: string;
  readonly expected: Float32Array;
  /** By export. */
  readonly outputs: Map<string, Uint8Array>;
}

const known = new Map<string, Known>();

async function reference(net: string, masks: readonly FileMask[], file: string): Promise<Known> {
  const key = identity(net, masks);
  const expected = known.get(key)?.expected ?? (await outputsOf(applyMasks(network(net), masks).bytes(), images(net)));
  const entry = known.get(key) ?? { file, expected, outputs: new Map() };
  known.set(key, entry);
  return entry;
}

describe('mask files onto three exports of their nets', () => {
  test('all of them are here', () => {
    expect(good).toHaveLength(50);
  });

  test.each(good.map((listed) => [listed.file, listed] as const))('%s', async (file, listed) => {
    const { net, prefix } = listed;
    const masks = masksOf(pathOf(listed), prefix, listed);
    const wanted = new Map(masks.map((mask) => [mask.parameter, zerosOf(mask, network(net))]));
    const { expected, outputs } = await reference(net, masks, file);
    const removed: number[][] = [];
    for (const [variant, evidence] of EXPORTS) {
      const model = modelPath(net, variant);
      const { report, bytes } = await compileByCommand(model, ['--masks', pathOf(listed), '--align', '1']);
      const bound = masksIn(report);
      expect(bound.unmatched).toEqual([]);
      expect(new Map(bound.masks.map(({ key, zeros }) => [parameterName(key, prefix), zeros]))).toEqual(wanted);
      expect(bound.masks).toHaveLength(wanted.size);
      for (const mask of bound.masks)
        expect(mask.evidence, mask.key).toBe(mask.node.endsWith('Gemm') ? 'name' : evidence);
      removed.push(removedPerConvolution(report));
      // The same masks in another format: the same model to the byte.
      const other = outputs.get(variant);
      const found = new RawNetwork(bytes).withoutOrigin();
      if (other !== undefined) expect(Buffer.compare(found, other)).toBe(0);
      else expect(worstDifference(expected, await outputsOf(bytes, images(net))), variant).toBeLessThan(TOLERANCE);
      outputs.set(variant, found);
    }
    for (const counts of removed) expect(counts).toEqual(removed[0]);
    expectMaskedFiltersGone(net, masks, removed[0] ?? []);
  });

  test.each([
    ['s_resnet10.ln0.state_dict.pt', 9552, 56],
    ['s_resnet18.ln0.npz', 21_792, 72],
    ['s_resnet20.ln0.state_dict.pt', 8432, 54],
  ])('%s: %s zeros, %s channels', async (file, zeros, channels) => {
    const listed = find(file);
    const { report } = await compileByCommand(modelPath(listed.net, 'legacy'), ['-m', pathOf(listed), '--align', '1']);
    expect(total(masksIn(report).masks.map((mask) => mask.zeros))).toBe(zeros);
    expect(total(removedPerConvolution(report))).toBe(channels);
  });
});

/**
 * Filters of the first convolution of a block are read by the second alone: none that is masked may
 * stay, but one for its shape.
 */
function expectMaskedFiltersGone(net: string, masks: readonly FileMask[], removed: readonly number[]): void {
  const masked = applyMasks(network(net), masks);
  for (const [place, weights] of masked.convolutionWeights().entries()) {
    if (!weights.endsWith('.conv1.weight')) continue;
    const dead = emptyFilters(masked, weights);
    expect(removed[place], weights).toBeGreaterThanOrEqual(dead);
  }
}

describe('the masks are those that the weights ask for', () => {
  // Half of the filters, a quarter of the input channels: the arguments that made them.
  test.each([
    ['s_resnet10.ln0.state_dict.pt', 0, 0.5, 'l2', 11],
    ['s_resnet20.ln0.state_dict.pt', 0, 0.5, 'l2', 20],
    ['s_resnet10.ln1.state_dict.pt', 1, 0.25, 'l1', 11],
  ] as const)('%s: ln_structured along axis %s', (file, axis, share, norm, count) => {
    const listed = find(file);
    const plain = network(listed.net);
    const masks = masksOf(pathOf(listed));
    expect(masks).toHaveLength(count);
    for (const { parameter, kept } of masks) {
      const slices = Math.round(share * (plain.dims(parameter)[axis] ?? 0));
      expect(smallestSlices(plain, parameter, axis, slices, norm), parameter).toEqual(kept);
    }
  });

  test('s_resnet10.global.state_dict.pt: global_unstructured, 70 %', () => {
    const listed = find('s_resnet10.global.state_dict.pt');
    const plain = network(listed.net);
    const masks = masksOf(pathOf(listed));
    const weights = plain.convolutionWeights();
    expect(masks.map(({ parameter }) => parameter)).toEqual(weights);
    const elements = total(weights.map((name) => plain.floats(name).length));
    const opinion = smallestElements(plain, weights, Math.round(0.7 * elements));
    for (const { parameter, kept } of masks) expect(opinion.get(parameter), parameter).toEqual(kept);
  });
});

function emptyFilters(network_: RawNetwork, weights: string): number {
  const values = network_.floats(weights);
  const [filters = 1] = network_.dims(weights);
  const each = values.length / filters;
  const isEmpty = (filter: number) => values.subarray(filter * each, (filter + 1) * each).every((value) => value === 0);
  return Array.from({ length: filters }, (_, filter) => filter).filter(isEmpty).length;
}

function find(file: string): Good {
  const listed = good.find((candidate) => candidate.file === file);
  if (listed === undefined) throw new Error(`the manifest has no ${file}`);
  return listed;
}

const KINDS = [
  's_resnet10.ln0.state_dict.pt',
  's_resnet10.ln1.state_dict.pt',
  's_resnet10.rand.state_dict.pt',
  's_resnet10.iterated.state_dict.pt',
  's_resnet18.ln0.1d.bool.safetensors',
  's_resnet18.all_zero_layer.pt',
  's_resnet20.ln0.state_dict.pt',
];

describe('what the comparison can see', () => {
  test.each(KINDS)('%s: no masks, or one element more, is another function', async (file) => {
    const listed = find(file);
    const { net } = listed;
    const masks = masksOf(pathOf(listed), listed.prefix);
    const expected = await outputsOf(applyMasks(network(net), masks).bytes(), images(net));
    const plain = await outputsOf(network(net).bytes(), images(net));
    expect(worstDifference(expected, plain)).toBeGreaterThan(1e5 * TOLERANCE);
    const oneMore = applyMasks(network(net), masks);
    const [, , , weights = ''] = oneMore.convolutionWeights();
    const values = oneMore.floats(weights);
    const largest = values.reduce((best, value, at) => (Math.abs(value) > Math.abs(values[best] ?? 0) ? at : best), 0);
    values[largest] = 0;
    oneMore.set(weights, values);
    expect(worstDifference(expected, await outputsOf(oneMore.bytes(), images(net)))).toBeGreaterThan(100 * TOLERANCE);
  });

  test.each(KINDS)('%s: the meaning drop', async (file) => {
    const listed = find(file);
    const { net } = listed;
    const masks = masksOf(pathOf(listed), listed.prefix);
    const expected = await outputsOf(dropMasked(network(net), masks).bytes(), images(net));
    const removed: number[][] = [];
    for (const [variant] of EXPORTS) {
      const options = ['--masks', pathOf(listed), '--align', '1', '--meaning', 'drop'];
      const { report, bytes } = await compileByCommand(modelPath(net, variant), options);
      expect(worstDifference(expected, await outputsOf(bytes, images(net))), variant).toBeLessThan(TOLERANCE);
      removed.push(removedPerConvolution(report));
    }
    for (const counts of removed) expect(counts).toEqual(removed[0]);
    // Input channels alone drop nothing; where filters are masked, their shifts were something.
    const zeroed = await outputsOf(applyMasks(network(net), masks).bytes(), images(net));
    const difference = worstDifference(expected, zeroed);
    if (file.includes('.ln1.')) expect(difference).toBe(0);
    else expect(difference).toBeGreaterThan(1000 * TOLERANCE);
  });

  test.each(['s_resnet10.ln0.state_dict.pt', 's_resnet18.ln0.npz'])('%s: images of other sizes', async (file) => {
    const listed = find(file);
    const masked = applyMasks(network(listed.net), masksOf(pathOf(listed)));
    masked.openImageSize();
    for (const [variant] of EXPORTS) {
      const open = new RawNetwork(readFileSync(modelPath(listed.net, variant)));
      open.openImageSize();
      const { bytes } = await compileByCommand(open.bytes(), ['--masks', pathOf(listed), '--align', '1']);
      for (const size of [
        [64, 64],
        [97, 75],
      ]) {
        const inputs = images(listed.net, size);
        const expected = await outputsOf(masked.bytes(), inputs);
        expect(worstDifference(expected, await outputsOf(bytes, inputs)), variant).toBeLessThan(TOLERANCE);
      }
    }
  });
});

describe('full size', () => {
  test('resnet18: expanded views and bool arrays of the same masks', async () => {
    const model = await loadRealModel('resnet18.legacy');
    const compiled = [
      await compileByCommand(model, ['--no-verify', '--masks', `${REAL_FILES}/masks/files/resnet18.expanded.pt`]),
      await compileByCommand(model, ['--masks', `${REAL_FILES}/masks/files/resnet18.npz`]),
    ];
    const [views, arrays] = compiled.map(({ bytes }) => new RawNetwork(bytes).withoutOrigin());
    expect(Buffer.compare(views ?? new Uint8Array(), arrays ?? new Uint8Array())).toBe(0);
    const file = `${REAL_FILES}/masks/files/resnet18.npz`;
    // The folded export has lost the names; its convolutions come in the order of the modules, as
    // the masks do.
    const pruned = new RawNetwork(model);
    const weights = pruned.convolutionWeights();
    const masks = masksOf(file);
    expect(masks.map(({ dims }) => dims)).toEqual(weights.map((name) => pruned.dims(name)));
    for (const [place, { kept }] of masks.entries()) pruned.zero(weights[place] ?? '', kept);
    const photo = { values: normals(1, 'image', 3 * 224 * 224), dims: [1, 3, 224, 224] };
    const expected = await outputsOf(pruned.bytes(), photo);
    expect(worstDifference(expected, await outputsOf(compiled[1]?.bytes ?? model, photo))).toBeLessThan(TOLERANCE);
    for (const { report } of compiled) {
      const { masks: bound, unmatched } = masksIn(report);
      expect(unmatched).toEqual([]);
      expect(bound).toHaveLength(20);
      expect(new Set(bound.map(({ evidence }) => evidence))).toEqual(new Set(['module']));
      expect(total(bound.map(({ zeros }) => zeros))).toBe(5_583_456);
    }
  });
});
