/**
 * Inputs unlike the usual random ones, for whoever looks for one at which a model takes another
 * way.
 */
import * as ort from 'onnxruntime-node';
import { byName, ownOf } from '../names.js';
import type { TensorInput } from './input-shapes.js';
import { randomFeeds, type Shapes } from './inputs.js';
import type { Feeds } from './feeds.js';

/** Of numbers that are random otherwise. */
const FACTORS = [-1, 0, 100, -100, 1e4, -1e4];
const MORE_SEEDS = 8;

export interface VariationOptions {
  readonly inputs: readonly TensorInput[];
  readonly shapes: Shapes;
  /** From here on. */
  readonly seed: number;
  /** Numbers that the model compares with, and their like. */
  readonly numbers: readonly number[];
  /** Which whole numbers an input may hold; undefined: all. */
  rangeOf(name: string): readonly [low: number, high: number] | undefined;
}

/**
 * Other seeds first; then one input at a time filled with one number, or scaled; then all of them.
 */
export function* variations(from: Feeds, options: VariationOptions): Generator<Feeds> {
  const { inputs, shapes, seed, numbers } = options;
  for (let more = 0; more < MORE_SEEDS; more++) yield { ...from, ...randomFeeds(inputs, shapes, seed + more) };
  const changes = [
    ...numbers.map((number) => (input: TensorInput, tensor: ort.Tensor) => filled(tensor, number, options, input.name)),
    ...FACTORS.map((factor) => (_: TensorInput, tensor: ort.Tensor) => scaled(tensor, factor)),
  ];
  for (const change of changes) {
    const changed = inputs.flatMap((input) => {
      const tensor = ownOf(from, input.name);
      const other = tensor && change(input, tensor);
      return other === undefined ? [] : [[input.name, other] as const];
    });
    for (const [name, tensor] of changed) yield { ...from, ...byName([[name, tensor]]) };
    if (changed.length > 1) yield { ...from, ...byName(changed) };
  }
}

/** Undefined where the type has no such number. */
function filled(
  { type, data, dims }: ort.Tensor,
  number: number,
  { rangeOf }: VariationOptions,
  name: string,
): ort.Tensor | undefined {
  const shape = [...dims];
  if (data instanceof Float32Array)
    return new ort.Tensor(
      'float32',
      data.map(() => number),
      shape,
    );
  if (data instanceof Float64Array)
    return new ort.Tensor(
      'float64',
      data.map(() => number),
      shape,
    );
  if (type === 'bool')
    return number === 0 || number === 1
      ? new ort.Tensor(type, new Uint8Array(data.length).fill(number), shape)
      : undefined;
  const [low, high] = rangeOf(name) ?? [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];
  if (!Number.isInteger(number) || number < low || number > high) return undefined;
  if (data instanceof BigInt64Array)
    return new ort.Tensor(
      'int64',
      data.map(() => BigInt(number)),
      shape,
    );
  if (data instanceof Int32Array)
    return new ort.Tensor(
      'int32',
      data.map(() => number),
      shape,
    );
  return undefined;
}

function scaled({ data, dims }: ort.Tensor, factor: number): ort.Tensor | undefined {
  const shape = [...dims];
  if (data instanceof Float32Array)
    return new ort.Tensor(
      'float32',
      data.map((value) => value * factor),
      shape,
    );
  if (data instanceof Float64Array)
    return new ort.Tensor(
      'float64',
      data.map((value) => value * factor),
      shape,
    );
  return undefined;
}
