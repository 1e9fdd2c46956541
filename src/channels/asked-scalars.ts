/**
 * Scalars that ONNX Runtime computes. The node runs alone, on tensors that hold the constants of
 * its operands: as many indices along the axis in question as there are constants, one along the
 * other axes that pass through, and the whole extent where the node looks along an axis (a
 * reduction, a window). What comes out is constant where the whole slice holds one number.
 */
import type { GraphInfo } from '../graph-info/graph-info.js';
import { BOOL, isFloating, isNumeric, product, Tensor } from '../ir/tensor.js';
import { isStatic, type Link } from '../ops/axes.js';
import type { NodeInput, NodeRunner } from '../graph-info/node-runner.js';
import { type AnalyzedNode, readsTypeAlone } from './analyzed-node.js';
import { type Contribution, isColumn, knownAt } from './contribution.js';

/** Elements of the largest tensor in one run; an image of 1,024 x 1,024 is as large. */
const MOST_ELEMENTS = 2 ** 20;

/** Stands for as many as there are indices. */
const OPEN = -1;

/** What is asked: along axis `axis` of output `output`. */
export interface Question {
  readonly at: AnalyzedNode;
  readonly output: number;
  readonly axis: number;
  /** Per input of the node. */
  readonly operands: readonly Contribution[];
}

/** Where the scalars of an input come from, and which of its axes has them. */
interface Filled {
  readonly dataType: number;
  readonly operand: Exclude<Contribution, undefined>;
  /** OPEN on the axis in question, where the operand is a column. */
  readonly dims: readonly number[];
}

/** Of an input: its tensor as it is, or what it is filled with. */
type Ingredient = { readonly tensor: Tensor | undefined } | Filled;

/** Per entry of `indices` the scalar, or NaN where it is not known. */
export async function askedScalars(
  question: Question,
  indices: readonly number[],
  graphInfo: GraphInfo,
  runner: NodeRunner,
): Promise<Float64Array> {
  const scalars = new Float64Array(indices.length).fill(Number.NaN);
  const { at, output, axis } = question;
  const ingredients = at.inSlots.map((_, index) => ingredient(question, index, graphInfo));
  if (!ingredients.every((each) => each !== undefined)) return scalars;
  const filled = ingredients.filter((each) => 'operand' in each);
  const asked = [...indices.keys()].filter((entry) =>
    filled.every(({ operand }) => typeof knownAt(operand, indices[entry] ?? 0) === 'number'),
  );
  const largest = Math.max(1, ...filled.map(({ dims }) => slice(dims)));
  if (largest > MOST_ELEMENTS) return scalars;
  const value = at.node.outputs[output];
  const dataType = value === undefined ? undefined : graphInfo.shapes.dataTypeOf(value);
  const atOnce = Math.floor(MOST_ELEMENTS / largest);
  for (let start = 0; start < asked.length; start += atOnce) {
    const entries = asked.slice(start, start + atOnce);
    const ofEntries = Int32Array.from(entries, (entry) => indices[entry] ?? 0);
    const inputs = ingredients.map((each) => ('tensor' in each ? each : numbersOf(each, ofEntries)));
    const result = await runner.run(at.node, inputs, output);
    if (result?.dims[axis] !== entries.length) return scalars;
    for (const [number, scalar] of uniform(result.dims, result.values, axis).entries())
      if (isSureAs(dataType, scalar)) scalars[entries[number] ?? 0] = scalar;
  }
  return scalars;
}

/** Undefined where it is not known what the input would hold. */
function ingredient(
  { at, output, axis, operands }: Question,
  index: number,
  graphInfo: GraphInfo,
): Ingredient | undefined {
  const { node, site, relation } = at;
  const value = node.inputs[index];
  if (value === undefined) return { tensor: undefined };
  const constant = site.constant(index);
  const dataType = constant?.dataType ?? graphInfo.shapes.dataTypeOf(value);
  if (dataType === undefined || !isNumeric(dataType)) return undefined;
  if (readsTypeAlone(at, index)) return { tensor: Tensor.fromNumbers(dataType, [1], [0]) };
  const all = relation?.kind === 'pointwise' ? relation.links : [];
  const links = all.filter(({ input }) => input.index === index);
  if (constant !== undefined && links.length === 0)
    return constant.size > MOST_ELEMENTS ? undefined : { tensor: constant };
  const operand = operands[index];
  const dims = site.inDims(index)?.map((dim, inAxis) => {
    const ofAxis = links.filter(({ input }) => input.axis === inAxis);
    if (ofAxis.length === 0) return dim;
    return ofAxis.some((link) => leadsTo(link, output, axis)) ? OPEN : 1;
  });
  if (!isStatic(dims) || operand === undefined || isColumn(operand) !== dims.includes(OPEN)) return undefined;
  const isIndexByIndex = links.every(({ blocks }) => blocks === undefined);
  return isIndexByIndex ? { dataType, operand, dims } : undefined;
}

function leadsTo({ output }: Link, index: number, axis: number): boolean {
  return output.index === index && output.axis === axis;
}

/** Elements for one index of the axis in question. */
function slice(dims: readonly number[]): number {
  return product(dims.filter((dim) => dim !== OPEN));
}

function numbersOf({ dataType, operand, dims: open }: Filled, indices: Int32Array): NodeInput {
  const dims = open.map((dim) => (dim === OPEN ? indices.length : dim));
  const values = new Float64Array(product(dims));
  if (!isColumn(operand)) return { dataType, dims, values: values.fill(operand) };
  const inner = product(dims.slice(open.indexOf(OPEN) + 1));
  for (let at = 0; at < values.length; at += inner) {
    const index = indices[(at / inner) % indices.length] ?? 0;
    values.fill(operand.values[index] ?? Number.NaN, at, at + inner);
  }
  return { dataType, dims, values };
}

/** Per index of the axis the number that its whole slice holds, or NaN. */
export function uniform(dims: readonly number[], values: ArrayLike<number>, axis: number): Float64Array {
  const extent = dims[axis] ?? 0;
  const inner = product(dims.slice(axis + 1));
  const found = new Float64Array(extent).fill(Number.NaN);
  const seen = new Uint8Array(extent);
  for (let at = 0; at < values.length; at++) {
    const index = Math.floor(at / inner) % extent;
    if (seen[index] === 0) found[index] = values[at] ?? Number.NaN;
    else if (found[index] !== values[at]) found[index] = Number.NaN;
    seen[index] = 1;
  }
  return found;
}

/** Whether a double holds every value of the dtype that is `value` here, and no other. */
function isSureAs(dataType: number | undefined, value: number): boolean {
  if (!Number.isFinite(value)) return false;
  return dataType === undefined || dataType === BOOL || isFloating(dataType) || Number.isSafeInteger(value);
}
