/**
 * Element-wise questions about a weight tensor seen as a matrix [outputs, inputs] of kernels with
 * `taps` elements.
 */
import { scanTensor } from '../ir/scan.js';
import { product, type Tensor } from '../ir/tensor.js';
import type { Linear } from '../ops/axes.js';

export class WeightMatrix {
  readonly outputs: number;
  readonly inputs: number;
  readonly taps: number;
  readonly #tensor: Tensor;
  /** One bit per kernel (see scan.ts). */
  readonly #connected: Uint32Array;
  /**
   * Kernels between neighbours along each axis: weights are [outputs, inputs, …] or [inputs,
   * outputs].
   */
  readonly #outStride: number;
  readonly #inStride: number;
  #numbers: Float32Array | Float64Array | undefined;

  constructor(tensor: Tensor, { inAxis, outAxis }: Pick<Linear['weights'], 'inAxis' | 'outAxis'>) {
    const { dims } = tensor;
    this.outputs = dims[outAxis] ?? 0;
    this.inputs = dims[inAxis] ?? 0;
    this.taps = product(dims.slice(2));
    this.#outStride = outAxis === 0 ? (dims[1] ?? 1) : 1;
    this.#inStride = inAxis === 0 ? (dims[1] ?? 1) : 1;
    this.#tensor = tensor;
    this.#connected = scanTensor(tensor).connected;
  }

  at(output: number, input: number, tap: number): number {
    this.#numbers ??= this.#tensor.numbers();
    return this.#numbers[this.start(output, input) + tap] ?? 0;
  }

  /**
   * Whether any tap from `input` to `output` is not exactly zero. Sums are never asked: they may
   * cancel.
   */
  connects(output: number, input: number): boolean {
    const kernel = this.#kernel(output, input);
    return (((this.#connected[kernel >>> 5] ?? 0) >>> (kernel & 31)) & 1) === 1;
  }

  #kernel(output: number, input: number): number {
    return output * this.#outStride + input * this.#inStride;
  }

  /** Where the taps from `input` to `output` begin in the tensor. */
  start(output: number, input: number): number {
    return this.#kernel(output, input) * this.taps;
  }

  sum(output: number, input: number): number {
    let total = 0;
    for (let tap = 0; tap < this.taps; tap++) total += this.at(output, input, tap);
    return total;
  }

  /** Whether any of the inputs reaches the output. */
  readsAny(output: number, inputs: readonly number[]): boolean {
    for (const input of inputs) if (this.connects(output, input)) return true;
    return false;
  }

  /**
   * Of `inputs` those that reach any of `outputs`. Live rows settle most columns at once, so this
   * ends early.
   */
  readInputs(outputs: readonly number[], inputs: readonly number[]): number[] {
    let open = [...inputs];
    const read: number[] = [];
    for (const output of outputs) {
      if (open.length === 0) break;
      const still: number[] = [];
      for (const input of open) (this.connects(output, input) ? read : still).push(input);
      open = still;
    }
    return read;
  }
}

/**
 * Whether a bias is one number per output: [N] or [1, N], and not [N, 1], which Gemm allows as
 * well.
 */
export function isRow({ dims, size }: Tensor, outputs: number): boolean {
  return size === outputs && dims.at(-1) === outputs;
}
