/**
 * Which concrete shapes a model's inputs get: what the user fixed, and for symbolic dimensions
 * candidates by their role (batch, height, width, …), tried in order until the model runs. Pure:
 * inputs.ts does the running.
 */
import type { InferenceSession } from 'onnxruntime-node';
import { PruneCompileError } from '../errors.js';
import { byName, ownOf } from '../names.js';

/** Input name -> dims. */
export type Shapes = Readonly<Record<string, readonly number[]>>;

/**
 * What ONNX Runtime says of a tensor input; initializers that are also listed as graph inputs are
 * not among them.
 */
export type TensorInput = InferenceSession.TensorValueMetadata;

type Role = 'batch' | 'channels' | 'height' | 'width' | 'sequence';
export type Sizes = Readonly<Record<Role, number>>;

export interface ShapePlan {
  readonly inputs: readonly TensorInput[];
  /** Roles that a dimension without a fixed extent plays somewhere. */
  readonly free: ReadonlySet<Role>;
  readonly roles: ReadonlyMap<string, Role>;
  readonly fixed: ReadonlyMap<string, number>;
  readonly overrides: Shapes;
}

/**
 * Common training resolutions, the most frequent first; classifiers with a fixed Flatten accept
 * exactly one of them.
 */
const IMAGE_SIZES = [224, 32, 64, 256, 299, 28, 128, 384, 512, 320, 416, 640, 96];
/**
 * Heights and widths that differ tell a swapped axis; both divisible by 32, the usual total stride.
 */
const OTHER_IMAGE_SIZES = [
  [192, 160],
  [64, 96],
  [48, 40],
  [192, 192],
  [64, 64],
  [48, 48],
  [256, 256],
  [320, 320],
] as const;
const SMALL_IMAGE_SIZES = [1, 2, 3, 5, 7, 9, 17, 33];
const CHANNELS = [3, 1];
/** 512 is a usual window of audio models. */
const SEQUENCE_LENGTHS = [8, 13, 16, 32, 64, 128, 512];
const OTHER_SEQUENCE_LENGTHS = [13, 8, 24, 48, 96, 256, 1024];

/**
 * Throws E-SHAPE where an override names an unknown input or contradicts the model, E-MODEL-RUNTIME
 * for non-tensors.
 */
export function planShapes(metadata: readonly InferenceSession.ValueMetadata[], overrides: Shapes = {}): ShapePlan {
  const inputs = metadata.map((input) => {
    if (input.isTensor) return input;
    throw new PruneCompileError('E-MODEL-RUNTIME', {
      what: `the model's input ${input.name} is a sequence or a map, not a tensor`,
      facts: [['try', '--no-verify, and no --bench: such inputs cannot be generated']],
    });
  });
  const fixed = new Map<string, number>();
  for (const [name, dims] of Object.entries(overrides)) applyOverride(inputs, name, dims, fixed);
  const roles = new Map<string, Role>();
  const batchNames = new Set(
    inputs.flatMap(({ shape }) => (typeof shape[0] === 'string' && shape[0] !== '' ? [shape[0]] : [])),
  );
  for (const input of inputs) {
    for (const [axis, dim] of input.shape.entries()) {
      const key = symbolOf(input, axis);
      if (typeof dim === 'string' && !fixed.has(key) && !roles.has(key))
        roles.set(key, roleOf(input, axis, batchNames));
    }
  }
  return { inputs, roles, fixed, overrides, free: new Set(roles.values()) };
}

/** Dimensions without a name are symbols of their own. */
function symbolOf(input: TensorInput, axis: number): string {
  const dim = input.shape[axis];
  return typeof dim === 'string' && dim !== '' ? dim : `${input.name} axis ${axis}`;
}

function roleOf({ shape }: TensorInput, axis: number, batchNames: ReadonlySet<string>): Role {
  const name = String(shape[axis]);
  if (/batch|^(n|b|bs)$/i.test(name)) return 'batch';
  if (/seq|len|token|time|step|frame/i.test(name)) return 'sequence';
  if (axis === 0 || batchNames.has(name)) return 'batch';
  if (shape.length < 4) return 'sequence';
  const last = shape.length - 1;
  // A small fixed last extent is a channel count: NHWC.
  const isChannelsLast = shape.length === 4 && typeof shape[last] === 'number' && shape[last] <= 4;
  const [height, width] = isChannelsLast ? [1, 2] : [last - 1, last];
  if (axis === height) return 'height';
  if (axis === width) return 'width';
  return axis === 1 ? 'channels' : 'sequence';
}

