/** Random inputs for a session by seed, and the search for shapes at which the model runs. */
import { Float16Array as HalfArray } from '@petamoriken/float16';
import * as ort from 'onnxruntime-node';
import { messageOf, PruneCompileError } from '../errors.js';
import { product } from '../ir/tensor.js';
import { byName, ownOf } from '../names.js';
import {
  concreteShapes,
  describeInput,
  firstSizes,
  planShapes,
  type Shapes,
  type ShapePlan,
  type Sizes,
  type TensorInput,
} from './input-shapes.js';
import type { RunSession } from './guarded-session.js';
import { Random } from './random.js';
import { isEndless } from './run-limit.js';
import type { Feeds } from './feeds.js';

export type { Shapes, ShapePlan } from './input-shapes.js';

export interface Runnable {
  readonly plan: ShapePlan;
  readonly sizes: Sizes;
  readonly shapes: Shapes;
}

export interface SearchOptions {
  readonly signal?: AbortSignal | undefined;
  /** Why the model is not to be run at these shapes, if it is not. */
  readonly avoid?: ((shapes: Shapes) => Promise<string | undefined>) | undefined;
}

/**
 * Finds concrete shapes at which `session` runs: user overrides first, then candidates for what is
 * symbolic. Throws E-SHAPE for overrides that do not fit the model, E-MODEL-RUNTIME when no
 * candidate runs.
 */
export async function findShapes(
  session: RunSession,
  options: SearchOptions & { overrides?: Shapes | undefined; batch?: number | undefined } = {},
): Promise<Runnable> {
  const plan = planShapes(session.inputMetadata, options.overrides);
  const found = await firstThatRuns(session, plan, firstSizes(plan, options.batch), options);
  if ('sizes' in found) return found;
  throw new PruneCompileError('E-MODEL-RUNTIME', {
    what: 'the model does not run on random inputs',
    facts: [
      ['why', found.failure],
      ['tried', found.tried.map(formatShapes).join('; ')],
      ['the model has', plan.inputs.map(describeInput).join(', ')],
      ['try', /non tensor type/i.test(found.failure) ? OTHER_TYPES : OTHER_SHAPES],
    ],
    cause: found.cause,
  });
}

const OTHER_SHAPES = '--shape NAME=… with a shape that the model accepts; verify() of the API also takes real `inputs`';
/** ONNX Runtime for Node takes and gives tensors alone. */
const OTHER_TYPES =
  'an input or output is a sequence or a map, which ONNX Runtime cannot run from Node: outputs that are tensors, or --no-verify, and no --bench';

export interface NothingRuns {
  /** What the last candidate's run said. */
  readonly failure: string;
  readonly tried: readonly Shapes[];
  readonly cause: unknown;
}

/** The first of the candidates at which the model runs. */
export async function firstThatRuns(
  session: RunSession,
  plan: ShapePlan,
  candidates: readonly Sizes[],
  { signal, avoid }: SearchOptions = {},
): Promise<Runnable | NothingRuns> {
  const tried: Shapes[] = [];
  let cause: unknown;
  for (const sizes of candidates) {
    signal?.throwIfAborted();
    const shapes = concreteShapes(plan, sizes);
    const feeds = randomFeeds(plan.inputs, shapes, 1);
    const reason = await avoid?.(shapes);
    try {
      if (reason !== undefined) throw new Error(reason);
      await session.run(feeds);
      return { plan, sizes, shapes };
    } catch (error) {
      if (isEndless(error)) throw error;
      tried.push(shapes);
      cause = error;
    }
  }
  return { failure: firstLine(messageOf(cause)), tried, cause };
}

/** ONNX Runtime's messages go on with source positions and stack traces. */
export function firstLine(message: string): string {
  return message.split('\n', 1)[0] ?? '';
}

/** `input=1,3,224,224 mask=1,8` */
export function formatShapes(shapes: Shapes): string {
  return Object.entries(shapes)
    .map(([name, dims]) => `${name}=${dims.join(',')}`)
    .join(' ');
}

/** Whole numbers for an input, one for each call. */
export type Draw = () => number;

/**
 * Random values for every input, the same for the same seed: normal with mean 0 and deviation 1 for
 * floating-point inputs, 0 or 1 for booleans and for integers without a draw of their own (the only
 * values that are indices into any table). Throws E-MODEL-RUNTIME for string inputs, E-MODEL-LIMIT
 * for inputs of more than 2^28 numbers.
 */
export function randomFeeds(
  inputs: readonly TensorInput[],
  shapes: Shapes,
  seed: number,
  draws: ReadonlyMap<string, Draw> = new Map(),
): Feeds {
  return byName(
    inputs.map((input) => [
      input.name,
      randomTensor(input, ownOf(shapes, input.name) ?? [], seed, draws.get(input.name)),
    ]),
  );
}

