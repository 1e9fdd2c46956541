/**
 * What tells which weight a mask is for, on real exports of one net and its real state dict with
 * other names.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type NamedArray, torchLegacyFile, torchZipFile } from '../../fixtures/mask-files/torch-file.js';
import { ENGINE } from '../../src/cli/engine.js';
import { readMaskFile } from '../../src/masks/read.js';
import { run } from '../cli/run-command.js';
import { compileByCommand, masksIn, removedPerConvolution } from '../support/command.js';
import { RawNetwork } from '../support/raw-network.js';
import { REAL_FILES } from '../support/real-models.js';
import { pathOf, tensorsIn } from './manifest.js';

const EXPORTS = ['legacy_bn', 'legacy', 'dynamo'] as const;
const STATE_DICT = pathOf({ file: 's_resnet10.ln0.state_dict.pt' });
const model = (variant: string) => `${REAL_FILES}/skeletons/models/s_resnet10.plain.${variant}.onnx`;

/** The state dict's tensors under other names; undefined leaves one out. */
function renamed(rename: (key: string) => string | undefined): NamedArray[] {
  return [...tensorsIn(readMaskFile(STATE_DICT).root)].flatMap(([key, tensor]) => {
    const name = rename(key);
    const { dataType, dims } = tensor;
    return name === undefined ? [] : [{ name, dataType, dims, bytes: tensor.toTensor().bytes() }];
  });
}

function saved(bytes: Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), 'prune-compile-binding-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'masks.pt');
  writeFileSync(path, bytes);
  return path;
}

const PRUNED = /^(.*)\.weight_(orig|mask)$/;
const NORM = /(bn\d|downsample\.1)\.(weight|bias|running_(mean|var))$/;
/** Shapes that one convolution alone has. */
const ALONE = /^layer[234]\.0\./;

interface Bound {
  readonly removed: readonly number[];
  readonly evidence: readonly string[];
  /** Mask's key and weight's node. */
  readonly pairs: readonly (readonly [string, string])[];
}

async function bind(variant: string, path: string, ...more: string[]): Promise<Bound> {
  const { report } = await compileByCommand(model(variant), ['--masks', path, '--align', '1', ...more]);
  const { masks } = masksIn(report);
  return {
    removed: removedPerConvolution(report),
    evidence: [...new Set(masks.map(({ evidence }) => evidence))],
    pairs: masks.map(({ key, node }) => [key, node] as const),
  };
}

interface Failure {
  readonly error: {
    readonly code: string;
    readonly what: string;
    readonly facts: readonly { readonly text: string }[];
  };
}

async function refusal(variant: string, path: string, ...more: string[]): Promise<Failure['error']> {
  const output = `${path}.onnx`;
  const { code, stderr } = await run([model(variant), '--masks', path, '-o', output, '--json', '-q', ...more], {
    engine: ENGINE,
  });
  expect(code).toBe(2);
  return (JSON.parse(stderr) as Failure).error;
}

