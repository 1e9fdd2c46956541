/**
 * What is known of shapes whatever the input's size: the extents of values, and small integer
 * tensors that shapes are computed with, element by element. An extent is a number, or a symbol for
 * one that only the run knows: equal symbols are equal extents. Which operators are followed, and
 * how, their rows say.
 *
 * ONNX Runtime names the extents of graph inputs. It forgets the names after the first convolution
 * with a stride, and the two ways through a residual block are then unknown to be of one size,
 * although windows of the same kind give the same size. Behind a Reshape to computed extents it
 * forgets the numbers, too.
 */
import type { Dim, Node, Value } from '../ir/graph.js';
import { isFloating, isShapeInteger } from '../ir/tensor.js';
import type { Elements, Extent, ShapeSite } from '../ops/site.js';
import { operatorOf } from '../ops/registry.js';
import { type GraphInfo, siteOf } from './graph-info.js';
import { LONGEST_SHAPE, nameOf, symbolOf } from './shape-elements.js';

export class ExtentKeys {
  readonly #graphInfo: GraphInfo;
  readonly #extents = new Map<Value, readonly Extent[] | undefined>();
  readonly #elements = new Map<Value, Elements | undefined>();

  constructor(graphInfo: GraphInfo) {
    this.#graphInfo = graphInfo;
  }

  /** Whether both values have the same rank and surely the same extents on every axis. */
  sameExtents(a: Value, b: Value): boolean {
    const [ofA, ofB] = [this.extents(a), this.extents(b)];
    return ofA !== undefined && ofA.length === ofB?.length && ofA.every((extent, axis) => extent === ofB[axis]);
  }

  rankOf(value: Value): number | undefined {
    return this.#graphInfo.shapes.of(value)?.length;
  }

  key(value: Value, axis: number): string {
    return String(this.extents(value)?.[axis] ?? symbolOf('', value, axis));
  }

  /** One per axis; undefined when the rank is unknown. */
  extents(value: Value): readonly Extent[] | undefined {
    if (this.#extents.has(value)) return this.#extents.get(value);
    // Set first: a graph has no cycles, but what is asked for while it is made must not recurse for
    // ever.
    this.#extents.set(
      value,
      this.#graphInfo.shapes.of(value)?.map((_, axis) => symbolOf('', value, axis)),
    );
    const extents = this.#makeExtents(value);
    this.#extents.set(value, extents);
    return extents;
  }

  /** The elements of a scalar or 1-D integer value; undefined when it is something else. */
  elements(value: Value): Elements | undefined {
    if (this.#elements.has(value)) return this.#elements.get(value);
    this.#elements.set(value, undefined);
    const elements = this.#makeElements(value);
    this.#elements.set(value, elements);
    return elements;
  }

  #makeExtents(value: Value): readonly Extent[] | undefined {
    const { constants, shapes } = this.#graphInfo;
    const tensor = constants.tensor(value);
    if (tensor !== undefined) return tensor.dims;
    const dims = shapes.of(value);
    const { producer } = value;
    const found = producer === undefined ? undefined : this.#stated(producer, producer.outputs.indexOf(value));
    const known = found?.length === dims?.length ? found : undefined;
    return (dims ?? found)?.map((_, axis) => {
      const dim = dims?.[axis] ?? '';
      if (typeof dim === 'number') return dim;
      const own = symbolOf(dim, value, axis);
      return dim === '' ? ((dims === undefined ? found : known)?.[axis] ?? this.#linked(value, axis) ?? own) : own;
    });
  }

  /** What the operator's row says of an output. */
  #stated(producer: Node, output: number): Elements | undefined {
    const operator = operatorOf(producer);
    const site = this.#shapeSite(producer);
    return operator?.partExtents?.(site, output) ?? (output === 0 ? operator?.resultExtents?.(site) : undefined);
  }

