/**
 * com.microsoft: operators on codes without weights, whose operands and result have scales and zero
 * points. Each kernel computes in an order of its own and then rounds to a code. A result is known
 * where it is so far from a tie between two codes that all of them round alike.
 */
import { type Known, link, type Link, normalAxis, type Pointwise, range, sameAxes } from './axes.js';
import { windowKey } from './attributes.js';
import { broadcast } from './broadcast.js';
import { MICROSOFT } from './domains.js';
import type { Operator } from './operator.js';
import { meanOverPlaces, taps, windowDoubt } from './pool.js';
import type { Site } from './site.js';
import { INT8 } from '../ir/tensor.js';

/** Of an operand or of the result: real = scale * (code - zero). */
interface Coding {
  readonly scale: number;
  readonly zero: number;
}

interface Result extends Coding {
  readonly least: number;
  readonly largest: number;
}

/** The terms of the result, of real numbers: NaN of an operand that varies. */
type Terms = (...reals: readonly number[]) => readonly number[];

/**
 * The largest error of a kernel, in codes, where the scales of the operands are that of the result
 * or less. ONNX Runtime's kernels are in float32, but QLinearAdd of ARM (MLAS, qladd.cpp): it rounds
 * the quotients of the scales to factors of 22 bits, of which the larger one has all. With e its
 * exponent each is off by 2^(e-22) at most, times a code of up to 255. Two operands with e <= 0 make
 * 2^-13 of it, and with e > 0 it grows as the quotient does. Ties are rounded away from zero there,
 * and to even elsewhere. This is 32 times as much, and leaves ties open.
 */
const LARGEST_ERROR = 2 ** -8;

/** More taps, summed up one after the other in float32, could be further off. */
const MOST_TAPS = 2 ** 8;

/** Undefined where it is computed, or for more than one scale. */
function codingAt({ node, constant }: Site, scale: number): Coding | undefined {
  const [ofScale, ofZero] = [constant(scale), constant(scale + 1)];
  if (ofScale?.size !== 1 || (node.inputs[scale + 1] !== undefined && ofZero?.size !== 1)) return undefined;
  const value = ofScale.numbers()[0] ?? 0;
  return value > 0 ? { scale: value, zero: ofZero?.numbers()[0] ?? 0 } : undefined;
}

function resultAt(site: Site, scale: number): Result | undefined {
  const coding = codingAt(site, scale);
  const isSigned = site.constant(scale + 1)?.dataType === INT8;
  return coding && { ...coding, least: isSigned ? -128 : 0, largest: isSigned ? 127 : 255 };
}

/** The code of a sum that operands of these scales make; undefined where kernels may differ. */
function codeOf(terms: readonly number[], operands: readonly Coding[], result: Result): number | undefined {
  const { scale, zero, least, largest } = result;
  if (terms.every((term) => term === 0)) return zero;
  const code = terms.reduce((total, term) => total + term / scale, zero);
  if (Number.isNaN(code)) return undefined;
  const error = LARGEST_ERROR * operands.reduce((sum, operand) => sum + operand.scale / scale, 1);
  const [low, high] = [code - error, code + error].map((each) => Math.min(largest, Math.max(least, Math.round(each))));
  return low === high ? low : undefined;
}

/** Where a code of each operand is known. `operands`: the inputs with codes, each before its scale. */
function constantOf(
  site: Site,
  operands: readonly number[],
  termsOf: Terms,
  scaleOfResult = (operands.at(-1) ?? 0) + 3,
): (known: readonly Known[]) => number | undefined {
  const codings = operands.map((index) => codingAt(site, index + 1));
  const result = resultAt(site, scaleOfResult);
  if (result === undefined || codings.includes(undefined)) return () => undefined;
  const sure = codings.filter((coding) => coding !== undefined);
  return (known) => {
    const reals = sure.map(({ scale, zero }, at) => scale * ((known[operands[at] ?? 0] ?? Number.NaN) - zero));
    return codeOf(termsOf(...reals), sure, result);
  };
}

function elementwise(type: string, operands: readonly number[], termsOf: (site: Site) => Terms): Operator {
  return {
    type,
    domain: MICROSOFT,
    axes: (site) => {
      const relation = broadcast(site, operands, constantOf(site, operands, termsOf(site)));
      return relation && { ...relation, jumps: true };
    },
  };
}

