/**
 * Small integer tensors that carry shapes, element by element: a number, a symbol for an extent of
 * the input (equal symbols are equal numbers), or undefined. Which operators are followed, and how,
 * their rows say.
 */
import type { Value } from '../ir/graph.js';
import { isShapeInteger } from '../ir/tensor.js';
import type { Elements } from '../ops/site.js';
import { operatorOf } from '../ops/registry.js';
import type { GraphInfo } from './graph-info.js';

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
export function elementsOf(value: Value, graphInfo: GraphInfo): Elements | undefined {
  const { constants, shapes } = graphInfo;
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
      return input === undefined ? undefined : elementsOf(input, graphInfo);
    },
    extents: (index) => {
      const input = node.inputs[index];
      return shapes
        .of(input)
        ?.map((dim, axis) => (typeof dim === 'number' || input === undefined ? dim : symbolOf(dim, input, axis)));
    },
    constant: (index) => constants.tensor(node.inputs[index]),
  });
}
