/**
 * Names for extents that only the run knows: equal keys are equal extents, whatever the input's
 * size. ONNX Runtime names the extents of graph inputs and forgets the names behind the first
 * convolution with a stride; the two ways through a residual block are then unknown to be of one
 * size, although windows of the same kind give the same size.
 */
import type { Value } from '../ir/graph.js';
import { operatorOf } from '../ops/registry.js';
import { symbolOf } from './shape-elements.js';
import { type GraphInfo, siteOf } from './graph-info.js';

export class ExtentKeys {
  readonly #graphInfo: GraphInfo;
  readonly #known = new Map<Value, Map<number, string>>();

  constructor(graphInfo: GraphInfo) {
    this.#graphInfo = graphInfo;
  }

  /** Whether both values have the same rank and surely the same extents on every axis. */
  sameExtents(a: Value, b: Value): boolean {
    const rank = this.#graphInfo.shapes.of(a)?.length;
    if (rank === undefined || rank !== this.#graphInfo.shapes.of(b)?.length) return false;
    return Array.from({ length: rank }, (_, axis) => axis).every((axis) => this.key(a, axis) === this.key(b, axis));
  }

  rankOf(value: Value): number | undefined {
    return this.#graphInfo.shapes.of(value)?.length;
  }

  key(value: Value, axis: number): string {
    const known = this.#known.get(value) ?? new Map<number, string>();
    this.#known.set(value, known);
    let key = known.get(axis);
    if (key === undefined) {
      // Set first: a graph has no cycles, but a key that is asked for while it is made must not
      // recurse for ever.
      known.set(axis, symbolOf('', value, axis));
      key = this.#make(value, axis);
      known.set(axis, key);
    }
    return key;
  }

  #make(value: Value, axis: number): string {
    const own = symbolOf('', value, axis);
    const dim = this.#graphInfo.shapes.of(value)?.[axis];
    if (typeof dim === 'number') return String(dim);
    if (dim !== undefined && dim !== '') return symbolOf(dim, value, axis);
    const { producer } = value;
    if (producer === undefined) return own;
    const operator = operatorOf(producer);
    const site = siteOf(producer, this.#graphInfo);
    const windowed = operator?.extentKey?.(site, axis);
    const [data] = producer.inputs;
    if (windowed !== undefined && data !== undefined) return windowed(this.key(data, axis));
    const relation = operator?.axes?.(site);
    if (relation === undefined || relation.kind === 'extents') return own;
    // With several operands any of them may be the one that is stretched.
    if (producer.inputs.filter((input) => input !== undefined && !this.#graphInfo.constants.has(input)).length > 1)
      return this.#agreed(producer.inputs, value, axis) ?? own;
    const from = relation.links.find(({ output, blocks }) => blocks === undefined && output.axis === axis)?.input;
    const linked = from === undefined ? undefined : producer.inputs[from.index];
    return from === undefined || linked === undefined ? own : this.key(linked, from.axis);
  }

  /**
   * What all operands of the value's rank agree on; broadcasting cannot change an extent that they
   * share.
   */
  #agreed(inputs: readonly (Value | undefined)[], value: Value, axis: number): string | undefined {
    const { constants, shapes } = this.#graphInfo;
    const rank = shapes.of(value)?.length;
    const operands = inputs
      .filter((input) => input !== undefined && !constants.has(input))
      .filter((input) => input !== undefined);
    if (operands.length < 2 || operands.some((input) => shapes.of(input)?.length !== rank)) return undefined;
    const keys = new Set(operands.map((input) => this.key(input, axis)));
    return keys.size === 1 ? [...keys][0] : undefined;
  }
}
