/**
 * Real exporter graphs from ../shared/data (beside the checkout; absent elsewhere, tests then skip and say so), with
 * filters zeroed by the generator's own `mask`. Uses the codec and the IR only, none of the compiler.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Editor } from '../../src/ir/editor.js';
import type { Node } from '../../src/ir/graph.js';
import { Tensor } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';

export const DATA = findData();
export const hasData = existsSync(DATA);

function findData(): string {
  for (const up of ['../../../shared/data', '../../../../shared/data']) {
    const path = fileURLToPath(new URL(up, import.meta.url));
    if (existsSync(path)) return path;
  }
  return 'shared/data';
}

interface Inflate {
  inline(bytes: Uint8Array): Uint8Array;
  mask(name: string, channels: number, fraction: number): Uint8Array;
}

export async function inflater(): Promise<Inflate> {
  return (await import(`${DATA}/skeletons/inflate.mjs`)) as Inflate;
}

/** The model with its weights inside. */
export async function loadSkeleton(name: string): Promise<Uint8Array> {
  const { inline } = await inflater();
  return inline(readFileSync(`${DATA}/skeletons/models/${name}.onnx`));
}

export interface MaskedModel {
  readonly bytes: Uint8Array;
  /** Masked channels per weight name. */
  readonly masked: ReadonlyMap<string, readonly number[]>;
}

/**
 * Zeroes half of the filters of every convolution (`all`) or of those whose output reaches exactly one ungrouped convolution
 * through Relu, Clip and BatchNormalization (`inner`). `drop` zeroes bias and normalisation of the filter too.
 */
export async function maskFilters(
  bytes: Uint8Array,
  which: 'all' | 'inner',
  meaning: 'zero' | 'drop',
  fraction = 0.5,
): Promise<MaskedModel> {
  const { mask } = await inflater();
  const model = readModel(bytes);
  const editor = new Editor(model.graph);
  const masked = new Map<string, number[]>();
  editor.transaction('mask', () => {
    for (const node of model.graph.nodes) {
      const weights = node.inputs[1];
      const tensor = weights?.initializer;
      if (node.opType !== 'Conv' || weights === undefined || tensor === undefined) continue;
      if (which === 'inner' && !isInner(node)) continue;
      const channels = tensor.dims[0] ?? 0;
      const keep = mask(weights.name, channels, fraction);
      const dead = [...keep.keys()].filter((channel) => keep[channel] === 0);
      masked.set(weights.name, dead);
      zero(editor, node, 1, dead);
      if (meaning === 'zero') continue;
      zero(editor, node, 2, dead);
      const after = node.outputs[0]?.uses.length === 1 ? node.outputs[0].uses[0]?.node : undefined;
      if (after?.opType === 'BatchNormalization') for (const index of [1, 2]) zero(editor, after, index, dead);
    }
  });
  return { bytes: encodeModel(model), masked };
}

function zero(editor: Editor, node: Node, index: number, channels: readonly number[]): void {
  const value = node.inputs[index];
  const tensor = value?.initializer;
  if (value === undefined || tensor === undefined) return;
  const values = Float64Array.from(tensor.numbers());
  const size = values.length / (tensor.dims[0] ?? 1);
  for (const channel of channels) values.fill(0, channel * size, (channel + 1) * size);
  const changed = Tensor.fromNumbers(tensor.dataType, tensor.dims, values);
  if (value.uses.length === 1) editor.setInitializer(value, changed);
  else editor.setInput(node, index, editor.addInitializer(`${value.name}_masked`, changed));
}

function isInner(node: Node): boolean {
  const readers = reached(node);
  const [reader] = readers;
  return readers.length === 1 && reader?.opType === 'Conv' && reader.int('group', 1) === 1;
}

function reached(node: Node): Node[] {
  const output = node.outputs[0];
  return (output?.uses ?? []).flatMap(({ node: reader }) =>
    ['Relu', 'Clip', 'BatchNormalization'].includes(reader.opType) ? reached(reader) : [reader],
  );
}
