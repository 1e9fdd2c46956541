/** Einsum-12: sums of products, as the letters of an equation say. */
import type { Dim, Node } from '../ir/graph.js';
import { type AxisRef, type Known, type Linear, type Link, link, type Relation } from './axes.js';
import type { LayerOperands, Operator } from './operator.js';
import type { Elements, Extent, ShapeSite, Site } from './site.js';

/** Letters of each operand's axes, and of the result's. */
interface Equation {
  readonly terms: readonly string[];
  readonly result: string;
}

/**
 * Undefined where the result is left to rules, where axes have no letter, and where a letter stands
 * for two axes of one operand (a trace, a diagonal).
 */
function equationOf(node: Node): Equation | undefined {
  const equation = node.string('equation', '').replaceAll(' ', '');
  const [left = '', result, ...others] = equation.split('->');
  if (result === undefined || others.length > 0 || equation.includes('.')) return undefined;
  const terms = left.split(',');
  const areDistinct = [...terms, result].every((term) => new Set(term).size === term.length);
  const areMade = result.split('').every((label) => terms.some((term) => term.includes(label)));
  return areDistinct && areMade && terms.length === node.inputs.length ? { terms, result } : undefined;
}

/**
 * Letters of the result pass. Those of several operands that are summed over go where one of them is
 * zero. Two operands, one of them a constant matrix, are a layer.
 */
function einsumAxes(site: Site): Relation | undefined {
  const equation = equationOf(site.node);
  const { terms = [], result = '' } = equation ?? {};
  const operands = terms.map((_, index) => site.inDims(index));
  const fits = operands.every((dims, index) => dims?.length === terms[index]?.length);
  const made = site.outDims(0);
  if (equation === undefined || !fits || made?.length !== result.length) return undefined;
  const refs = (label: string): AxisRef[] =>
    terms.flatMap((term, index) => (term.includes(label) ? [{ index, axis: term.indexOf(label) }] : []));
  const extentOf = ({ index, axis }: AxisRef) => operands[index]?.[axis];
  // As in broadcast.ts: an axis of extent 1 that is stretched is not linked.
  const links = result.split('').flatMap((label, axis): Link[] =>
    refs(label)
      .filter((ref) => typeof extentOf(ref) !== 'number' || extentOf(ref) === made[axis])
      .map((ref) => link(ref, { index: 0, axis })),
  );
  const summed = [...new Set(terms.join('').split(''))].filter((label) => !result.includes(label));
  const sums = summed.map(refs).filter((axes) => axes.length > 1);
  if (sums.some((axes) => new Set(axes.map(extentOf)).size > 1)) return undefined;
  return layer(site, equation, links) ?? { kind: 'pointwise', links, sums, constant: zeroIfAny };
}

function zeroIfAny(operands: readonly Known[]): number | undefined {
  return operands.includes(0) ? 0 : undefined;
}

interface Matrix {
  readonly index: number;
  readonly inAxis: number;
  readonly outAxis: number;
  readonly input: string;
  readonly output: string;
}

/** A term of two letters: one that is summed over, and one of the result that no other term has. */
function matrixAt({ terms, result }: Equation, index: number): Matrix | undefined {
  const [term = '', other = ''] = [terms[index], terms[1 - index]];
  if (terms.length !== 2 || term.length !== 2) return undefined;
  const input = term.split('').find((label) => !result.includes(label) && other.includes(label));
  const output = term.split('').find((label) => result.includes(label) && !other.includes(label));
  // Whatever else the other operand has must pass.
  const passes = other.split('').every((label) => label === input || result.includes(label));
  if (input === undefined || output === undefined || !passes) return undefined;
  return { index, inAxis: term.indexOf(input), outAxis: term.indexOf(output), input, output };
}

