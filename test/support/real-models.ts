/**
 * Real models, masks and images: fixtures/real, unpacked for this run of the tests. Exporter graphs
 * have large weights left out, which are made again here. Uses the codec alone, none of the
 * compiler.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { inject } from 'vitest';
import { withWeights } from '../../fixtures/networks/skeleton.js';
import { FLOAT } from '../../src/ir/tensor.js';
import { encodeProto } from '../../src/onnx/encode.js';
import { decodeModel } from '../../src/onnx/read.js';

/** The folder. */
export const REAL_FILES = inject('realFiles');

/** Names of all skeletons that match. */
export function realModelNames(pattern = /./): string[] {
  return readdirSync(`${REAL_FILES}/skeletons/models`)
    .map((file) => file.replace('.onnx', ''))
    .filter((name) => pattern.test(name))
    .toSorted();
}

/** The model with its weights inside. */
export async function loadRealModel(name: string): Promise<Uint8Array> {
  return withWeights(await readFile(`${REAL_FILES}/skeletons/models/${name}.onnx`), name);
}

/**
 * The same up to one value, which becomes the only output; nothing of what is behind it is made.
 */
export async function loadRealModelUntil(name: string, output: string): Promise<Uint8Array> {
  const model = decodeModel(await readFile(`${REAL_FILES}/skeletons/models/${name}.onnx`), name);
  const { graph } = model;
  if (graph === undefined) throw new Error(`${name} has no graph`);
  const end = graph.node?.findIndex((node) => node.output?.includes(output) === true) ?? -1;
  if (end < 0) throw new Error(`${name} has no value ${output}`);
  graph.node = graph.node?.slice(0, end + 1) ?? [];
  const read = new Set(graph.node.flatMap(({ input = [] }) => input));
  graph.initializer = graph.initializer?.filter((tensor) => read.has(tensor.name ?? '')) ?? [];
  graph.output = [{ name: output, type: { tensorType: { elemType: FLOAT } } }];
  graph.valueInfo = [];
  return withWeights(encodeProto(model), name);
}

export interface AnswerKey {
  /**
   * What can go of each convolution, by the name of its weights: by zeros only, and with constants
   * too.
   */
  readonly convs: Readonly<Record<string, { readonly cout: number; readonly zero: number; readonly const: number }>>;
}

/** The key of the meaning "drop"; undefined where there is none for the model. */
export function answerKey(name: string, masked: 'all' | 'inner'): AnswerKey | undefined {
  const { keys } = JSON.parse(readFileSync(`${REAL_FILES}/skeletons/answer_key.json`, 'utf8')) as {
    keys: readonly (AnswerKey & { readonly file: string; readonly masked: string })[];
  };
  return keys.find((key) => key.file === `models/${name}.onnx` && key.masked === masked);
}

/**
 * The model with height and width of its rank-4 inputs open, so that it runs at any size its
 * operators allow. Inferred shapes are dropped with it: they were for the one size.
 */
export function freeImageSize(bytes: Uint8Array): Uint8Array {
  const model = decodeModel(bytes, 'the model');
  for (const input of model.graph?.input ?? []) {
    const dims = input.type?.tensorType?.shape?.dim;
    if (dims?.length !== 4) continue;
    for (const [axis, name] of [
      [2, 'height'],
      [3, 'width'],
    ] as const)
      dims[axis] = { dimParam: name };
  }
  if (model.graph) model.graph.valueInfo = [];
  return encodeProto(model);
}
