/** Runs the reference alone: at which inputs, what comes out, and how far rounding moves that. */
import type * as ort from 'onnxruntime-node';
import { messageOf, PruneCompileError } from '../errors.js';
import { requireOutputs } from '../onnx/read.js';
import { firstLine, nudgedFeeds, type Shapes } from '../runtime/inputs.js';
import type { Feeds } from '../runtime/feeds.js';
import { createGuarded, type RunSession } from '../runtime/guarded-session.js';
import { isEndless } from '../runtime/run-limit.js';
import { createSession } from '../runtime/session.js';
import { type Bound, outputBoundFor } from './bound.js';
import { makeCases } from './cases.js';
import type { Case } from './case.js';
import { compareTensors, floatValues, type Outputs } from './compare.js';
import { outputNotes } from './notes.js';
import { NeedsGuard, SizeGuard } from './size-guard.js';

export interface VerifyOptions {
  /** Fixes symbolic dimensions: input name -> dims. */
  readonly shapes?: Shapes | undefined;
  /** Real inputs, used instead of random ones. */
  readonly inputs?: readonly Feeds[] | undefined;
  /** Seeds of the random inputs at the first shapes; default four. */
  readonly seeds?: readonly number[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after every run, with what is run: the reference, the candidate, … */
  readonly onProgress?: ((done: number, total: number, what: string) => void) | undefined;
}

/** Everything learned from the reference alone. */
export interface Reference extends Observed {
  readonly bounds: ReadonlyMap<string, Bound>;
  /** The notes without those about bounds. */
  readonly runNotes: readonly string[];
}

/** How models are run. */
export interface Mode {
  /** Whether graph optimisations are on for both models. */
  readonly isOptimised: boolean;
  /** Whether in a process of its own, because ONNX Runtime may crash. */
  readonly isGuarded: boolean;
}

interface Observed extends Mode {
  readonly cases: readonly Case[];
  readonly outputs: readonly Outputs[];
  readonly types: ReadonlyMap<string, ort.Tensor.Type>;
  readonly interface: Interface;
  /** Of each output: how far it moves with its inputs. */
  readonly nudged: ReadonlyMap<string, number>;
  readonly notes: readonly string[];
}

interface Interface {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

const DEFAULT_SEEDS = [1, 2, 3, 4];
/** Verification shares the machine with whatever else the user does. */
const THREADS = 2;

/**
 * A session to compare with. Optimised, quantised models keep their Quantize and Dequantize pairs:
 * fusing those into integer kernels is more than rounding.
 */
export function comparedSession(model: string | Uint8Array, { isOptimised, isGuarded }: Mode): Promise<RunSession> {
  return (isGuarded ? createGuarded : createSession)(model, {
    threads: THREADS,
    optimize: isOptimised,
    ...(isOptimised && { config: { disable_quant_qdq: '1' } }),
  });
}

export async function runReference(model: string | Uint8Array, options: VerifyOptions): Promise<Reference> {
  const observed = await observe(model, options, false).catch((error: unknown) =>
    observeOptimised(model, options, error),
  );
  const { cases, outputs, isOptimised, nudged } = observed;
  const notes = [...observed.notes];
  const optimised = isOptimised ? undefined : await measureOptimised(model, observed, notes, options);
  const bounds = new Map<string, Bound>();
  for (const [name, type] of observed.types) {
    const noise = { optimised: optimised && (optimised.get(name) ?? 0), nudged: nudged.get(name) ?? 0 };
    bounds.set(name, outputBoundFor(type, noise));
  }
  return { ...observed, bounds, runNotes: notes, notes: [...notes, ...outputNotes(cases, outputs, bounds)] };
}

/**
 * Some models run only as the optimiser rearranges them: a kernel of its blocked layout accepts
 * what the plain one refuses. Both models are then compared as users run them. What runs neither
 * way fails with what it said first.
 */
async function observeOptimised(model: string | Uint8Array, options: VerifyOptions, error: unknown): Promise<Observed> {
  options.signal?.throwIfAborted();
  if (error instanceof PruneCompileError && error.code !== 'E-MODEL-RUNTIME') throw error;
  const observed = await observe(model, options, true).catch(() => {
    options.signal?.throwIfAborted();
    throw error;
  });
  const note = `the reference runs with ONNX Runtime's graph optimisations only (without them: ${reasonOf(error)}): both models were compared with them`;
  return { ...observed, notes: [note, ...observed.notes] };
}

/** In this process where no value can be empty. */
async function observe(model: string | Uint8Array, options: VerifyOptions, isOptimised: boolean): Promise<Observed> {
  try {
    return await observeIn(model, options, { isOptimised, isGuarded: false });
  } catch (error) {
    if (!(error instanceof NeedsGuard)) throw error;
    return observeIn(model, options, { isOptimised, isGuarded: true });
  }
}

/** Thrown where the reference does not run on indices of all rows. */
class Unwilling extends Error {}

/**
 * Some models want more of their inputs than that they are rows of tables: a length, an order, a
 * kind of token.
 */
async function observeIn(model: string | Uint8Array, options: VerifyOptions, mode: Mode): Promise<Observed> {
  try {
    return await observeCases(model, options, mode);
  } catch (error) {
    if (!(error instanceof Unwilling)) throw error;
    const observed = await observeCases(model, options, mode, true);
    const note = `whole numbers in the inputs are 0 and 1 only, and other rows of tables are not read: with indices of all rows the reference fails (${reasonOf(error)})`;
    return { ...observed, notes: [note, ...observed.notes] };
  }
}

async function observeCases(
  model: string | Uint8Array,
  { shapes, inputs, seeds = DEFAULT_SEEDS, signal, onProgress }: VerifyOptions,
  mode: Mode,
  isNarrow = false,
): Promise<Observed> {
  const notes: string[] = [];
  const guard = new SizeGuard(model, mode.isGuarded);
  if (guard.model !== undefined) requireOutputs(guard.model);
  const nudged = new Map<string, number>();
  const outputs: Outputs[] = [];
  const session = await comparedSession(model, mode);
  const open = (bytes: Uint8Array) => comparedSession(bytes, mode);
  try {
    const { cases, isWide } = await makeCases(session, { shapes, inputs, seeds, signal, guard, open, isNarrow }, notes);
    for (const { feeds, seed } of cases) {
      signal?.throwIfAborted();
      const result = await session.run(feeds).catch((error: unknown) => {
        throw isWide && !isEndless(error) ? new Unwilling('', { cause: error }) : error;
      });
      outputs.push(result);
      if (Object.values(feeds).some((tensor) => floatValues(tensor) !== undefined))
        recordNoise(nudged, result, await session.run(nudgedFeeds(feeds, seed)));
      onProgress?.(outputs.length, cases.length, 'reference');
    }
    const types = new Map(session.outputNames.map((name) => [name, outputs[0]?.[name]?.type ?? 'float32']));
    return { ...mode, cases, outputs, types, interface: interfaceOf(session), nudged, notes };
  } finally {
    await session.release();
  }
}

/** Undefined where the reference does not run with graph optimisations. */
async function measureOptimised(
  model: string | Uint8Array,
  { cases, outputs, isGuarded }: Observed,
  notes: string[],
  { signal, onProgress }: VerifyOptions,
): Promise<Map<string, number> | undefined> {
  const noise = new Map<string, number>();
  try {
    let index = 0;
    for await (const result of runCases(model, cases, { isOptimised: true, isGuarded }, signal)) {
      recordNoise(noise, outputs[index++] ?? {}, result);
      onProgress?.(index, cases.length, 'optimised reference');
    }
    return noise;
  } catch (error) {
    signal?.throwIfAborted();
    notes.push(
      `the optimised reference does not run (${reasonOf(error)}): noise was measured by moving the inputs alone`,
    );
    return undefined;
  }
}

/** What the model gives, case by case. */
async function* runCases(
  model: string | Uint8Array,
  cases: readonly Case[],
  mode: Mode,
  signal: AbortSignal | undefined,
): AsyncGenerator<Outputs> {
  const session = await comparedSession(model, mode);
  try {
    for (const { feeds } of cases) {
      signal?.throwIfAborted();
      yield await session.run(feeds);
    }
  } finally {
    await session.release();
  }
}

function recordNoise(noise: Map<string, number>, before: Outputs, after: Outputs): void {
  for (const [name, tensor] of Object.entries(before)) {
    const other = after[name];
    if (other === undefined) continue;
    noise.set(name, Math.max(noise.get(name) ?? 0, compareTensors(tensor, other).difference));
  }
}

export function interfaceOf(session: RunSession): Interface {
  const list = (metadata: readonly ort.InferenceSession.ValueMetadata[], isInput: boolean) =>
    metadata.map((value) => {
      // Symbolic extents of outputs are annotations; those of inputs say what the model accepts.
      const dims = value.isTensor && isInput ? ` [${value.shape.join(', ')}]` : '';
      return `${value.name} ${value.isTensor ? value.type : 'not a tensor'}${dims}`;
    });
  return { inputs: list(session.inputMetadata, true), outputs: list(session.outputMetadata, false) };
}

/** What ONNX Runtime said, where an error of ours stands before it. */
export function reasonOf(error: unknown): string {
  return firstLine(messageOf(error instanceof Error ? (error.cause ?? error) : error));
}