  /** As the axes of the operator are linked, or as its window makes it. */
  #linked(value: Value, axis: number): Extent | undefined {
    const { producer } = value;
    if (producer === undefined) return undefined;
    const operator = operatorOf(producer);
    const site = siteOf(producer, this.#graphInfo);
    const windowed = operator?.extentKey?.(site, axis);
    const [data] = producer.inputs;
    if (windowed !== undefined && data !== undefined) return windowed(this.#extent(data, axis));
    const relation = operator?.axes?.(site);
    if (relation === undefined || relation.kind === 'extents') return undefined;
    // With several operands any of them may be the one that is stretched.
    if (producer.inputs.filter((input) => input !== undefined && !this.#graphInfo.constants.has(input)).length > 1)
      return this.#agreed(producer, value, axis);
    const index = producer.outputs.indexOf(value);
    const from = relation.links.find(
      ({ output, blocks }) => blocks === undefined && output.index === index && output.axis === axis,
    )?.input;
    const linked = from === undefined ? undefined : producer.inputs[from.index];
    return from === undefined || linked === undefined ? undefined : this.#extent(linked, from.axis);
  }

  #extent(value: Value, axis: number): Extent {
    return this.extents(value)?.[axis] ?? symbolOf('', value, axis);
  }

  /**
   * What all operands of the value's rank agree on; broadcasting cannot change an extent that they
   * share.
   */
  #agreed({ inputs }: Node, value: Value, axis: number): Extent | undefined {
    const { constants, shapes } = this.#graphInfo;
    const rank = shapes.of(value)?.length;
    const operands = inputs.filter((input) => input !== undefined).filter((input) => !constants.has(input));
    if (operands.length < 2 || operands.some((input) => shapes.of(input)?.length !== rank)) return undefined;
    const extents = new Set(operands.map((input) => this.#extent(input, axis)));
    return extents.size === 1 ? [...extents][0] : undefined;
  }

  #makeElements(value: Value): Elements | undefined {
    const { producer } = value;
    const tensor = this.#graphInfo.constants.tensor(value);
    const extents = this.extents(value);
    const [length = 1] = extents ?? [];
    if (extents === undefined || extents.length > 1 || Number(length) > LONGEST_SHAPE) return undefined;
    // Integers only: what is computed in floating point (a scale, a quotient) rounds differently.
    if (tensor !== undefined) return isShapeInteger(tensor.dataType) ? [...tensor.numbers()] : undefined;
    if (producer === undefined || producer.outputs[0] !== value) return undefined;
    const elements = operatorOf(producer)?.shapeElements?.(this.#shapeSite(producer));
    return typeof length === 'number' && elements?.length !== length ? undefined : elements;
  }

  #shapeSite(node: Node): ShapeSite {
    const at = <Result>(index: number, ask: (input: Value) => Result): Result | undefined => {
      const input = node.inputs[index];
      return input === undefined ? undefined : ask(input);
    };
    return {
      node,
      opset: this.#graphInfo.graph.opset,
      elements: (index) => at(index, (input) => this.elements(input)),
      extents: (index) => at(index, (input) => this.extents(input)),
      constant: (index) => this.#graphInfo.constants.tensor(node.inputs[index]),
    };
  }
}

/**
 * The same with every extent that is a number in every run, and a name for every one that is another
 * one's too, also where ONNX Runtime does not infer it.
 */
export function withKnownExtents(graphInfo: GraphInfo): GraphInfo {
  const keys = new ExtentKeys(graphInfo);
  const { shapes, graph } = graphInfo;
  const known = new Map<Value, readonly Dim[]>();
  // In the order of the graph, so that nothing is asked for from far down the graph.
  for (const value of graph.nodes.flatMap(({ outputs }) => outputs)) {
    const extents = value === undefined ? undefined : keys.extents(value);
    const dims = shapes.of(value);
    if (value === undefined || extents === undefined) continue;
    // Of scalars ONNX Runtime says nothing. Only those that multiply channels are of use.
    if (extents.length === 0) {
      if (dims === undefined && isFloating(shapes.dataTypeOf(value) ?? 0)) known.set(value, []);
      continue;
    }
    const added = extents.map((extent, axis) =>
      typeof extent === 'number' ? extent : dims?.[axis] || nameOf(extent, value, axis),
    );
    if (added.some((dim, axis) => dim !== dims?.[axis])) known.set(value, added);
  }
  if (known.size === 0) return graphInfo;
  const of = (value: Value | undefined) => (value && known.get(value)) ?? shapes.of(value);
  const added = [...known].map(([{ name }, dims]) => [name, dims] as const);
  return { ...graphInfo, shapes: { ...shapes, of, byName: new Map([...shapes.byName, ...added]) } };
}
