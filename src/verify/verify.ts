/**
 * Runs the reference and the candidate on the same inputs and compares every output. Graph optimisations are off on both
 * sides, so that what is compared is the two graphs and not what ONNX Runtime makes of them; what is allowed follows from
 * the reference's own rounding noise (bound.ts).
 */
import type * as ort from 'onnxruntime-node';
import { messageOf, PruneCompileError } from '../errors.js';
import type { OutputVerification, Verification } from '../report/types.js';
import { type Feeds, firstLine, formatShapes, nudgedFeeds, type Shapes } from '../runtime/inputs.js';
import { createSession } from '../runtime/session.js';
import { type Bound, boundFor, formatDifference, LOUD_NOISE, type Noise } from './bound.js';
import { type Case, makeCases } from './cases.js';
import { compareTensors, floatValues, INCOMPARABLE, isIdentical, isUniform, sameList } from './compare.js';

export interface VerifyOptions {
  /** Fixes symbolic dimensions: input name -> dims. */
  readonly shapes?: Shapes | undefined;
  /** Real inputs, used instead of random ones. */
  readonly inputs?: readonly Feeds[] | undefined;
  /** Seeds of the random inputs at the first shapes; default four. */
  readonly seeds?: readonly number[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

type Outputs = Readonly<Record<string, ort.Tensor>>;

/** Everything learned from the reference alone. */
interface Reference {
  readonly cases: readonly Case[];
  readonly outputs: readonly Outputs[];
  readonly bounds: ReadonlyMap<string, Bound>;
  readonly interface: Interface;
  readonly notes: readonly string[];
}

interface Interface {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

interface Mismatch {
  readonly output?: string;
  readonly reason: string;
}

const DEFAULT_SEEDS = [1, 2, 3, 4];
/** Verification shares the machine with whatever else the user does. */
const THREADS = 2;

/**
 * Whether two models, each a path or bytes, compute the same: at two batch sizes, three image sizes (one tiny) or two
 * sequence lengths where those are free, on seeded random inputs. Throws when the reference cannot be loaded or run (E-MODEL-RUNTIME), for shapes
 * or inputs that do not fit it (E-SHAPE), and the signal's reason; a candidate that fails is not equal, never an error.
 */
export async function verifyModels(
  reference: string | Uint8Array,
  candidate: string | Uint8Array,
  options: VerifyOptions = {},
): Promise<Verification> {
  const known = await runReference(reference, options);
  const worst = new Map<string, number>();
  const differences = known.cases.map(() => 0);
  const mismatch = await runCandidate(candidate, known, options.signal, (name, index, difference) => {
    worst.set(name, Math.max(worst.get(name) ?? 0, difference));
    differences[index] = Math.max(differences[index] ?? 0, difference);
  });
  return conclude(known, worst, differences, mismatch);
}

async function runReference(model: string | Uint8Array, options: VerifyOptions): Promise<Reference> {
  const { signal } = options;
  const notes: string[] = [];
  const nudgedNoise = new Map<string, number>();
  const outputs: Outputs[] = [];
  const plain = await createSession(model, { threads: THREADS, optimize: false });
  let cases: Case[];
  let types: Map<string, ort.Tensor.Type>;
  let described: Interface;
  try {
    const { shapes, inputs, seeds = DEFAULT_SEEDS } = options;
    cases = await makeCases(plain, { shapes, inputs, seeds, signal }, notes);
    for (const { feeds, seed } of cases) {
      signal?.throwIfAborted();
      const result = await plain.run(feeds);
      outputs.push(result);
      if (Object.values(feeds).some((tensor) => floatValues(tensor) !== undefined))
        recordNoise(nudgedNoise, result, await plain.run(nudgedFeeds(feeds, seed)));
    }
    types = new Map(plain.outputNames.map((name) => [name, outputs[0]?.[name]?.type ?? 'float32']));
    described = interfaceOf(plain);
  } finally {
    await plain.release();
  }
  const optimisedNoise = await measureOptimised(model, cases, outputs, notes, signal);
  const bounds = new Map<string, Bound>();
  for (const [name, type] of types) {
    const noise: Noise = { optimised: optimisedNoise.get(name) ?? 0, nudged: nudgedNoise.get(name) ?? 0 };
    bounds.set(name, boundFor(type, noise));
  }
  notes.push(...outputNotes(cases, outputs, bounds));
  return { cases, outputs, bounds, notes, interface: described };
}

async function measureOptimised(
  model: string | Uint8Array,
  cases: readonly Case[],
  outputs: readonly Outputs[],
  notes: string[],
  signal: AbortSignal | undefined,
): Promise<Map<string, number>> {
  const noise = new Map<string, number>();
  try {
    // Quantised models keep their Quantize and Dequantize pairs: fusing those into integer kernels is more than rounding.
    const session = await createSession(model, {
      threads: THREADS,
      optimize: true,
      config: { disable_quant_qdq: '1' },
    });
    try {
      for (const [index, { feeds }] of cases.entries()) {
        signal?.throwIfAborted();
        recordNoise(noise, outputs[index] ?? {}, await session.run(feeds));
      }
    } finally {
      await session.release();
    }
  } catch (error) {
    signal?.throwIfAborted();
    notes.push(
      `the optimised reference does not run (${firstLine(messageOf(error))}): noise was measured by moving the inputs alone`,
    );
  }
  return noise;
}

function recordNoise(noise: Map<string, number>, before: Outputs, after: Outputs): void {
  for (const [name, tensor] of Object.entries(before)) {
    const other = after[name];
    if (other === undefined) continue;
    noise.set(name, Math.max(noise.get(name) ?? 0, compareTensors(tensor, other).difference));
  }
}

function interfaceOf(session: ort.InferenceSession): Interface {
  const list = (metadata: readonly ort.InferenceSession.ValueMetadata[], isInput: boolean) =>
    metadata.map((value) => {
      // Symbolic extents of outputs are annotations; those of inputs say what the model accepts.
      const dims = value.isTensor && isInput ? ` [${value.shape.join(', ')}]` : '';
      return `${value.name} ${value.isTensor ? value.type : 'not a tensor'}${dims}`;
    });
  return { inputs: list(session.inputMetadata, true), outputs: list(session.outputMetadata, false) };
}

/** Stops at the first thing that makes the models unequal whatever the bound; differences are reported through `record`. */
async function runCandidate(
  model: string | Uint8Array,
  reference: Reference,
  signal: AbortSignal | undefined,
  record: (name: string, caseIndex: number, difference: number) => void,
): Promise<Mismatch | undefined> {
  let session: ort.InferenceSession;
  try {
    session = await createSession(model, { threads: THREADS, optimize: false });
  } catch (error) {
    // Nothing is known of the model then.
    if (error instanceof PruneCompileError && error.code === 'E-KERNELS') throw error;
    return {
      reason: `the compiled model cannot be loaded: ${firstLine(messageOf(error instanceof Error ? (error.cause ?? error) : error))}`,
    };
  }
  try {
    const own = interfaceOf(session);
    for (const side of ['inputs', 'outputs'] as const) {
      if (!sameList(own[side], reference.interface[side]))
        return { reason: `its ${side} are ${own[side].join(', ')} instead of ${reference.interface[side].join(', ')}` };
    }
    for (const [index, { feeds, shapes }] of reference.cases.entries()) {
      signal?.throwIfAborted();
      let results: Outputs;
      try {
        results = await session.run(feeds);
      } catch (error) {
        return {
          reason: `the compiled model fails at ${formatShapes(shapes)}, where the reference runs: ${firstLine(messageOf(error))}`,
        };
      }
      const mismatch = compareCase(reference.outputs[index] ?? {}, results, (name, difference) =>
        record(name, index, difference),
      );
      if (mismatch !== undefined) return mismatch;
    }
    return undefined;
  } finally {
    await session.release();
  }
}

function compareCase(
  expected: Outputs,
  found: Outputs,
  record: (name: string, difference: number) => void,
): Mismatch | undefined {
  for (const [name, tensor] of Object.entries(expected)) {
    const other = found[name];
    if (other === undefined) return { output: name, reason: `output "${name}" is missing` };
    const { difference, reason } = compareTensors(tensor, other);
    record(name, difference);
    if (reason !== undefined) return { output: name, reason: `output "${name}" differs: ${reason}` };
  }
  return undefined;
}

function conclude(
  { cases, bounds, notes }: Reference,
  worst: ReadonlyMap<string, number>,
  differences: readonly number[],
  mismatch: Mismatch | undefined,
): Verification {
  const outputs: OutputVerification[] = [...bounds].map(([name, { bound, noise }]) => ({
    name,
    difference: worst.get(name) ?? (mismatch === undefined ? 0 : INCOMPARABLE),
    bound,
    noise,
  }));
  const [closest] = outputs.toSorted((a, b) => nearness(b) - nearness(a));
  const culprit = outputs.find(({ name }) => name === mismatch?.output) ?? closest;
  const isEqual = mismatch === undefined && outputs.every(({ difference, bound }) => difference <= bound);
  const { name = '', difference = INCOMPARABLE, bound = 0, noise = 0 } = culprit ?? {};
  const reason =
    mismatch?.reason ??
    `output "${name}" differs by ${formatDifference(difference)} of its scale, ${formatDifference(bound)} was allowed`;
  return {
    equal: isEqual,
    difference: mismatch !== undefined && mismatch.output === undefined ? INCOMPARABLE : difference,
    bound,
    noise,
    boundReason: bounds.get(name)?.reason ?? 'the model has no outputs',
    cases: cases.map(({ shapes, seed }, index) => ({ shapes, seed, difference: differences[index] ?? 0 })),
    outputs,
    ...(isEqual ? {} : { reason, worstOutput: name }),
    notes,
  };
}

/** How much of its bound an output uses; equal outputs of exact types come last. */
function nearness({ difference, bound }: OutputVerification): number {
  return difference === 0 ? 0 : difference / bound;
}

/** What makes equality of an output say less than it seems to. */
function outputNotes(
  cases: readonly Case[],
  outputs: readonly Outputs[],
  bounds: ReadonlyMap<string, Bound>,
): string[] {
  const notes: string[] = [];
  for (const [name, { bound, noise }] of bounds) {
    const tensors = outputs.flatMap((results, index) => {
      const tensor = results[name];
      return tensor !== undefined && formatShapes(cases[index]?.shapes ?? {}) === formatShapes(cases[0]?.shapes ?? {})
        ? [tensor]
        : [];
    });
    const [first, ...others] = tensors;
    if (first === undefined) continue;
    if (others.length > 0 && others.every((tensor) => isIdentical(first, tensor)))
      notes.push(`output "${name}" is the same for every input: its equality proves little`);
    else if (first.data.length > 1 && tensors.every(isUniform))
      notes.push(`all values of output "${name}" are the same number: its equality proves little`);
    if (floatValues(first)?.some((value) => !Number.isFinite(value)) === true)
      notes.push(`output "${name}" of the reference has NaN or infinite values, compared by their places only`);
    if (bound === 0 && noise > 0)
      notes.push(
        `output "${name}" of the reference changes under rounding alone: a difference there need not be an error`,
      );
    else if (noise > LOUD_NOISE)
      notes.push(
        `output "${name}" of the reference moves by ${formatDifference(noise)} of its scale under rounding alone: errors below ${formatDifference(bound)} cannot be seen`,
      );
  }
  return notes;
}
