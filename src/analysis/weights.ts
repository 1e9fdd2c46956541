/** Element-wise questions about a weight tensor seen as a matrix [outputs, inputs] of kernels with `taps` elements. */
import type { Linear } from '../ops/relation.js';
import { product, type Tensor } from '../ir/tensor.js';

export class WeightMatrix {
  readonly outputs: number;
  readonly inputs: number;
  readonly taps: number;
  readonly #outStride: number;
  readonly #inStride: number;
  readonly #values: Float32Array | Float64Array;

  constructor(tensor: Tensor, { inAxis, outAxis }: Pick<Linear['weights'], 'inAxis' | 'outAxis'>) {
    const { dims } = tensor;
    const stride = (axis: number) => product(dims.slice(axis + 1));
    this.outputs = dims[outAxis] ?? 0;
    this.inputs = dims[inAxis] ?? 0;
    this.taps = product(dims.slice(2));
    this.#outStride = stride(outAxis);
    this.#inStride = stride(inAxis);
    this.#values = tensor.numbers();
  }

  at(output: number, input: number, tap: number): number {
    return this.#values[output * this.#outStride + input * this.#inStride + tap] ?? 0;
  }

  /** Whether any tap from `input` to `output` is not exactly zero. Sums are never asked: they may cancel. */
  connects(output: number, input: number): boolean {
    const start = output * this.#outStride + input * this.#inStride;
    for (let tap = 0; tap < this.taps; tap++) if (this.#values[start + tap] !== 0) return true;
    return false;
  }

  sum(output: number, input: number): number {
    let total = 0;
    for (let tap = 0; tap < this.taps; tap++) total += this.at(output, input, tap);
    return total;
  }

  /** Whether any of the inputs reaches the output. */
  readsAny(output: number, inputs: readonly number[]): boolean {
    return inputs.some((input) => this.connects(output, input));
  }

  /** Of `inputs` those that reach any of `outputs`. Live rows settle most columns at once, so this ends early. */
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
