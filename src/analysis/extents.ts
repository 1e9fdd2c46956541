/**
 * Small integer tensors that carry shapes, element by element: a number, a symbol for an extent of the input (equal
 * symbols are equal numbers), or undefined. Only what exporters use to compute Reshape targets is followed.
 */
import type { Node, Value } from '../ir/graph.js';
import { INT32, INT64 } from '../ir/tensor.js';
import { normalAxis } from '../ops/relation.js';
import type { Knowledge } from './site.js';

export type Extent = number | string;
type Elements = readonly (Extent | undefined)[];

/** Shapes have a handful of entries; longer tensors are data. */
const LONGEST_SHAPE = 16;

/**
 * The symbol of an extent that only the run knows: the model's name for it, or else its place. As JSON, so that no name of a model
 * is the symbol of a place.
 */
export function symbolOf(dim: string, value: Value, axis: number): string {
  return JSON.stringify(dim === '' ? [value.name, axis] : dim);
}

/** The elements of a scalar or 1-D integer value; undefined when it is something else. */
export function elementsOf(value: Value, knowledge: Knowledge): Elements | undefined {
  const tensor = knowledge.constants.tensor(value);
  // Integers only: what is computed in floating point (a scale, a quotient) rounds differently.
  if (tensor !== undefined)
    return isInteger(tensor.dataType) && tensor.size <= LONGEST_SHAPE ? [...tensor.numbers()] : undefined;
  const { producer } = value;
  if (producer?.domain !== '') return undefined;
  return FOLLOWED.get(producer.opType)?.(producer, knowledge);
}

function isInteger(dataType: number): boolean {
  return dataType === INT64 || dataType === INT32;
}

type Follow = (node: Node, knowledge: Knowledge) => Elements | undefined;

const operand = (node: Node, index: number, knowledge: Knowledge): Elements | undefined => {
  const value = node.inputs[index];
  return value === undefined ? undefined : elementsOf(value, knowledge);
};

const pass: Follow = (node, knowledge) => operand(node, 0, knowledge);

const arithmetic =
  (compute: (a: number, b: number) => number): Follow =>
  (node, knowledge) => {
    const a = operand(node, 0, knowledge);
    const b = operand(node, 1, knowledge);
    if (a === undefined || b === undefined || (a.length !== b.length && a.length !== 1 && b.length !== 1))
      return undefined;
    return Array.from({ length: Math.max(a.length, b.length) }, (_, index) => {
      const [x, y] = [a[a.length === 1 ? 0 : index], b[b.length === 1 ? 0 : index]];
      return typeof x === 'number' && typeof y === 'number' ? compute(x, y) : undefined;
    });
  };

const FOLLOWED = new Map<string, Follow>(
  Object.entries({
    Shape(node: Node, { shapes }: Knowledge) {
      const [value] = node.inputs;
      const dims = shapes.of(value);
      if (dims === undefined || value === undefined) return undefined;
      const start = normalAxis(node.int('start', 0), dims.length);
      const end = node.attributes.has('end') ? normalAxis(node.int('end', 0), dims.length) : dims.length;
      return dims.map((dim, axis) => (typeof dim === 'number' ? dim : symbolOf(dim, value, axis))).slice(start, end);
    },
    Gather(node: Node, knowledge: Knowledge) {
      const from = operand(node, 0, knowledge);
      const indices = knowledge.constants.tensor(node.inputs[1]);
      if (from === undefined || indices === undefined) return undefined;
      return [...indices.numbers()].map((index) => from[normalAxis(index, from.length)]);
    },
    Slice(node: Node, knowledge: Knowledge) {
      const from = operand(node, 0, knowledge);
      const list = (index: number, attribute: string) => node.ints(attribute) ?? operand(node, index, knowledge);
      const [start] = list(1, 'starts') ?? [];
      const [end] = list(2, 'ends') ?? [];
      const [step] = node.inputs[4] === undefined ? [1] : (operand(node, 4, knowledge) ?? []);
      if (from === undefined || typeof start !== 'number' || typeof end !== 'number' || step !== 1) return undefined;
      return from.slice(start, end);
    },
    Concat(node: Node, knowledge: Knowledge) {
      const parts = node.inputs.map((_, index) => operand(node, index, knowledge));
      return parts.includes(undefined) ? undefined : parts.flatMap((part) => part ?? []);
    },
    Unsqueeze: pass,
    Squeeze: pass,
    Reshape: pass,
    Cast: (node: Node, knowledge: Knowledge) => (isInteger(node.int('to', INT64)) ? pass(node, knowledge) : undefined),
    Identity: pass,
    Add: arithmetic((a, b) => a + b),
    Sub: arithmetic((a, b) => a - b),
    Mul: arithmetic((a, b) => a * b),
    // ONNX integer division truncates.
    Div: arithmetic((a, b) => Math.trunc(a / b)),
  }),
);
