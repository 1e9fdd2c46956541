/**
 * Tensors of a file that no layer reads as a weight: tables of positions, masks of attention. The
 * graph holds some of them in another shape, or only the part that its sizes need. By values alone,
 * never by name: then the zeros of the file are the model's.
 */
import { product, type Tensor } from '../ir/tensor.js';
import type { FileTensor } from './contents.js';
import { toleranceOf } from './same-weights.js';

/** Fewer elements, or fewer different ones, may be equal by accident. */
const ENOUGH = 8;
const DIFFERENT = 5;
/** Of what may be attended to, the rows that the graph has at least. */
const ROWS = 3;

type Constants = readonly Tensor[];

/** Whether the graph holds all of it, in whatever shape. */
export function isHeldWhole(tensor: FileTensor, constants: Constants): boolean {
  const candidates = constants.filter(({ size }) => size === tensor.size);
  if (candidates.length === 0) return false;
  const theirs = tensor.toTensor().numbers();
  const tolerance = toleranceOf(tensor);
  return candidates.some((constant) => {
    const ours = constant.numbers();
    return theirs.every((value, at) => isClose(value, ours[at] ?? 0, tolerance));
  });
}

/**
 * Whether every zero of it is in a block of it that the graph holds: a prefix, or a slice along one
 * axis. What the graph has not, it does not read; but a zero there might be that of another
 * reader's part, so none may be there.
 */
export function isHeldInPart(tensor: FileTensor, constants: Constants): boolean {
  if (!tensor.isCompact) return false;
  const dims = withoutOnes(tensor.dims);
  const fitting = constants.filter(({ size, dims: own }) => size < tensor.size && isInside(withoutOnes(own), dims));
  if (fitting.length === 0) return false;
  const theirs = tensor.toTensor().numbers();
  const tolerance = toleranceOf(tensor);
  const open = new Set([...theirs.keys()].filter((at) => theirs[at] === 0));
  for (const constant of fitting) {
    const places = placesIn(theirs, dims, constant, tolerance);
    for (const place of places) open.delete(place);
    if (open.size === 0) return true;
  }
  return false;
}

/** Whether so many elements, and so many different ones, are no accident. */
export function saysMuch(numbers: Float32Array | Float64Array): boolean {
  const values = numbers.filter((value) => value !== 0);
  return values.length >= ENOUGH && new Set(values).size >= DIFFERENT;
}

function isInside(block: readonly number[], dims: readonly number[]): boolean {
  return block.length === dims.length && block.every((extent, axis) => extent <= (dims[axis] ?? 0));
}

/** Without leading axes of extent 1. */
function withoutOnes(dims: readonly number[]): readonly number[] {
  const first = dims.findIndex((extent) => extent !== 1);
  return first < 0 ? [] : dims.slice(first);
}

function isClose(theirs: number, ours: number, tolerance: number): boolean {
  return Math.abs(theirs - ours) <= Math.abs(theirs) * tolerance;
}

/**
 * Where the constant lies in the tensor; empty where it does not, or where what is equal says
 * little.
 */
function placesIn(
  theirs: ArrayLike<number>,
  dims: readonly number[],
  constant: Tensor,
  tolerance: number,
): readonly number[] {
  const block = withoutOnes(constant.dims);
  const ours = constant.numbers();
  if (!saysMuch(ours)) return [];
  const [axis, ...others] = dims.flatMap((extent, at) => (extent === block[at] ? [] : [at]));
  if (axis === undefined) return [];
  const stride = product(dims.slice(axis + 1));
  const last = others.length === 0 ? (dims[axis] ?? 0) - (block[axis] ?? 0) : 0;
  const prefix = Array.from(ours, (_, at) => placeOf(at, block, dims));
  for (let start = 0; start <= last; start++) {
    const offset = start * stride;
    if (prefix.every((place, at) => isClose(theirs[place + offset] ?? 0, ours[at] ?? 0, tolerance)))
      return prefix.map((place) => place + offset);
  }
  return [];
}

/** The place in the whole of an element of its first block. */
function placeOf(element: number, block: readonly number[], dims: readonly number[]): number {
  let place = 0;
  let rest = element;
  let stride = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    const extent = block[axis] ?? 1;
    place += (rest % extent) * stride;
    rest = Math.floor(rest / extent);
    stride *= dims[axis] ?? 1;
  }
  return place;
}

/** What may be attended to: 1 on and below the diagonal of the last two axes, 0 above it. */
function isCausal(tensor: FileTensor): boolean {
  const [rows = 0, columns = 0] = tensor.dims.slice(-2);
  if (tensor.dims.length < 2 || rows !== columns || rows < 2 || !tensor.isCompact) return false;
  return isTriangle(tensor.toTensor().numbers(), rows, 1, 0);
}

/**
 * The same as numbers of training, which a mask might be as well: the graph has its first rows, or
 * what may not be attended to.
 */
export function isHeldCausal(tensor: FileTensor, constants: Constants): boolean {
  if (!isCausal(tensor)) return false;
  const [extent = 0] = tensor.dims.slice(-1);
  return constants.some((constant) => {
    const [rows = 0, columns = 0] = constant.dims.slice(-2);
    if (rows !== columns || rows < ROWS || rows > extent) return false;
    const ours = constant.numbers();
    return isTriangle(ours, rows, 1, 0) || isTriangle(ours, rows, 0, 1);
  });
}

function isTriangle(values: ArrayLike<number>, rows: number, below: number, above: number): boolean {
  for (let at = 0; at < values.length; at++) {
    const [row, column] = [Math.floor(at / rows) % rows, at % rows];
    if (values[at] !== (column <= row ? below : above)) return false;
  }
  return true;
}
