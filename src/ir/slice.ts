/**
 * The one function that cuts tensors. A slice is a lazy view: its bytes are gathered when they are
 * asked for.
 */
import type { KeptAxes } from './provenance.js';
import { alignedWords } from './scratch.js';
import { elementBytes, product, Tensor } from './tensor.js';

/**
 * Kept indices per axis, ascending; undefined keeps the whole axis. Works for every dtype of whole
 * bytes.
 */
export function sliceTensor(tensor: Tensor, kept: KeptAxes): Tensor {
  const size = elementBytes(tensor.dataType);
  if (size === undefined) throw new TypeError(`tensors of data type ${tensor.dataType} cannot be sliced`);
  const cut = cuts.get(tensor);
  if (cut !== undefined) return sliceTensor(cut.tensor, composed(cut.kept, kept));
  const dims = tensor.dims.map((extent, axis) => kept[axis]?.length ?? extent);
  const { remote } = tensor;
  if (remote?.read !== undefined && dims.length > 0) {
    const { read } = remote;
    const load = () => gather(tensor.bytes(), tensor.dims, dims, kept, size);
    const sliced = new Tensor(tensor.dataType, dims, load, { pieces: () => rowPieces(tensor, read, kept, size) });
    cuts.set(sliced, { tensor, kept });
    return sliced;
  }
  let gathered: Uint8Array | undefined;
  // Kept once gathered: analysis, counting and writing all read it, and it is smaller than what it
  // was cut from.
  return new Tensor(tensor.dataType, dims, () => (gathered ??= gather(tensor.bytes(), tensor.dims, dims, kept, size)));
}

/** What was cut from a tensor that is not in memory: cut again, it is cut from there. */
const cuts = new WeakMap<Tensor, { readonly tensor: Tensor; readonly kept: KeptAxes }>();

/** `then` counts in what `first` keeps. */
function composed(first: KeptAxes, then: KeptAxes): KeptAxes {
  return Array.from({ length: Math.max(first.length, then.length) }, (_, axis) => {
    const [before, after] = [first[axis], then[axis]];
    return before === undefined || after === undefined ? (before ?? after) : after.map((index) => before[index] ?? 0);
  });
}

/** Bytes that are read of a tensor at once; more where one index of its first axis has more. */
const BLOCK = 1 << 20;

/** Blocks of neighbouring rows, each cut by itself. */
function* rowPieces(
  { dims }: Tensor,
  read: (start: number, into: Uint8Array) => void,
  kept: KeptAxes,
  size: number,
): Generator<Uint8Array> {
  const [rows = 0, ...inner] = dims;
  const rowBytes = product(inner) * size;
  const most = Math.max(1, Math.floor(BLOCK / Math.max(1, rowBytes)));
  const buffer = new Uint8Array(Math.min(rows, most) * rowBytes);
  const wanted = kept[0] ?? Array.from({ length: rows }, (_, index) => index);
  const innerKept = kept.slice(1);
  const cutDims = inner.map((extent, axis) => innerKept[axis]?.length ?? extent);
  for (let at = 0; at < wanted.length;) {
    const first = wanted[at] ?? 0;
    let end = at + 1;
    while (end < wanted.length && (wanted[end] ?? 0) < first + most) end++;
    const span = (wanted[end - 1] ?? 0) - first + 1;
    const block = buffer.subarray(0, span * rowBytes);
    read(first * rowBytes, block);
    const ofBlock = wanted.slice(at, end).map((row) => row - first);
    const to = [ofBlock.length, ...cutDims];
    yield gather(block, [span, ...inner], to, [ofBlock, ...innerKept], size);
    at = end;
  }
}

/**
 * Of the weights of a grouped layer: axis 0 has the channels of all groups, axis 1 those of one.
 * `kept` counts through all groups on both axes, so that each group may lose other indices of axis
 * 1. Every group that is left has to keep as many of them as the others.
 */
export function sliceGroups(tensor: Tensor, kept: KeptAxes, groups: number): Tensor {
  const plain = keptByAllGroups(tensor.dims, kept, groups);
  if (plain !== undefined) return sliceTensor(tensor, plain);
  const parts = keptByGroup(tensor.dims, kept, groups);
  const rows = parts.reduce((total, [list]) => total + list.length, 0);
  const columns = parts[0]?.[1].length ?? 0;
  if (parts.some(([, list]) => list.length !== columns))
    throw new RangeError('groups keep unequal numbers of channels');
  const dims = [rows, columns, ...tensor.dims.slice(2)];
  const slicesOf = () => parts.map((part) => sliceTensor(tensor, part));
  const gatherParts = () => {
    const slices = slicesOf().map((slice) => slice.bytes());
    const bytes = new Uint8Array(slices.reduce((total, { length }) => total + length, 0));
    let at = 0;
    for (const slice of slices) {
      bytes.set(slice, at);
      at += slice.length;
    }
    return bytes;
  };
  if (tensor.remote !== undefined)
    return new Tensor(tensor.dataType, dims, gatherParts, {
      pieces: function* () {
        for (const slice of slicesOf()) yield* slice.pieces();
      },
    });
  let gathered: Uint8Array | undefined;
  return new Tensor(tensor.dataType, dims, () => (gathered ??= gatherParts()));
}

