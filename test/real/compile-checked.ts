/**
 * What must hold for every compiled model, whatever it is: checked here once, for all tests over
 * real models.
 */
import { expect } from 'vitest';
import { compileModel, type Compiled, type CompileOptions } from '../../src/compile.js';
import { decodeModel, readModel } from '../../src/onnx/read.js';
import { verifyModels, type VerifyOptions } from '../../src/verify/verify.js';
import {
  isConvolution,
  maskFilters,
  type Meaning,
  type Which,
  weightName,
} from '../../fixtures/networks/mask-filters.js';
import { answerKey } from '../support/real-models.js';

export type Mask = `${Which} ${Meaning}`;
export const MASKS = ['all drop', 'all zero', 'inner drop', 'inner zero'] as const satisfies readonly Mask[];

export async function masked(bytes: Uint8Array, mask: Mask): Promise<Uint8Array> {
  const [which, meaning] = mask.split(' ') as [Which, Meaning];
  return (await maskFilters(bytes, which, meaning)).bytes;
}

export interface Output {
  readonly compiled: Compiled;
  readonly bytes: Uint8Array;
}

/**
 * Compiles; the interface and the metadata are kept, and compiling the result again changes
 * nothing.
 */
export async function compileChecked(bytes: Uint8Array, options: CompileOptions): Promise<Output> {
  const compiled = await compileModel(bytes, options);
  const output = compiled.encode();
  expectSameInterface(bytes, output, compiled.report.changed);
  if (!compiled.report.changed) {
    // The same bytes: a second compile could only say the same.
    expect(Buffer.compare(output, bytes)).toBe(0);
    return { compiled, bytes: output };
  }
  const again = await compileModel(output, options);
  expect(again.report.changed, 'a second compile has something to do').toBe(false);
  expect(Buffer.compare(again.encode(), output)).toBe(0);
  return { compiled, bytes: output };
}

function expectSameInterface(input: Uint8Array, output: Uint8Array, changed: boolean): void {
  const [before, after] = [interfaceOf(input), interfaceOf(output)];
  expect(after.inputs).toEqual(before.inputs);
  expect(after.outputs).toEqual(before.outputs);
  expect(after.opsets).toEqual(before.opsets);
  const { 'prune-compile.version': version, 'prune-compile.options': given, ...others } = after.metadata;
  expect(others).toEqual(before.metadata);
  if (changed) expect([typeof version, typeof given]).toEqual(['string', 'string']);
}

/** Initializers among the inputs may shrink or go; the others are what callers feed. */
function interfaceOf(bytes: Uint8Array) {
  const model = decodeModel(bytes, 'the model');
  const { input = [], output = [], initializer = [] } = model.graph ?? {};
  const stored = new Set(initializer.map(({ name }) => name));
  return {
    inputs: input.filter(({ name }) => !stored.has(name)),
    outputs: output,
    opsets: model.opsetImport,
    metadata: Object.fromEntries((model.metadataProps ?? []).map(({ key = '', value }) => [key, value])),
  };
}

/** Removed output channels of each convolution, by the name of its weights. */
export function removedByWeight(input: Uint8Array, { report }: Compiled): ReadonlyMap<string, number> {
  const convolutions = readModel(input).graph.nodes.filter(isConvolution);
  const layers = new Map(report.layers.map((layer) => [layer.node, layer]));
  return new Map(
    convolutions.flatMap((node) => {
      const layer = layers.get(node.label);
      const name = weightName(node);
      if (layer === undefined || name === undefined) return [];
      return [[name, layer.outputChannels - (layer.keptOutputChannels ?? 0)] as const];
    }),
  );
}

/**
 * Convolutions of which less went than the answer key says can go; it exists for the meaning "drop"
 * of some models.
 */
export function shortOfKey(name: string, mask: Mask, input: Uint8Array, compiled: Compiled): string[] {
  const [which, meaning] = mask.split(' ') as [Which, Meaning];
  const key = meaning === 'drop' ? answerKey(name, which) : undefined;
  if (key === undefined) return [];
  const removed = removedByWeight(input, compiled);
  return Object.entries(key.convs)
    .map(([weights, possible]) => ({ weights, possible, count: removed.get(weights) }))
    .filter(({ possible, count }) => count === undefined || count < possible.const)
    .map(
      ({ weights, possible, count }) =>
        `${weights}: ${count ?? 'not found'} of ${possible.const} (zeros ${possible.zero})`,
    );
}

export async function expectEqual(
  reference: Uint8Array,
  candidate: Uint8Array,
  options?: VerifyOptions,
): Promise<void> {
  const { equal, reason, cases } = await verifyModels(reference, candidate, options);
  expect(equal, reason).toBe(true);
  expect(cases.length).toBeGreaterThan(0);
}

export function removedChannels({ report }: Compiled): number {
  return report.layers
    .filter(({ opType }) => opType === 'Conv')
    .reduce((total, { outputChannels, keptOutputChannels = 0 }) => total + outputChannels - keptOutputChannels, 0);
}

/**
 * Every mask, as small as it gets and as fast as it gets: equal, and no less removed than the answer
 * key says.
 */
export async function checkMasks(name: string, plain: Uint8Array): Promise<void> {
  for (const mask of MASKS) {
    const input = await masked(plain, mask);
    const smallest = await compileChecked(input, { align: 1 });
    expect(shortOfKey(name, mask, input, smallest.compiled)).toEqual([]);
    await expectEqual(input, smallest.bytes, { seeds: [1] });
    const fastest = await compileChecked(input, {});
    await expectEqual(input, fastest.bytes, { seeds: [2] });
    expect(removedChannels(smallest.compiled)).toBeGreaterThan(0);
    expect(removedChannels(fastest.compiled)).toBeLessThanOrEqual(removedChannels(smallest.compiled));
  }
}
