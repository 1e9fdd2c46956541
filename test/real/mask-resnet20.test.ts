/**
 * Masks that torch.nn.utils.prune and NNI saved for a trained ResNet-20, onto its export with
 * normalisation and the folded one: bound entirely, the same channels gone, outputs as of a
 * reference that the test made, also on photographs.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { normals } from '../../fixtures/networks/random.js';
import { compileByCommand, masksIn, removedPerConvolution, total, type Written } from '../support/command.js';
import { smallestElements, smallestSlices } from '../support/criteria.js';
import { applyMasks, dropMasked, type FileMask, masksOf, parameterName, zerosOf } from '../support/file-masks.js';
import { photographs, predictions, rightAnswers } from '../support/photographs.js';
import { outputsOf, RawNetwork, TOLERANCE, worstDifference } from '../support/raw-network.js';
import { REAL_FILES } from '../support/real-models.js';

const KEPT = `${REAL_FILES}/models/cifar/resnet20_bn_op13.onnx`;
const FOLDED = `${REAL_FILES}/models/cifar/resnet20_folded_op13.onnx`;
const FILES = ['torch-prune', 'nni'].flatMap((folder) =>
  readdirSync(`${REAL_FILES}/masks/${folder}`)
    .filter((file) => /\.p?th$/.test(file))
    .map((file) => `${folder}/${file}`),
);
const L1_50 = 'torch-prune/resnet20_ln_structured_l1_50_conv1.pth';
const L2_10 = 'torch-prune/resnet20_ln_structured_l2_10_conv1.pth';

const pathOf = (file: string) => `${REAL_FILES}/masks/${file}`;
const dense = () => new RawNetwork(readFileSync(KEPT));
const noise = { values: normals(2, 'images', 3 * 3072), dims: [3, 3, 32, 32] };

const done = new Map<string, Promise<Written>>();

/** Each combination is compiled once. */
async function compiled(model: string, file: string, meaning: string): Promise<Written> {
  const key = `${model} ${file} ${meaning}`;
  const known = done.get(key) ?? compileByCommand(model, ['-m', pathOf(file), '--align', '1', '--meaning', meaning]);
  done.set(key, known);
  return known;
}

function pruned({ kept }: FileMask): number {
  return kept.filter((keep) => keep === 0).length;
}

/** How the masks were made, done again. Nothing for masks that were drawn. */
function secondOpinion(file: string, masks: readonly FileMask[]): ReadonlyMap<string, Uint8Array> | undefined {
  const network = dense();
  const norm = /l2/.test(file) ? 'l2' : /fpgm/.test(file) ? 'fpgm' : 'l1';
  if (file.includes('random')) return undefined;
  if (file.includes('global')) {
    const elements = total(network.convolutionWeights().map((name) => network.floats(name).length));
    return smallestElements(network, network.convolutionWeights(), Math.round(0.8 * elements));
  }
  const share = Number(/_(\d\d)_/.exec(file)?.[1]) / 100;
  return new Map(
    masks.map(({ parameter }) => {
      const [filters = 0] = network.dims(parameter);
      return [parameter, smallestSlices(network, parameter, 0, Math.round(share * filters), norm)];
    }),
  );
}

