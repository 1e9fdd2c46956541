/**
 * Small integer tensors that shapes are computed with, followed for one question: which of their
 * elements are extents of a given value, whatever those are when the model runs.
 */
import { COMPUTED_EXTENT, type Dim, type Value } from '../ir/graph.js';
import { isShapeInteger, type Tensor } from '../ir/tensor.js';
import type { Elements, Extent } from '../ops/site.js';
import { operatorOf } from '../ops/registry.js';

/** What is asked of what is known of a graph. */
export interface Known {
  readonly graph: { readonly opset: number };
  readonly constants: { tensor(value: Value | undefined): Tensor | undefined };
  readonly shapes: { of(value: Value | undefined): readonly Dim[] | undefined };
}

/** Shapes have a handful of entries; longer tensors are data. */
export const LONGEST_SHAPE = 16;

/**
 * The symbol of an extent that only the run knows: the model's name for it, or else its place. As
 * JSON, so that no name of a model is the symbol of a place.
 */
export function symbolOf(dim: string, value: Value, axis: number): string {
  if (dim.startsWith(COMPUTED_EXTENT)) return dim.slice(COMPUTED_EXTENT.length);
  return JSON.stringify(dim === '' ? [value.name, axis] : dim);
}

/** The name of an extent by its symbol, which may be another one's; '' where it has its own alone. */
export function nameOf(symbol: string, value: Value, axis: number): Dim {
  if (symbol === symbolOf('', value, axis)) return '';
  return symbol.startsWith('"') ? String(JSON.parse(symbol)) : COMPUTED_EXTENT + symbol;
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
  const axes = new Map(places(of, known)?.map((symbol, axis) => [symbol, axis]));
  return follow(value, known)?.map((element) => (element === undefined ? undefined : axes.get(element)));
}

/** Per element of `value` the number that it is in every run; undefined for others. */
export function fixedIntegers(value: Value | undefined, known: Known): readonly (number | undefined)[] | undefined {
  return value && follow(value, known)?.map((element) => (typeof element === 'number' ? element : undefined));
}

/** A symbol for every extent, also for one that is a number now. */
function places(value: Value | undefined, { shapes }: Known): readonly Extent[] | undefined {
  return value && shapes.of(value)?.map((_, axis) => symbolOf('', value, axis));
}

function follow(value: Value, known: Known): Elements | undefined {
  const { constants, graph } = known;
  const tensor = constants.tensor(value);
  // Integers only: what is computed in floating point (a scale, a quotient) rounds differently.
  if (tensor !== undefined)
    return isShapeInteger(tensor.dataType) && tensor.size <= LONGEST_SHAPE ? [...tensor.numbers()] : undefined;
  const node = value.producer;
  if (node === undefined || node.outputs[0] !== value) return undefined;
  return operatorOf(node)?.shapeElements?.({
    node,
    opset: graph.opset,
    elements: (index) => {
      const input = node.inputs[index];
      return input === undefined ? undefined : follow(input, known);
    },
    extents: (index) => places(node.inputs[index], known),
    constant: (index) => constants.tensor(node.inputs[index]),
  });
}