describe('evidence', () => {
  test.each([
    ['legacy_bn', 'name'],
    ['dynamo', 'name'],
    ['legacy', 'module'],
  ])('the state dict as it is, onto %s: by %s', async (variant, evidence) => {
    expect((await bind(variant, STATE_DICT)).evidence).toEqual([evidence]);
  });

  test.each(EXPORTS)('names that mean nothing beside the weights themselves, onto %s: by values', async (variant) => {
    const numbers = new Map<string, number>();
    const rename = (key: string) => {
      const [, module, part] = PRUNED.exec(key) ?? [];
      // Folded normalisations explain what the filters are scaled by.
      if (module === undefined) return NORM.test(key) ? key : undefined;
      numbers.set(module, numbers.get(module) ?? 90 - numbers.size);
      return `unit${numbers.get(module)}.weight_${part}`;
    };
    const arrays = renamed(rename);
    const wanted = await bind(variant, STATE_DICT);
    const found = await bind(variant, saved(torchZipFile(arrays)));
    expect(found.evidence).toEqual(['values']);
    expect(found.removed).toEqual(wanted.removed);
    const translated = wanted.pairs.map(([key, node]) => [rename(key), node]);
    expect(new Map(found.pairs)).toEqual(new Map(translated as [string, string][]));
  });

  test.each(EXPORTS)(
    'names that mean nothing, shapes that one weight alone has, onto %s: by shape',
    async (variant) => {
      const onlyMasks = (key: string) => (key.endsWith('weight_mask') && ALONE.test(key) ? key : undefined);
      const plain = renamed(onlyMasks);
      expect(plain).toHaveLength(9);
      const wanted = await bind(variant, saved(torchLegacyFile(plain)));
      const nameless = plain.map((array, at) => ({ ...array, name: `m${at}` }));
      const found = await bind(variant, saved(torchLegacyFile(nameless.toReversed())));
      expect(found.evidence).toEqual(['shape']);
      expect(found.removed).toEqual(wanted.removed);
      const nodes = new Map(wanted.pairs);
      for (const [key, node] of found.pairs) expect(node).toBe(nodes.get(plain[Number(key.slice(1))]?.name ?? ''));
    },
  );

  test.each(EXPORTS)('shapes that two weights have tell nothing, onto %s', async (variant) => {
    const masks = renamed((key) => (key.endsWith('weight_mask') ? key : undefined));
    const nameless = saved(torchZipFile(masks.map((array, at) => ({ ...array, name: `m${at}` }))));
    const error = await refusal(variant, nameless);
    expect(error.code).toBe('E-MASK-NO-MATCH');
    expect(error.facts.map(({ text }) => text).join()).toContain('[4, 4, 3, 3]');
    // All or none: the nine others would fit by chance as likely as by right.
    expect((await refusal(variant, nameless, '--allow-unmatched')).code).toBe('E-MASK-NO-MATCH');
  });

  test.each(EXPORTS)(
    'two layers under each other’s name, onto %s: the values tell, and it is an error',
    async (variant) => {
      const [one, other] = ['layer1.0.conv1', 'layer1.0.conv2'];
      const exchange = (key: string) => {
        const [, module, part] = PRUNED.exec(key) ?? [];
        if (module === one) return `${other}.weight_${part}`;
        return module === other ? `${one}.weight_${part}` : key;
      };
      const path = saved(torchZipFile(renamed(exchange)));
      const error = await refusal(variant, path);
      expect(error.code).toBe('E-MASK-AMBIGUOUS');
      expect(error.what).toContain('the name and the values of');
      const text = error.facts.map((fact) => fact.text).join('\n');
      const named =
        variant === 'legacy' ? ['/layer1/layer1.0/conv1/Conv', '/layer1/layer1.0/conv2/Conv'] : [one, other];
      for (const name of named) expect(text).toContain(name);
    },
  );

  test('a map settles what was exchanged', async () => {
    const [one, other] = ['layer1.0.conv1', 'layer1.0.conv2'];
    const swap = (key: string) =>
      key.startsWith(`${one}.w`)
        ? key.replace(one, other)
        : key.startsWith(`${other}.w`)
          ? key.replace(other, one)
          : key;
    const path = saved(torchZipFile(renamed(swap)));
    const map = `${path}.json`;
    writeFileSync(
      map,
      JSON.stringify({ [`${one}.weight_mask`]: `${other}.weight`, [`${other}.weight_mask`]: `${one}.weight` }),
    );
    const found = await bind('legacy_bn', path, '--mask-map', map);
    expect(found.evidence.toSorted()).toEqual(['map', 'name']);
    expect(found.removed).toEqual((await bind('legacy_bn', STATE_DICT)).removed);
  });

  test('one array in a file of its own: a map says whose it is', async () => {
    const [array, archive] = ['one_array.npy', 'npy_v2.npz'].map((file) => pathOf({ file }));
    const net = `${REAL_FILES}/skeletons/models/s_resnet18.plain.legacy_bn.onnx`;
    const map = saved(Buffer.from(JSON.stringify({ one_array: 'layer4.0.conv2.weight' })));
    const found = await compileByCommand(net, ['--masks', array ?? '', '--mask-map', map]);
    const wanted = await compileByCommand(net, ['--masks', archive ?? '']);
    const [mask] = masksIn(found.report).masks;
    expect(mask).toMatchObject({ evidence: 'map', weight: 'layer4.0.conv2.weight', zeros: 4608 });
    const [a, b] = [found, wanted].map(({ bytes }) => new RawNetwork(bytes).withoutOrigin());
    expect(Buffer.compare(a ?? new Uint8Array(), b ?? new Uint8Array())).toBe(0);
  });
});
