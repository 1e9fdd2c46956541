/** Counts what a file holds, not how often it is read: every version of a weight is that weight. */
import type { Value } from '../ir/graph.js';
import { isFloating, type Tensor } from '../ir/tensor.js';
import { isStored, readsNoElements, rootOf } from '../ops/aliases.js';
import type { Constants } from '../graph-info/constants.js';

interface Parameter {
  size: number;
  zeros: number;
}

export class ParameterCount {
  readonly #constants: Constants;
  readonly #known = new Map<Tensor | Value, Parameter>();
  readonly #all: Parameter[] = [];

  constructor(constants: Constants) {
    this.#constants = constants;
  }

  /**
   * An operand with the zeros in it: a new parameter, or another layout, type, cut or masking of
   * one.
   */
  add(value: Value, tensor: Tensor, zeros: number): void {
    const stored = this.#storedBehind(value);
    const root = rootOf(value);
    const sources = stored.filter((source) => source !== tensor && isSource(source, tensor));
    const keys = [this.#constants.tensor(root) ?? root, ...sources];
    const found = keys.map((key) => this.#known.get(key)).find((parameter) => parameter !== undefined);
    const parameter = found ?? { size: 0, zeros: 0 };
    if (found === undefined) this.#all.push(parameter);
    for (const key of keys) if (!this.#known.has(key)) this.#known.set(key, parameter);
    // A map that a few numbers are blown up to counts as those.
    const most = stored.reduce((total, { size }) => total + size, 0);
    parameter.size = Math.max(parameter.size, Math.min(tensor.size, most), ...sources.map(({ size }) => size));
    parameter.zeros = Math.max(parameter.zeros, Math.min(zeros, most));
  }

  get total(): Readonly<Parameter> {
    const sum = (of: (parameter: Parameter) => number) =>
      this.#all.reduce((total, parameter) => total + of(parameter), 0);
    return { size: sum(({ size }) => size), zeros: sum(({ zeros }) => zeros) };
  }

  /** All stored constants that the value is computed from. */
  #storedBehind(value: Value): Tensor[] {
    const seen = new Set([value]);
    const stored: Tensor[] = [];
    for (const at of seen) {
      const tensor = isStored(at) || at.producer === undefined ? this.#constants.tensor(at) : undefined;
      if (tensor !== undefined) stored.push(tensor);
      else if (at.producer !== undefined) {
        for (const [index, input] of at.producer.inputs.entries())
          if (input !== undefined && !readsNoElements({ node: at.producer, index })) seen.add(input);
      }
    }
    return stored;
  }
}

/** What the tensor may be a part or a masking of; layers may share a mask without being one. */
function isSource(source: Tensor, tensor: Tensor): boolean {
  if (!isFloating(source.dataType) || source.size < tensor.size) return false;
  return !source.numbers().every((element) => element === 0 || element === 1);
}