function randomTensor({ name, type }: TensorInput, dims: readonly number[], seed: number, ownDraw?: Draw): ort.Tensor {
  const random = new Random(seed, name);
  const length = product(dims);
  if (length > MOST_RANDOM) throw tooLarge(name, dims, length);
  const shape = [...dims];
  const bit = () => random.word() >>> 31;
  const whole = ownDraw ?? bit;
  const fill = <Values extends { [index: number]: number }>(values: Values, draw: () => number): Values => {
    for (let index = 0; index < length; index++) values[index] = draw();
    return values;
  };
  const normal = () => random.normal();
  switch (type) {
    case 'float32':
      return new ort.Tensor(type, fill(new Float32Array(length), normal), shape);
    case 'float64':
      return new ort.Tensor(type, fill(new Float64Array(length), normal), shape);
    case 'float16': {
      // Bit patterns: ONNX Runtime takes them on every Node version, with or without a built-in
      // Float16Array.
      const halves = HalfArray.from({ length }, normal);
      return new ort.Tensor(type, new Uint16Array(halves.buffer, halves.byteOffset, length), shape);
    }
    case 'int64':
      return new ort.Tensor(
        type,
        BigInt64Array.from({ length }, () => BigInt(whole())),
        shape,
      );
    case 'uint64':
      return new ort.Tensor(
        type,
        BigUint64Array.from({ length }, () => BigInt(whole())),
        shape,
      );
    case 'int32':
      return new ort.Tensor(type, fill(new Int32Array(length), whole), shape);
    case 'uint32':
      return new ort.Tensor(type, fill(new Uint32Array(length), whole), shape);
    case 'int16':
      return new ort.Tensor(type, fill(new Int16Array(length), whole), shape);
    case 'uint16':
      return new ort.Tensor(type, fill(new Uint16Array(length), whole), shape);
    case 'int8':
      return new ort.Tensor(type, fill(new Int8Array(length), whole), shape);
    case 'uint8':
      return new ort.Tensor(type, fill(new Uint8Array(length), whole), shape);
    case 'bool':
      return new ort.Tensor(type, fill(new Uint8Array(length), bit), shape);
    default:
      throw new PruneCompileError('E-MODEL-RUNTIME', {
        what: `the model's input ${name} has type ${type}, for which no random values can be generated`,
        facts: [['try', '--no-verify, and no --bench; verify() of the API takes real `inputs`']],
      });
  }
}

/** A gibibyte of float32; beyond, runs on random inputs are nothing that anybody waits for. */
const MOST_RANDOM = 2 ** 28;

function tooLarge(name: string, dims: readonly number[], length: number): PruneCompileError {
  return new PruneCompileError('E-MODEL-LIMIT', {
    what: `the input ${name} has ${length} elements, too many to generate`,
    facts: [
      ['shape', dims.join(' x ')],
      ['why', `the limit is ${MOST_RANDOM}`],
      [
        'try',
        'the model exported at the size it is used at; --shape where it leaves its size open; or --no-verify, and no --bench',
      ],
    ],
  });
}

/**
 * The same feeds with every finite floating-point value moved by one unit in the last place, up or
 * down by seed. Other types are left as they are. What the model makes of it is its own sensitivity
 * to rounding.
 */
export function nudgedFeeds(feeds: Feeds, seed: number): Feeds {
  return byName(
    Object.entries(feeds).map(([name, tensor]) => [name, nudged(tensor, new Random(seed, `nudge ${name}`))]),
  );
}

function nudged(tensor: ort.Tensor, random: Random): ort.Tensor {
  const dims = [...tensor.dims];
  const { data } = tensor;
  if (data instanceof Float32Array) {
    const copy = data.slice();
    nudgeBits(new Uint32Array(copy.buffer), 0x7f800000, random);
    return new ort.Tensor('float32', copy, dims);
  }
  if (data instanceof Float64Array) return new ort.Tensor('float64', nudgeDoubles(data, random), dims);
  if (tensor.type === 'float16' && ArrayBuffer.isView(data)) {
    const bits = new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2).slice();
    nudgeBits(bits, 0x7c00, random);
    return new ort.Tensor('float16', bits, dims);
  }
  return tensor;
}

/**
 * Floating-point numbers of one sign are ordered as their bit patterns: the neighbour is one more
 * or one less.
 */
function nudgeBits(bits: Uint32Array | Uint16Array, exponentMask: number, random: Random): void {
  for (const [index, pattern] of bits.entries()) {
    const magnitude = pattern & (exponentMask | (exponentMask - 1));
    const isUp = random.word() >= 2 ** 31 || magnitude === 0;
    // Infinities and NaN stay, and the largest finite number does not become infinite.
    if (magnitude >= exponentMask || (isUp && magnitude === exponentMask - 1)) continue;
    bits[index] = isUp ? pattern + 1 : pattern - 1;
  }
}

function nudgeDoubles(data: Float64Array, random: Random): Float64Array {
  const copy = data.slice();
  const words = new BigUint64Array(copy.buffer);
  for (const [index, value] of data.entries()) {
    if (!Number.isFinite(value) || Math.abs(value) === Number.MAX_VALUE) continue;
    const isUp = value === 0 || random.word() >= 2 ** 31;
    words[index] = (words[index] ?? 0n) + (isUp ? 1n : -1n);
  }
  return copy;
}