function layer(site: Site, equation: Equation, links: readonly Link[]): Linear | undefined {
  const matrices = [1, 0].filter((index) => site.constant(index) !== undefined);
  const [index] = matrices;
  const matrix = index === undefined || matrices.length > 1 ? undefined : matrixAt(equation, index);
  if (matrix === undefined) return undefined;
  const data = 1 - matrix.index;
  const { inAxis, outAxis } = matrix;
  return {
    kind: 'linear',
    links: links.filter(({ input }) => input.index === data),
    x: { index: data, axis: equation.terms[data]?.indexOf(matrix.input) ?? 0 },
    y: { index: 0, axis: equation.result.indexOf(matrix.output) },
    weights: { index: matrix.index, inAxis, outAxis },
    bias: undefined,
    alpha: 1,
    padded: false,
  };
}

/** The matrix of a layer, where exporters have it: behind the data, with what it makes as last axis. */
function einsumLayer(site: Site): LayerOperands | undefined {
  const equation = equationOf(site.node);
  const matrix = equation && matrixAt(equation, 1);
  if (matrix === undefined || matrix.output !== equation?.result.at(-1)) return undefined;
  if (site.constant(1)?.dims.length !== 2 || site.constant(0) !== undefined) return undefined;
  const { index, inAxis, outAxis } = matrix;
  return { weights: { index, inAxis, outAxis }, bias: undefined };
}

/** Of the matrix of a layer. */
function filterAxis(node: Node): number | undefined {
  const equation = equationOf(node);
  return equation && matrixAt(equation, 1)?.outAxis;
}

/** One for each combination of all letters. */
function einsumMacs(site: Site): number | undefined {
  const { terms } = equationOf(site.node) ?? {};
  if (terms === undefined) return undefined;
  const extents = new Map<string, number>();
  for (const [index, term] of terms.entries()) {
    for (const [axis, label] of term.split('').entries()) {
      const extent = site.inDims(index)?.[axis];
      if (typeof extent !== 'number') return undefined;
      extents.set(label, Math.max(extent, extents.get(label) ?? 1));
    }
  }
  return [...extents.values()].reduce((total, extent) => total * extent, 1);
}

/** Of letters whose operands agree, or of which one surely is not 1. */
function einsumExtents({ node, extents }: ShapeSite): Elements | undefined {
  const { terms, result } = equationOf(node) ?? {};
  if (terms === undefined || result === undefined) return undefined;
  return result.split('').map((label): Extent | undefined => {
    const found = new Set(
      terms.flatMap((term, index) => (term.includes(label) ? [extents(index)?.[term.indexOf(label)]] : [])),
    );
    return found.size === 1 ? [...found][0] : undefined;
  });
}

/**
 * In the inference a label has the extent of its first operand, also where that is 1 and another
 * one is not. In doubt are labels whose first operand's extent is 1, or a symbol that may stand for
 * 1, while another one is not the same.
 */
function doubtByOperands(
  node: Node,
  operands: readonly (readonly Dim[] | undefined)[],
  result: readonly Dim[],
): readonly number[] {
  const equation = node.string('equation', '').replaceAll(' ', '');
  const [left = '', right] = equation.split('->');
  // What the equation leaves to rules is not followed: any axis may be wrong.
  if (right === undefined || equation.includes('.')) return [...result.keys()];
  const terms = left.split(',');
  return right.split('').flatMap((label, axis) => {
    const extents = terms.flatMap((term, operand) =>
      term.split('').flatMap((other, at) => (other === label ? [operands[operand]?.[at] ?? ''] : [])),
    );
    const [first = ''] = extents;
    const isSure = first === '' || (typeof first === 'number' && first !== 1);
    return isSure || extents.every((extent) => extent === first) ? [] : [axis];
  });
}

export const einsums: readonly Operator[] = [
  {
    type: 'Einsum',
    axes: einsumAxes,
    weights: einsumLayer,
    macs: einsumMacs,
    resultExtents: einsumExtents,
    doubtByOperands,
    filters: (node, dims) => dims[filterAxis(node) ?? 0] ?? 1,
  },
];
