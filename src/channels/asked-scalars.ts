/**
 * Scalars that ONNX Runtime computes. The node runs alone, on tensors that hold the constants of
 * its operands: as many indices along the axis in question as there are constants, one along the
 * other axes that pass through, and the whole extent where the node looks along an axis (a
 * reduction, a window). What comes out is constant where the whole slice holds one number.
 */
import { isSureAs, runNode } from '../graph-info/run-node.js';
import type { GraphInfo } from '../graph-info/graph-info.js';
import { isNumeric, product, Tensor } from '../ir/tensor.js';
import { isStatic, type Known, type Link } from '../ops/axes.js';
import { type AnalyzedNode, readsTypeAlone } from './analyzed-node.js';

/** One entry per index of an axis, or one scalar for all of them; undefined where it varies. */
export type Contribution = readonly Known[] | number | undefined;

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

/** Of an input: its tensor as it is, or where its scalars come from and which of its axes has them. */
type Ingredient =
  | { readonly tensor: Tensor | undefined }
  | {
      readonly dataType: number;
      readonly operand: Exclude<Contribution, undefined>;
      /** OPEN on the axis in question. */
      readonly dims: readonly number[];
    };

/** Per entry of `indices` the scalar, or NaN where it is not known. */
export async function askedScalars(
  question: Question,
  indices: readonly number[],
  graphInfo: GraphInfo,
): Promise<Float64Array> {
  const scalars = new Float64Array(indices.length).fill(Number.NaN);
  const { at, output, axis } = question;
  const ingredients = at.inSlots.map((_, index) => ingredient(question, index, graphInfo));
  if (!ingredients.every((each) => each !== undefined)) return scalars;
  const isKnown = (index: number) =>
    ingredients.every((each) => 'tensor' in each || typeof scalarOf(each.operand, index) === 'number');
  const asked = [...indices.keys()].filter((entry) => isKnown(indices[entry] ?? 0));
  const largest = Math.max(1, ...ingredients.map((each) => ('tensor' in each ? 1 : slice(each.dims))));
  if (largest > MOST_ELEMENTS) return scalars;
  const value = at.node.outputs[output];
  const dataType = value === undefined ? undefined : graphInfo.shapes.dataTypeOf(value);
  const atOnce = Math.floor(MOST_ELEMENTS / largest);
  for (let start = 0; start < asked.length; start += atOnce) {
    const entries = asked.slice(start, start + atOnce);
    const inputs = ingredients.map((each) =>
      tensorOf(
        each,
        entries.map((entry) => indices[entry] ?? 0),
      ),
    );
    const result = await runNode(at.node, graphInfo.graph.opset, inputs, output);
    if (result?.dims[axis] !== entries.length) return scalars;
    for (const [number, scalar] of uniform(result.dims, result.values, axis).entries())
      if (isSureAs(dataType, scalar)) scalars[entries[number] ?? 0] = scalar;
  }
  return scalars;
}

function scalarOf(operand: Contribution, index: number): Known {
  return typeof operand === 'object' ? operand[index] : operand;
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
  const isIndexByIndex = links.every(({ blocks }) => blocks === undefined);
  return isStatic(dims) && isIndexByIndex && operand !== undefined ? { dataType, operand, dims } : undefined;
}

function leadsTo({ output }: Link, index: number, axis: number): boolean {
  return output.index === index && output.axis === axis;
}

/** Elements for one index of the axis in question. */
function slice(dims: readonly number[]): number {
  return product(dims.filter((dim) => dim !== OPEN));
}

function tensorOf(each: Ingredient, indices: readonly number[]): Tensor | undefined {
  if ('tensor' in each) return each.tensor;
  const { dataType, operand, dims: open } = each;
  const dims = open.map((dim) => (dim === OPEN ? indices.length : dim));
  const along = open.indexOf(OPEN);
  const inner = along === -1 ? 1 : product(dims.slice(along + 1));
  const values = Float64Array.from({ length: product(dims) }, (_, at) => {
    const index = indices[Math.floor(at / inner) % indices.length] ?? 0;
    return scalarOf(operand, index) ?? Number.NaN;
  });
  return Tensor.fromNumbers(dataType, dims, values);
}

/** Per index of the axis the number that its whole slice holds, or NaN. */
function uniform(dims: readonly number[], values: ArrayLike<number>, axis: number): Float64Array {
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
