/**
 * Given arrays as runs of a model: each array is bound to an input, brought to its type, given the
 * axis of the batch where it lacks one, and cut into as many samples as a run takes.
 */
import { PruneCompileError } from '../errors.js';
import { dataTypeName, product, Tensor } from '../ir/tensor.js';
import { byName } from '../names.js';
import { feedOf, type Feeds, feedType } from '../runtime/feeds.js';
import { describeInput, type TensorInput } from '../runtime/input-shapes.js';
import { converted } from './convert.js';
import type { GivenArray, SampleSet } from './samples.js';

/** Samples in a run where the model leaves the batch open: memory grows with it. */
const USUAL_BATCH = 32;

export interface Fitted {
  readonly feeds: readonly Feeds[];
  /** How many samples each run has: rows of the first axis, where all inputs have as many. */
  readonly counts: readonly number[];
}

/** Throws E-SHAPE and E-INPUTS. Notes are about what was left aside or converted, each once. */
export function fitSet(
  set: SampleSet,
  inputs: readonly TensorInput[],
  batch: number | undefined,
  notes: Set<string>,
): Fitted {
  const bound = bind(set, inputs, notes).map(({ input, array }) => bring(input, array, notes));
  const count = sharedRows(bound);
  if (count === undefined) return { feeds: [feedsOf(bound)], counts: [1] };
  const size = batchOf(bound, count, batch);
  const starts = Array.from({ length: Math.ceil(count / size) }, (_, run) => run * size);
  return {
    feeds: starts.map((start) =>
      feedsOf(bound.map(({ input, tensor, from }) => ({ input, from, tensor: rows(tensor, start, start + size) }))),
    ),
    counts: starts.map((start) => Math.min(size, count - start)),
  };
}

interface Pair {
  readonly input: TensorInput;
  readonly array: GivenArray;
}

interface Bound {
  readonly input: TensorInput;
  readonly tensor: Tensor;
  readonly from: string;
}

/** By name; a single array for a single input whatever it is called; else by order, as saved without names. */
function bind(set: SampleSet, inputs: readonly TensorInput[], notes: Set<string>): Pair[] {
  const byInput = inputs.map((input) => set.find(({ name }) => name === input.name));
  if (byInput.every((array) => array !== undefined)) {
    const unread = set.filter((array) => !byInput.includes(array));
    for (const { from } of unread) notes.add(`not read as an input: ${from}`);
    return inputs.flatMap((input, at) => pair(input, byInput[at]));
  }
  const isNameless = set.every(({ name }, at) => name === undefined || name === `arr_${at}`);
  if (set.length === inputs.length && (set.length === 1 || isNameless || isOfParts(set)))
    return inputs.flatMap((input, at) => pair(input, set[at]));
  throw noBinding(set, inputs);
}

function pair(input: TensorInput, array: GivenArray | undefined): Pair[] {
  return array === undefined ? [] : [{ input, array }];
}

/** `input_0.pb` and so on say their place, whatever name is inside. */
function isOfParts(set: SampleSet): boolean {
  return set.every(({ from }, at) => new RegExp(`(^|[/\\\\])input_${at}\\.pb$`).test(from));
}

function noBinding(set: SampleSet, inputs: readonly TensorInput[]): PruneCompileError {
  const given = set.map(({ from, tensor }) => `${from} [${tensor.dims.join(', ')}]`);
  return new PruneCompileError('E-SHAPE', {
    what: `the given arrays do not say which input of the model each is for`,
    facts: [
      ['given', given.join('; ')],
      ['the model has', inputs.map(describeInput).join(', ')],
      ['try', `numpy.savez('inputs.npz', **{${inputs.map(({ name }) => `'${name}': …`).join(', ')}})`],
    ],
  });
}

function bring(input: TensorInput, { tensor, from }: GivenArray, notes: Set<string>): Bound {
  const wanted = feedType(input.type);
  if (wanted === undefined)
    throw new PruneCompileError('E-INPUTS', {
      what: `the model's input ${input.name} has type ${input.type}, which cannot be read from a file`,
      facts: [['try', 'verify() and bench() of the API take tensors of any type']],
    });
  const result = converted(tensor, wanted, dataTypeName);
  if (typeof result === 'string') throw misfit(input, { tensor, from }, result);
  if (result.note !== undefined) notes.add(`${from}: ${result.note}`);
  return { input, from, tensor: withBatchAxis(input, result.tensor, from) };
}