function applyOverride(
  inputs: readonly TensorInput[],
  name: string,
  dims: readonly number[],
  fixed: Map<string, number>,
): void {
  const input = inputs.find((candidate) => candidate.name === name);
  const given = `${name}=${dims.join(',')}`;
  if (input === undefined) throw shapeError(`the model has no input ${name}`, given, inputs);
  if (dims.some((dim) => !Number.isSafeInteger(dim) || dim < 1))
    throw shapeError(`the shape of input ${name} must be positive whole numbers`, given, inputs);
  // ONNX Runtime says [] both for scalars and for inputs of unknown rank.
  if (input.shape.length === 0) return;
  if (dims.length !== input.shape.length)
    throw shapeError(`input ${name} has ${input.shape.length} axes, ${dims.length} were given`, given, inputs);
  for (const [axis, dim] of dims.entries()) {
    const own = input.shape[axis];
    if (typeof own === 'number' && own !== dim)
      throw shapeError(`axis ${axis} of input ${name} is ${own} in the model, ${dim} was given`, given, inputs);
    const symbol = symbolOf(input, axis);
    const other = typeof own === 'string' ? fixed.get(symbol) : undefined;
    if (other !== undefined && other !== dim)
      throw shapeError(`dimension ${symbol} cannot be both ${other} and ${dim}`, given, inputs);
    if (typeof own === 'string') fixed.set(symbol, dim);
  }
}

function shapeError(what: string, given: string, inputs: readonly TensorInput[]): PruneCompileError {
  return new PruneCompileError('E-SHAPE', {
    what,
    facts: [
      ['given', given],
      ['the model has', inputs.map(describeInput).join(', ')],
      [
        'try',
        inputs
          .map(({ name, shape }) => `--shape ${name}=${shape.map((dim) => (dim === '' ? '?' : dim)).join(',')}`)
          .join(' '),
      ],
    ],
  });
}

/** `input [batch, 3, 224, 224]`; unnamed dimensions as `?`. */
export function describeInput({ name, shape }: TensorInput): string {
  return `${name} [${shape.map((dim) => (dim === '' ? '?' : dim)).join(', ')}]`;
}

/** Candidates to try in order. With nothing symbolic there is exactly one. */
export function firstSizes(plan: ShapePlan, batch = 1): Sizes[] {
  const images = plan.free.has('height') || plan.free.has('width') ? IMAGE_SIZES : IMAGE_SIZES.slice(0, 1);
  const sequences = plan.free.has('sequence') ? SEQUENCE_LENGTHS : SEQUENCE_LENGTHS.slice(0, 1);
  const channelCounts = plan.free.has('channels') ? CHANNELS : CHANNELS.slice(0, 1);
  return channelCounts.flatMap((channels) =>
    images.flatMap((size) => sequences.map((sequence) => ({ batch, channels, height: size, width: size, sequence }))),
  );
}

/**
 * Candidates for a second run that differ from the first in height, width or sequence length; empty
 * when all is fixed.
 */
export function secondSizes(plan: ShapePlan, first: Sizes): Sizes[] {
  const images = plan.free.has('height') || plan.free.has('width');
  const pairs = images ? OTHER_IMAGE_SIZES : ([[first.height, first.width]] as const);
  const lengths = plan.free.has('sequence') ? OTHER_SEQUENCE_LENGTHS.filter((length) => length !== first.sequence) : [];
  // Where both are free they move together: one more size is wanted, not all combinations.
  return pairs
    .flatMap(([height, width]) =>
      (lengths.length > 0 ? lengths : [first.sequence]).map((sequence) => ({ ...first, height, width, sequence })),
    )
    .filter(
      ({ height, width, sequence }) => height !== first.height || width !== first.width || sequence !== first.sequence,
    );
}

/**
 * Windows that lie wholly in padding show at tiny images only: smallest first. Empty when height
 * and width are fixed.
 */
export function smallSizes(plan: ShapePlan, first: Sizes): Sizes[] {
  if (!plan.free.has('height') && !plan.free.has('width')) return [];
  return SMALL_IMAGE_SIZES.map((size) => ({ ...first, height: size, width: size }));
}

/** The dims of every input for the given sizes of what is free. */
export function concreteShapes(plan: ShapePlan, sizes: Sizes): Shapes {
  return byName(
    plan.inputs.map((input): [string, readonly number[]] => {
      const override = ownOf(plan.overrides, input.name);
      if (override !== undefined) return [input.name, override];
      const dims = input.shape.map((dim, axis) => {
        if (typeof dim === 'number') return dim;
        const symbol = symbolOf(input, axis);
        const role = plan.roles.get(symbol);
        return plan.fixed.get(symbol) ?? (role === undefined ? 1 : sizes[role]);
      });
      return [input.name, dims];
    }),
  );
}
