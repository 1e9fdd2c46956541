/** Masks as files hold them, and the slots of a small model, without files. */
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { weightSlots } from '../../src/masking/weight-slots.js';
import { DOUBLE, Tensor } from '../../src/ir/tensor.js';
import { bindMasks, type Bound } from '../../src/masks/bind.js';
import type { BindOptions } from '../../src/masks/bind-options.js';
import type { Binding } from '../../src/masks/binding.js';
import { claimsOf } from '../../src/masks/claims.js';
import { type Entry, FileTensor } from '../../src/masks/contents.js';
import { namedShapes } from '../../src/masks/known-layers.js';
import type { WeightSlot } from '../../src/masks/slots.js';
import { oneSet } from '../../src/masks/weight-sets.js';
import { readModel } from '../../src/onnx/read.js';
import { inspectGraph } from '../../src/graph-info/inspect-graph.js';

export async function slotsOf(graph: GraphBuilder): Promise<WeightSlot[]> {
  return weightSlots(await inspectGraph(readModel(graph.bytes())));
}

export const OUT = 4;
export const IN = 3;
export const TAPS = 9;
export const DIMS = [OUT, IN, 3, 3] as const;
export const SIZE = OUT * IN * TAPS;
export const values = (name: string, count = SIZE) => normals(7, name, count);

/** Two convolutions that keep their names, as exporters leave them when nothing is folded. */
export async function named(prefix = '') {
  const g = graphBuilder();
  const x = g.input('x', [1, IN, 8, 8]);
  g.initializer(`${prefix}conv1.weight`, DIMS, values('conv1'));
  g.initializer(`${prefix}conv1.bias`, [OUT], values('bias', OUT));
  g.initializer(`${prefix}conv2.weight`, [6, OUT, 1, 1], values('conv2', 24));
  const first = g.op('Conv', [x, `${prefix}conv1.weight`, `${prefix}conv1.bias`], { kernel_shape: [3, 3] });
  g.output(g.op('Conv', [g.relu(first), `${prefix}conv2.weight`], { kernel_shape: [1, 1] }));
  return slotsOf(g);
}

export function tensor(dims: readonly number[], elements: ArrayLike<number>): FileTensor {
  const bytes = Tensor.fromNumbers(DOUBLE, dims, elements).bytes();
  return FileTensor.contiguous(DOUBLE, dims, () => bytes);
}

/** 1 everywhere but at `zeros`. */
export function mask(dims: readonly number[], zeros: readonly number[]): FileTensor {
  const size = dims.reduce((total, extent) => total * extent, 1);
  return tensor(
    dims,
    Array.from({ length: size }, (_, at) => (zeros.includes(at) ? 0 : 1)),
  );
}

export interface FileOptions extends BindOptions {
  readonly prefix?: string;
  readonly format?: string;
}

/** JSON-like objects become maps, as readers give them. */
export function entry(value: unknown): Entry {
  if (value instanceof FileTensor || value instanceof Uint8Array || value === null) return value;
  if (typeof value !== 'object') return value as Entry;
  if (Array.isArray(value)) return value.map(entry);
  return new Map(Object.entries(value).map(([key, inner]) => [key, entry(inner)]));
}

export function bind(slots: readonly WeightSlot[], contents: unknown, options: FileOptions = {}): Bound {
  const { prefix, format = 'PyTorch (zip)', ...rest } = options;
  const { file, settled } = oneSet({ path: 'masks.pth', format, root: entry(contents) }, slots, prefix);
  const { claims, ...others } = claimsOf(file, prefix, namedShapes(slots));
  return bindMasks(claims, slots, { ...others, settled: [...others.settled, ...settled], ...rest });
}

/** Places of the pruned elements, by weight. */
export function pruned({ bindings }: Bound): Record<string, number[]> {
  return Object.fromEntries(
    bindings.map(({ slot, mask: { factors } }) => [
      slot.value.name,
      [...factors.keys()].filter((at) => factors[at] === 0),
    ]),
  );
}

export function only({ bindings }: Bound): Binding {
  const [first] = bindings;
  if (first === undefined || bindings.length !== 1) throw new Error(`${bindings.length} bindings instead of one`);
  return first;
}

export function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
  return 'no error';
}

/** Sentence and facts of the error that it ends in. */
export function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'no error';
}