/** Zero whatever the other one is. */
function product(a = 0, b = 0): readonly number[] {
  return [a === 0 || b === 0 ? 0 : a * b];
}

function leakyRelu({ node }: Site): Terms {
  const alpha = node.float('alpha', 0.01);
  return (x = 0) => [x < 0 ? alpha * x : x];
}

function sigmoid(x = 0): readonly number[] {
  return [1 / (1 + Math.exp(-x))];
}

function themselves(...reals: readonly number[]): readonly number[] {
  return reals;
}

/** QLinearGlobalAveragePool-1: [N, C, spatial…] to [N, C, 1…]. */
function globalMean(site: Site): Pointwise | undefined {
  if (site.node.int('channels_last', 0) !== 0) return undefined;
  const links = [0, 1].map((axis) => link({ index: 0, axis }, { index: 0, axis }));
  return { kind: 'pointwise', links, jumps: true, constant: constantOf(site, [0], themselves) };
}

/** QLinearAveragePool-1, of channels in axis 1. */
function mean(site: Site): Pointwise | undefined {
  if (site.node.int('channels_last', 0) !== 0) return undefined;
  const constant = constantOf(site, [0], themselves);
  const zero = codingAt(site, 1)?.zero;
  const isSure = taps(site.node) <= MOST_TAPS;
  const relation = meanOverPlaces(site, zero, (x) => (isSure || x === zero ? constant([x]) : undefined));
  return relation && { ...relation, jumps: true };
}

/** QLinearConcat-1: the scale and the zero point of Y, then each operand with its own. */
function concat(site: Site): Pointwise | undefined {
  const rank = site.outDims(0)?.length;
  if (rank === undefined) return undefined;
  const joined = normalAxis(site.node.int('axis', 0), rank);
  const result = resultAt(site, 0);
  const links: Link[] = [];
  const constants = new Map<number, (known: readonly Known[]) => number | undefined>();
  let start = 0;
  for (let index = 2; index < site.node.inputs.length; index += 3) {
    const extent = site.inDims(index)?.[joined];
    if (typeof extent !== 'number') return undefined;
    links.push(...sameAxes(site, index, [joined]));
    links.push(link({ index, axis: joined }, { index: 0, axis: joined }, range(0, start, extent)));
    constants.set(index, constantOf(site, [index], themselves, 0));
    start += extent;
  }
  if (result === undefined) return { kind: 'pointwise', links };
  const constant = (known: readonly Known[]) => {
    const reached = [...constants].filter(([index]) => known[index] !== null);
    const [first, ...others] = reached.map(([, ofOperand]) => ofOperand(known));
    return others.every((code) => code === first) ? first : undefined;
  };
  return { kind: 'pointwise', links, jumps: true, constant };
}

/** QLinearSoftmax-1: over one axis, or before opset 13 over all axes from there on. */
function softmax(site: Site): Pointwise | undefined {
  const rank = site.inDims(0)?.length;
  if (rank === undefined) return undefined;
  const isFlat = site.node.int('opset', 13) < 13;
  const axis = normalAxis(site.node.int('axis', isFlat ? 1 : -1), rank);
  const summed = isFlat ? Array.from({ length: rank - axis }, (_, at) => axis + at) : [axis];
  return { kind: 'pointwise', links: sameAxes(site, 0, summed) };
}

export const codedArithmetic: readonly Operator[] = [
  elementwise('QLinearAdd', [0, 3], () => themselves),
  elementwise('QLinearMul', [0, 3], () => product),
  elementwise('QLinearLeakyRelu', [0], leakyRelu),
  elementwise('QLinearSigmoid', [0], () => sigmoid),
  { type: 'QLinearGlobalAveragePool', domain: MICROSOFT, axes: globalMean },
  {
    type: 'QLinearAveragePool',
    domain: MICROSOFT,
    axes: mean,
    extentKey: windowKey,
    hasWindow: true,
    doubt: windowDoubt,
  },
  { type: 'QLinearConcat', domain: MICROSOFT, axes: concat },
  { type: 'QLinearSoftmax', domain: MICROSOFT, axes: softmax },
];
