/**
 * Small integer tensors that carry shapes, element by element: a number, a symbol for an extent of
 * the input (equal symbols are equal numbers), or undefined. Which operators are followed, and how,
 * their rows say.
 */
import type { Dim, Value } from '../ir/graph.js';
import { isShapeInteger, type Tensor } from '../ir/tensor.js';
import type { Elements, Extent } from '../ops/site.js';
import { operatorOf } from '../ops/registry.js';

/** What is asked of what is known of a graph. */
export interface Known {
  readonly constants: { tensor(value: Value | undefined): Tensor | undefined };
  readonly shapes: { of(value: Value | undefined): readonly Dim[] | undefined };
}

/** The extents of a value, as numbers or symbols. */
type ExtentsOf = (value: Value | undefined) => readonly Extent[] | undefined;

/** Shapes have a handful of entries; longer tensors are data. */
const LONGEST_SHAPE = 16;

/**
 * The symbol of an extent that only the run knows: the model's name for it, or else its place. As
 * JSON, so that no name of a model is the symbol of a place.
 */
export function symbolOf(dim: string, value: Value, axis: number): string {
  return JSON.stringify(dim === '' ? [value.name, axis] : dim);
}

/** The elements of a scalar or 1-D integer value; undefined when it is something else. */
export function elementsOf(value: Value, known: Known): Elements | undefined {
  return follow(value, known, (of) =>
    known.shapes
      .of(of)
      ?.map((dim, axis) => (typeof dim === 'number' || of === undefined ? dim : symbolOf(dim, of, axis))),
  );
}

/**
 * Per element of `value` the axis of `of` whose extent it copies at the run; undefined for others.
 */
export function copiedExtents(
  value: Value | undefined,
  of: Value | undefined,
  known: Known,
): readonly (number | undefined)[] | undefined {
  if (value === undefined || of === undefined) return undefined;
  // A symbol for every extent, also for one that is a number now.
  const places: ExtentsOf = (read) => read && known.shapes.of(read)?.map((_, axis) => symbolOf('', read, axis));
  const axes = new Map(places(of)?.map((symbol, axis) => [symbol, axis]));
  return follow(value, known, places)?.map((element) => (element === undefined ? undefined : axes.get(element)));
}

function follow(value: Value, known: Known, extentsOf: ExtentsOf): Elements | undefined {
  const { constants } = known;
  const tensor = constants.tensor(value);
  // Integers only: what is computed in floating point (a scale, a quotient) rounds differently.
  if (tensor !== undefined)
    return isShapeInteger(tensor.dataType) && tensor.size <= LONGEST_SHAPE ? [...tensor.numbers()] : undefined;
  const { producer: node } = value;
  if (node === undefined) return undefined;
  return operatorOf(node)?.shapeElements?.({
    node,
    elements: (index) => {
      const input = node.inputs[index];
      return input === undefined ? undefined : follow(input, known, extentsOf);
    },
    extents: (index) => extentsOf(node.inputs[index]),
    constant: (index) => constants.tensor(node.inputs[index]),
  });
}
