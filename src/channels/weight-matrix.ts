/**
 * Element-wise questions about a weight tensor seen as a matrix [outputs, inputs] of kernels with
 * `taps` elements. Of a grouped layer it has all channels of all groups; those of different groups
 * are not connected.
 */
import { hasBit, setBit, wordAt } from '../ir/bits.js';
import { scanTensor } from '../ir/scan.js';
import { FLOAT, product, Tensor } from '../ir/tensor.js';
import { groupsOf, type LayerRelation, type Linear } from '../ops/axes.js';
import { weightsOf } from '../ops/centred-weights.js';
import type { Site } from '../ops/site.js';

/** The weights of a layer; undefined where they are not known. */
export function weightMatrix(site: Site, relation: LayerRelation): WeightMatrix | undefined {
  const tensor = weightsOf(site, relation);
  return tensor && new WeightMatrix(tensor, relation.weights, groupsOf(relation));
}

export class WeightMatrix {
  readonly groups: number;
  readonly outputs: number;
  readonly inputs: number;
  readonly taps: number;
  readonly #tensor: Tensor;
  /** One bit per kernel (see scan.ts). */
  readonly #connected: Uint32Array;
  /** Whether weights are [outputs, inputs, …] or [inputs, outputs, …]. */
  readonly #isOutputFirst: boolean;
  /** Extent of axis 1. */
  readonly #columns: number;
  #elements: ((index: number) => number) | undefined;

  /** With several groups axis 0 counts the channels of all of them, axis 1 those of one. */
  constructor(stored: Tensor, axes: Pick<Linear['weights'], 'inAxis' | 'outAxis'>, groups = 1) {
    // Axes of extent 1 in front of a matrix say nothing.
    const leading = Math.min(axes.inAxis, axes.outAxis);
    const tensor =
      leading === 0
        ? stored
        : new Tensor(stored.dataType, stored.dims.slice(leading), () => stored.bytes(), stored.remote);
    const [inAxis, outAxis] = [axes.inAxis - leading, axes.outAxis - leading];
    const { dims } = tensor;
    const extent = (axis: number) => (dims[axis] ?? 0) * (axis === 1 ? groups : 1);
    this.groups = groups;
    this.outputs = extent(outAxis);
    this.inputs = extent(inAxis);
    this.taps = product(dims.slice(2));
    this.#isOutputFirst = outAxis === 0;
    this.#columns = dims[1] ?? 1;
    this.#tensor = tensor;
    this.#connected = scanTensor(tensor).connected;
  }

  at(output: number, input: number, tap: number): number {
    return this.inOneGroup(output, input) ? this.#element(this.offset(output, input) + tap) : 0;
  }

  #element(index: number): number {
    this.#elements ??= elementsOf(this.#tensor);
    return this.#elements(index);
  }

  /** Where the kernel from `input` to `output` starts; both are of one group. */
  offset(output: number, input: number): number {
    return this.#kernel(output, input) * this.taps;
  }

  /**
   * Whether any tap from `input` to `output` is not exactly zero. Sums are never asked: they may
   * cancel.
   */
  connects(output: number, input: number): boolean {
    return this.inOneGroup(output, input) && hasBit(this.#connected, this.#kernel(output, input));
  }

  inOneGroup(output: number, input: number): boolean {
    return this.groups === 1 || this.groupOfOutput(output) === Math.floor((input * this.groups) / this.inputs);
  }

  groupOfOutput(output: number): number {
    return Math.floor((output * this.groups) / this.outputs);
  }

  /** Along axis 1 every group begins with 0. */
  #kernel(output: number, input: number): number {
    const columns = this.#columns;
    return this.#isOutputFirst ? output * columns + (input % columns) : input * columns + (output % columns);
  }

  sum(output: number, input: number): number {
    if (!this.connects(output, input)) return 0;
    const start = this.offset(output, input);
    let total = 0;
    for (let at = start; at < start + this.taps; at++) total += this.#element(at);
    return total;
  }

  /** Adds `factor` times the kernel from `input` to `output` to the numbers from `start` on. */
  addKernel(output: number, input: number, factor: number, sums: Float64Array, start = 0): void {
    const first = this.inOneGroup(output, input) ? this.offset(output, input) : undefined;
    for (let tap = 0; tap < this.taps; tap++) {
      const weight = first === undefined ? 0 : this.#element(first + tap);
      sums[start + tap] = (sums[start + tap] ?? 0) + factor * weight;
    }
  }

  /** Per input 1 where it reaches any of `outputs`. */
  inputsOf(outputs: Iterable<number>): Uint8Array {
    return this.#isOutputFirst ? this.#columnsOf(outputs) : this.#rowsOf(outputs);
  }

  /** Per output 1 where any of `inputs` reaches it. */
  outputsOf(inputs: Iterable<number>): Uint8Array {
    return this.#isOutputFirst ? this.#rowsOf(inputs) : this.#columnsOf(inputs);
  }

  /** Kernels of axis 0, of all groups. */
  get #rows(): number {
    return this.#isOutputFirst ? this.outputs : this.inputs;
  }

  /** Columns, counted through all groups, that any of the rows is connected to. */
  #columnsOf(rows: Iterable<number>): Uint8Array {
    const columns = this.#columns;
    const unions = this.#setsOfColumns();
    for (const row of rows) {
      const union = unions[Math.floor((row * this.groups) / this.#rows)] ?? new Uint32Array(0);
      for (let word = 0; word < union.length; word++)
        union[word] = (union[word] ?? 0) | wordAt(this.#connected, row * columns + 32 * word);
    }
    const found = new Uint8Array(this.groups * columns);
    for (const [group, union] of unions.entries())
      for (let column = 0; column < columns; column++) if (hasBit(union, column)) found[group * columns + column] = 1;
    return found;
  }

  /** Rows that are connected to any of the columns, counted through all groups. */
  #rowsOf(columns: Iterable<number>): Uint8Array {
    const sets = this.#setsOfColumns();
    for (const column of columns)
      setBit(sets[Math.floor(column / this.#columns)] ?? new Uint32Array(0), column % this.#columns);
    const found = new Uint8Array(this.#rows);
    for (let row = 0; row < found.length; row++) {
      const set = sets[Math.floor((row * this.groups) / found.length)] ?? new Uint32Array(0);
      for (let word = 0; word < set.length && found[row] === 0; word++) {
        const bits = set[word] ?? 0;
        if (bits !== 0 && (bits & wordAt(this.#connected, row * this.#columns + 32 * word)) !== 0) found[row] = 1;
      }
    }
    return found;
  }

  /** An empty set for each group. */
  #setsOfColumns(): Uint32Array[] {
    return Array.from({ length: this.groups }, () => new Uint32Array(Math.ceil(this.#columns / 32)));
  }
}

/**
 * Floats are read where they lie: few columns are asked for, and most weights of a file are at odd
 * offsets, so that numbers() would copy all of them.
 */
function elementsOf(tensor: Tensor): (index: number) => number {
  if (tensor.dataType === FLOAT) {
    const { buffer, byteOffset, byteLength } = tensor.bytes();
    const view = new DataView(buffer, byteOffset, byteLength);
    return (index) => view.getFloat32(4 * index, true);
  }
  const numbers = tensor.numbers();
  return (index) => numbers[index] ?? 0;
}

/**
 * Whether a bias is one number per output: [N] or [1, N], and not [N, 1], which Gemm allows as
 * well.
 */
export function isRow({ dims, size }: Tensor, outputs: number): boolean {
  return size === outputs && dims.at(-1) === outputs;
}