/** A single sample lacks the axis that it is the only one along. */
function withBatchAxis(input: TensorInput, tensor: Tensor, from: string): Tensor {
  const { shape } = input;
  // ONNX Runtime says [] both for scalars and for inputs of unknown rank.
  if (shape.length === 0) return tensor;
  const fits = (dims: readonly number[], first: number) =>
    dims.length === shape.length &&
    dims.every((extent, axis) => axis < first || typeof shape[axis] !== 'number' || shape[axis] === extent);
  // How many samples there are is asked later.
  if (fits(tensor.dims, 1)) return tensor;
  const widened = [1, ...tensor.dims];
  if (fits(widened, 0)) return Tensor.of(tensor.dataType, widened, tensor.bytes());
  throw misfit(input, { tensor, from }, `it has the shape [${tensor.dims.join(', ')}]`);
}

function misfit(input: TensorInput, { tensor, from }: Pick<Bound, 'tensor' | 'from'>, why: string): PruneCompileError {
  const channelsLast = tensor.dims.length === 4 && input.shape[1] === tensor.dims[3];
  return new PruneCompileError('E-SHAPE', {
    what: `${from} does not fit the model's input ${input.name}`,
    facts: [
      ['why', why],
      ['the model has', `${describeInput(input)} ${input.type}`],
      [
        'try',
        channelsLast
          ? 'numpy.transpose(x, (0, 3, 1, 2)): the model takes channels before rows'
          : 'an array of that type and shape; any number of samples along the first axis',
      ],
    ],
  });
}

/** Undefined where the inputs do not have one number of samples along their first axes. */
function sharedRows(bound: readonly Bound[]): number | undefined {
  const counts = new Set(bound.map(({ input, tensor }) => (input.shape.length === 0 ? undefined : tensor.dims[0])));
  const [count] = counts;
  return counts.size === 1 ? count : undefined;
}

function batchOf(bound: readonly Bound[], count: number, wanted: number | undefined): number {
  const fixed = new Map(
    bound.flatMap(({ input }) => (typeof input.shape[0] === 'number' ? [[input.shape[0], input]] : [])),
  );
  const [[size, input] = []] = fixed;
  if (size === undefined || input === undefined) return Math.max(1, Math.min(wanted ?? USUAL_BATCH, count));
  const isFit = fixed.size === 1 && size > 0 && count % size === 0;
  if (!isFit || (wanted !== undefined && wanted !== size))
    throw new PruneCompileError('E-SHAPE', {
      what: `${count} given samples cannot be run ${isFit ? wanted : size} at a time`,
      facts: [
        ['the model has', bound.map((entry) => describeInput(entry.input)).join(', ')],
        ['try', `a multiple of ${size} samples, or a model exported with a dynamic batch dimension`],
      ],
    });
  return size;
}

function rows(tensor: Tensor, start: number, end: number): Tensor {
  const [count = 0, ...others] = tensor.dims;
  if (start === 0 && end >= count) return tensor;
  const bytes = tensor.bytes();
  const each = bytes.length / count;
  const until = Math.min(end, count);
  return Tensor.of(tensor.dataType, [until - start, ...others], bytes.subarray(start * each, until * each));
}

function feedsOf(bound: readonly Bound[]): Feeds {
  return byName(bound.map(({ input, tensor, from }) => [input.name, feedOf(whole(input, tensor, from))]));
}

/** An input without a batch must have the given extents exactly. */
function whole(input: TensorInput, tensor: Tensor, from: string): Tensor {
  const [first] = input.shape;
  if (typeof first === 'number' && first !== tensor.dims[0])
    throw misfit(input, { tensor, from }, `its first axis has ${tensor.dims[0]} rows`);
  if (product(tensor.dims) === 0) throw misfit(input, { tensor, from }, 'it is empty');
  return tensor;
}