/** What `kept` is in the tensor's own indices; undefined where the groups keep different ones. */
export function keptByAllGroups(dims: readonly number[], kept: KeptAxes, groups: number): KeptAxes | undefined {
  if (groups === 1 || kept[1] === undefined) return kept;
  const lists = keptByGroup(dims, kept, groups).map(([, list]) => list);
  const [first = []] = lists;
  const isSame = lists.every((list) => list.length === first.length && list.every((index, at) => index === first[at]));
  return isSame ? [kept[0], first.length === dims[1] ? undefined : first, ...kept.slice(2)] : undefined;
}

/**
 * Per group of which anything is left: what it keeps of axis 0, in the tensor's indices, and of
 * axis 1, in its own.
 */
export function keptByGroup(
  dims: readonly number[],
  kept: KeptAxes,
  groups: number,
): (readonly [rows: readonly number[], columns: readonly number[]])[] {
  const [rows = 0, columns = 0] = dims;
  const split = (list: readonly number[] | undefined, perGroup: number) => {
    const lists = Array.from({ length: groups }, (): number[] => []);
    const all = list ?? Array.from({ length: perGroup * groups }, (_, index) => index);
    for (const index of all) lists[Math.floor(index / perGroup)]?.push(index);
    return lists;
  };
  const ofColumns = split(kept[1], columns);
  return split(kept[0], rows / groups).flatMap((list, group) =>
    list.length === 0 ? [] : [[list, (ofColumns[group] ?? []).map((index) => index - group * columns)] as const],
  );
}

/**
 * Runs shorter than this many elements are copied one by one: a call per run would cost more than
 * the copy.
 */
const SHORT_RUN = 64;

function gather(
  source: Uint8Array,
  from: readonly number[],
  to: readonly number[],
  kept: readonly (readonly number[] | undefined)[],
  elementSize: number,
): Uint8Array {
  const bytes = new Uint8Array(product(to) * elementSize);
  // After the last cut axis everything is one contiguous run.
  const lastCut = Math.max(
    0,
    kept.findLastIndex((indices) => indices !== undefined),
  );
  const run = product(from.slice(lastCut + 1));
  const copyRuns = run >= SHORT_RUN ? copyLongRuns : elementSize === 4 ? copyShortRunsOfWords : copyShortRuns;
  const allOf = (axis: number) => Array.from({ length: from[axis] ?? 1 }, (_, index) => index);
  const indices = kept[lastCut] ?? allOf(lastCut);
  const slab = (from[lastCut] ?? 1) * run * elementSize;
  let written = 0;
  /** `slabs` counts, of those before, along the axes in front of the last cut one. */
  const copy = (axis: number, slabs: number): void => {
    if (axis < lastCut) {
      for (const index of kept[axis] ?? allOf(axis)) copy(axis + 1, slabs * (from[axis] ?? 1) + index);
      return;
    }
    const target = bytes.subarray(written, written + indices.length * run * elementSize);
    copyRuns(source.subarray(slabs * slab, (slabs + 1) * slab), target, indices, run * elementSize);
    written += target.length;
  };
  copy(0, 0);
  return bytes;
}

/** Writes the runs of `size` bytes at these indices one after the other. */
function copyLongRuns(source: Uint8Array, target: Uint8Array, indices: readonly number[], size: number): void {
  for (const [at, index] of indices.entries()) {
    target.set(source.subarray(index * size, (index + 1) * size), at * size);
  }
}

function copyShortRuns(
  source: Uint8Array | Uint32Array,
  target: Uint8Array | Uint32Array,
  indices: readonly number[],
  size: number,
): void {
  let written = 0;
  for (const index of indices) {
    for (let at = index * size; at < (index + 1) * size; at++) target[written++] = source[at] ?? 0;
  }
}

/** Of 4-byte elements; `size` is still in bytes. */
function copyShortRunsOfWords(source: Uint8Array, target: Uint8Array, indices: readonly number[], size: number): void {
  copyShortRuns(alignedWords(source), alignedWords(target), indices, size / 4);
}