describe('ResNet-20, trained', () => {
  test('eight files, seven sets of masks', () => {
    expect(FILES).toHaveLength(8);
  });

  test.each(FILES)('%s', async (file) => {
    const masks = masksOf(pathOf(file));
    const wanted = new Map(masks.map((mask) => [mask.parameter, zerosOf(mask, dense())]));
    expect(wanted.size).toBe(/global|random/.test(file) ? 19 : 9);
    for (const meaning of ['zero', 'drop'] as const) {
      const reference = (meaning === 'zero' ? applyMasks : dropMasked)(dense(), masks);
      const expected = await outputsOf(reference.bytes(), noise);
      const removed: number[][] = [];
      for (const [model, evidence] of [
        [KEPT, 'name'],
        [FOLDED, 'module'],
      ] as const) {
        const { report, bytes } = await compiled(model, file, meaning);
        const bound = masksIn(report);
        expect(bound.unmatched).toEqual([]);
        expect(new Map(bound.masks.map(({ key, zeros }) => [parameterName(key), zeros]))).toEqual(wanted);
        expect(new Set(bound.masks.map((mask) => mask.evidence))).toEqual(new Set([evidence]));
        removed.push(removedPerConvolution(report));
        expect(worstDifference(expected, await outputsOf(bytes, noise)), `${model} ${meaning}`).toBeLessThan(TOLERANCE);
      }
      expect(removed[1]).toEqual(removed[0]);
      if (!file.includes('_conv1')) continue;
      // First convolutions of blocks alone were pruned, and all that was pruned goes.
      const gone = masks.map((mask) => [mask.parameter, pruned(mask) / perFilter(mask.parameter)] as const);
      const named = new Map(
        dense()
          .convolutionWeights()
          .map((name, place) => [name, removed[0]?.[place]]),
      );
      expect(Object.fromEntries([...named].filter(([, count]) => count !== 0))).toEqual(Object.fromEntries(gone));
    }
    const plain = await outputsOf(dense().bytes(), noise);
    const masked = await outputsOf(applyMasks(dense(), masks).bytes(), noise);
    expect(worstDifference(masked, plain)).toBeGreaterThan(1000 * TOLERANCE);
  });

  test.each(FILES)('%s: the masks are those that the weights ask for', (file) => {
    const masks = masksOf(pathOf(file));
    const opinion = secondOpinion(file, masks);
    if (opinion === undefined) expect(file).toContain('random');
    else for (const { parameter, kept } of masks) expect(kept, parameter).toEqual(opinion.get(parameter));
  });

  test.each(['UNREMOVED', 'removed'])('the network that was exported %s is the one the masks make', async (state) => {
    const exported = readFileSync(`${REAL_FILES}/masks/torch-prune/resnet20_ln_structured_l1_50_conv1_${state}.onnx`);
    const expected = await outputsOf(exported, noise);
    for (const meaning of ['zero', 'drop'] as const) {
      const own = await compileByCommand(exported, ['--align', '1', '--meaning', meaning]);
      const fromFile = await compiled(KEPT, L1_50, meaning);
      expect(removedPerConvolution(own.report)).toEqual(removedPerConvolution(fromFile.report));
      const [a, b] = [await outputsOf(own.bytes, noise), await outputsOf(fromFile.bytes, noise)];
      expect(worstDifference(a, b)).toBe(0);
      if (meaning === 'zero') expect(worstDifference(expected, a)).toBeLessThan(TOLERANCE);
      else expect(worstDifference(expected, a)).toBeGreaterThan(1000 * TOLERANCE);
    }
  });

  test('conv1 filters pruned by 10 % of L2: dense, zero and drop on photographs', async () => {
    const photos = photographs();
    const { images, labels } = photos;
    const masks = masksOf(pathOf(L2_10));
    const references = {
      dense: dense(),
      zero: applyMasks(dense(), masks),
      drop: dropMasked(dense(), masks),
    };
    const right = [];
    for (const [meaning, reference] of Object.entries(references)) {
      const expected = await outputsOf(reference.bytes(), images);
      right.push([meaning, rightAnswers(expected, photos)]);
      if (meaning === 'dense') continue;
      for (const model of [KEPT, FOLDED]) {
        const { bytes } = await compiled(model, L2_10, meaning);
        const found = await outputsOf(bytes, images);
        expect(worstDifference(expected, found), meaning).toBeLessThan(TOLERANCE);
        expect(predictions(found, labels.length)).toEqual(predictions(expected, labels.length));
      }
    }
    expect(Object.fromEntries(right)).toEqual({ dense: 94, zero: 55, drop: 89 });
  });
});

function perFilter(weights: string): number {
  const [filters = 1] = dense().dims(weights);
  return dense().floats(weights).length / filters;
}
