/**
 * Rebuilds the small weights from the original model and the kept lists alone, and compares them
 * with the compiled model.
 */
import { expect } from 'vitest';
import type { Channels, WeightChannels } from '../../src/retraining/channels.js';
import { compileModel, type CompileOptions } from '../../src/compile.js';
import type { Graph, Node, Value } from '../../src/ir/graph.js';
import { readModel } from '../../src/onnx/read.js';

export interface Matrix {
  readonly dims: readonly number[];
  readonly values: ArrayLike<number>;
}

export interface Rebuilt {
  readonly channels: Channels;
  readonly state: ReadonlyMap<string, Matrix>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly small: Graph;
}

/** Compiles and compares every weight that is said to hold the original values. */
export async function rebuild(bytes: Uint8Array, options: CompileOptions = {}): Promise<Rebuilt> {
  const compiled = await compileModel(bytes, options);
  const channels = compiled.channels();
  const { graph } = readModel(bytes);
  const small = readModel(compiled.encode()).graph;
  const { state, metadata } = readSafetensors(compiled.stateDict());
  const seen = new Set<string | null>();
  for (const weight of channels.weights) {
    // Of a shared weight the state dict has what the first layer reads.
    compare(weight, graph, small, seen.has(weight.parameter) ? new Map() : state);
    if (!weight.removed) seen.add(weight.parameter);
  }
  return { channels, state, metadata, small };
}

function compare(weight: WeightChannels, graph: Graph, small: Graph, state: ReadonlyMap<string, Matrix>): void {
  const { node, input, parameter, kept, keptByGroup, removed, rewritten, transposed } = weight;
  const after = findNode(small, node);
  expect(after === undefined, `${node} is gone`).toBe(removed);
  if (after === undefined || kept === null) return;
  const actual = constantOf(after.inputs[input]);
  const original = constantOf(findNode(graph, node)?.inputs[input]);
  // What the exporter left to be computed in other ways than by a mask is not compared.
  if (actual === undefined || original === undefined) return;
  const inFile = transposed ? kept.toReversed() : kept;
  const expected = keptByGroup === null ? pick(original, inFile) : pickByGroup(original, inFile, keptByGroup);
  const isReplaced = inFile.some((indices) => indices?.length === 0);
  if (!isReplaced) expect(actual.dims, `${node} ${input}`).toEqual(expected.dims);
  const isSame = same(actual.values, expected.values);
  expect(isSame || rewritten, `${node} ${input} holds the kept values`).toBe(true);
  const stored = parameter === null ? undefined : state.get(parameter);
  if (stored === undefined) return;
  const [rows = 1, columns = 1] = actual.dims;
  const expectedState = transposed
    ? { dims: [columns, rows], values: flipped(actual.values, rows, columns) }
    : { dims: actual.dims, values: actual.values };
  expect(stored.dims).toEqual(expectedState.dims);
  expect(same(stored.values, expectedState.values), `${parameter} in the state dict`).toBe(true);
}

/** Nodes without a name are told apart by what they compute. */
function findNode(graph: Graph, label: string): Node | undefined {
  return graph.nodes.find((node) => node.label === label);
}

/** A constant that a node reads: written down, or the product of two (a mask at run time). */
function constantOf(value: Value | undefined): Matrix | undefined {
  const own = value?.initializer ?? value?.producer?.tensor('value');
  if (own !== undefined) return { dims: own.dims, values: own.numbers() };
  if (value?.producer?.opType !== 'Mul') return undefined;
  const [weight, mask] = value.producer.inputs.map((factor) => constantOf(factor));
  if (weight === undefined || mask === undefined) return undefined;
  const values = Float32Array.from(weight.values, (number, at) => number * (mask.values[at] ?? 0));
  return { dims: weight.dims, values };
}

function pick({ dims, values }: Matrix, kept: readonly (readonly number[] | null)[]): Matrix {
  const lists = dims.map((extent, axis) => kept[axis] ?? Array.from({ length: extent }, (_, index) => index));
  let offsets = [0];
  for (const [axis, list] of lists.entries())
    offsets = offsets.flatMap((offset) => list.map((index) => offset * (dims[axis] ?? 1) + index));
  return { dims: lists.map(({ length }) => length), values: offsets.map((offset) => values[offset] ?? 0) };
}

/** The filters that are left are those of the groups, in equal parts. */
function pickByGroup(
  original: Matrix,
  kept: readonly (readonly number[] | null)[],
  groups: readonly (readonly number[])[],
): Matrix {
  const [rows = 0] = original.dims;
  const filters = kept[0] ?? Array.from({ length: rows }, (_, index) => index);
  const perGroup = filters.length / groups.length;
  const parts = groups.map((columns, group) =>
    pick(original, [filters.slice(group * perGroup, (group + 1) * perGroup), columns]),
  );
  return {
    dims: [filters.length, ...(parts[0]?.dims.slice(1) ?? [])],
    values: parts.flatMap(({ values }) => Array.from(values)),
  };
}

function flipped(values: ArrayLike<number>, rows: number, columns: number): number[] {
  return Array.from({ length: values.length }, (_, at) => values[(at % rows) * columns + Math.floor(at / rows)] ?? 0);
}

/** Signed zeros are told apart. */
function same(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  return a.length === b.length && Array.from(a).every((value, at) => Object.is(value, b[at]));
}

/** As the format is described; F32 and I64 only. */
export function readSafetensors(bytes: Uint8Array) {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(Buffer.from(bytes.subarray(8, 8 + length)).toString('utf8')) as Record<string, unknown>;
  const { __metadata__: metadata, ...entries } = header;
  const state = new Map<string, Matrix>();
  for (const [name, entry] of Object.entries(entries)) {
    const { dtype, shape, data_offsets } = entry as { dtype: string; shape: number[]; data_offsets: [number, number] };
    const data = bytes.slice(8 + length + data_offsets[0], 8 + length + data_offsets[1]).buffer;
    const values = dtype === 'I64' ? Array.from(new BigInt64Array(data), Number) : new Float32Array(data);
    state.set(name, { dims: shape, values });
  }
  return { state, metadata: (metadata ?? {}) as Readonly<Record<string, string>> };
}
