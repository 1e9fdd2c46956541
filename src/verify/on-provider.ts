/**
 * Compares two models on another execution provider than the CPU, with that provider's own noise as
 * the measure:
 *
 *     reference on the CPU  ── A ──  reference on the provider  ── B ──  candidate on the provider
 *
 * A is how far the provider's rounding moves the reference (other orders of sums, TF32). It has to
 * be rounding: more than it explains is a wrong result of the provider. B is what is asked, and may
 * be a multiple of A.
 */
import { messageOf, PruneCompileError } from '../errors.js';
import type { RunSession } from '../runtime/guarded-session.js';
import { firstLine, nudgedFeeds } from '../runtime/inputs.js';
import { type ProviderOptions, usesTf32 } from '../runtime/provider-options.js';
import { softwareDriver } from '../runtime/software-driver.js';
import type { Provider } from '../runtime/providers.js';
import { cpuNote, createOnProvider } from '../runtime/provider-session.js';
import { type Bound, formatDifference, outputBoundFor } from './bound.js';
import type { Case } from './case.js';
import { compareTensors, INCOMPARABLE, isAllFinite, type Outputs } from './compare.js';
import { type Reference, runReference, type VerifyOptions } from './reference.js';
import type { OutputVerification, Verification } from './verification.js';

export interface ProviderVerifyOptions extends VerifyOptions {
  readonly provider: Provider;
  readonly providerOptions?: ProviderOptions | undefined;
  /** How a model is opened there; default: a session of ONNX Runtime on that provider. */
  readonly open?: ((model: string | Uint8Array) => Promise<RunSession>) | undefined;
}

/**
 * How much further than the CPU's own bound a provider may move the reference: other kernels (fast
 * convolutions by transforms lose a few bits), and TF32, which has 13 bits of mantissa less than
 * float32.
 */
const KERNELS = 2 ** 4;
const TF32 = 2 ** 13;

/**
 * Whether two models compute the same on a provider. Throws as `verifyModels` does, and E-PROVIDER
 * where the reference does not load there.
 */
export async function verifyOnProvider(
  reference: string | Uint8Array,
  candidate: string | Uint8Array,
  options: ProviderVerifyOptions,
): Promise<Verification> {
  const { provider, providerOptions, signal, onProgress } = options;
  const notes: string[] = [];
  const open =
    options.open ??
    (async (model: string | Uint8Array) => {
      const { session, usesCpu } = await createOnProvider(model, { provider, providerOptions });
      if (usesCpu) notes.push(cpuNote(model === reference ? 'the first model' : 'the second model', provider));
      return session;
    });
  const known = await runReference(reference, options);
  const tf32 = usesTf32(provider, providerOptions) === true;
  const own = await runCases(
    await open(reference),
    known.cases,
    { signal, onProgress, what: `reference on ${provider}` },
    true,
  );
  const measured = measure(known, own, tf32);
  const how = { provider, tf32: usesTf32(provider, providerOptions), notes };
  if (measured.wrong !== undefined) return conclude(known, how, measured, [], measured.wrong);
  let found: Ran;
  try {
    found = await runCases(
      await open(candidate),
      known.cases,
      { signal, onProgress, what: `candidate on ${provider}` },
      false,
    );
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof PruneCompileError && error.code === 'E-KERNELS') throw error;
    const said = firstLine(messageOf(error instanceof Error ? (error.cause ?? error) : error));
    const reason = `the compiled model does not run on ${provider}: ${said}`;
    return { ...conclude(known, how, measured, [], { reason }), fails: true };
  }
  return conclude(known, how, measured, compare(own.outputs, found.outputs));
}

interface Ran {
  readonly outputs: readonly Outputs[];
  /** With inputs moved by one unit in their last place; empty where that was not asked. */
  readonly nudged: readonly Outputs[];
}

async function runCases(
  session: RunSession,
  cases: readonly Case[],
  { signal, onProgress, what }: Pick<VerifyOptions, 'signal' | 'onProgress'> & { readonly what: string },
  isNudged: boolean,
): Promise<Ran> {
  const [outputs, nudged]: [Outputs[], Outputs[]] = [[], []];
  try {
    for (const { feeds, seed } of cases) {
      signal?.throwIfAborted();
      outputs.push(await session.run(feeds));
      if (isNudged) nudged.push(await session.run(nudgedFeeds(feeds, seed)));
      onProgress?.(outputs.length, cases.length, what);
    }
    return { outputs, nudged };
  } finally {
    await session.release();
  }
}

interface Wrong {
  readonly output?: string;
  readonly reason: string;
}

/** By output. */
interface Measured {
  readonly bounds: ReadonlyMap<string, Bound>;
  /** Set where the provider's result for the reference is no rounding of the CPU's. */
  readonly wrong: Wrong | undefined;
}

function measure({ outputs, types, bounds }: Reference, own: Ran, tf32: boolean): Measured {
  const against = compare(outputs, own.outputs);
  const moved = compare(own.outputs, own.nudged);
  const found = new Map<string, Bound>();
  let wrong: Wrong | undefined;
  for (const [name, type] of types) {
    const away = worst(against, name);
    const { bound, reason } = outputBoundFor(type, {
      optimised: away.difference,
      nudged: worst(moved, name).difference,
    });
    const allowed = Math.min(1, (bounds.get(name)?.bound ?? 0) * KERNELS * (tf32 ? TF32 : 1));
    // The words of the CPU's bound, of which the first part is another one here.
    const said = reason.replace('optimised against not', 'the provider against the CPU');
    found.set(name, { bound, noise: Math.max(away.difference, worst(moved, name).difference), reason: said });
    if (away.reason === undefined && away.difference <= allowed) continue;
    const what =
      away.reason ??
      `differs by ${formatDifference(away.difference)} of its scale, ${formatDifference(allowed)} was allowed`;
    wrong ??= {
      output: name,
      reason: `the provider computes something else than the CPU, for the first model already: output "${name}" ${what}`,
    };
  }
  return { bounds: found, wrong };
}

interface Distance {
  readonly output: string;
  readonly index: number;
  readonly difference: number;
  readonly reason?: string;
}

function compare(expected: readonly Outputs[], found: readonly Outputs[]): Distance[] {
  return expected.flatMap((outputs, index) =>
    Object.entries(outputs).map(([output, tensor]): Distance => {
      const other = found[index]?.[output];
      if (other === undefined) return { output, index, difference: INCOMPARABLE, reason: 'is missing' };
      return { output, index, ...compareTensors(tensor, other) };
    }),
  );
}

function worst(distances: readonly Distance[], output: string): { difference: number; reason?: string } {
  const own = distances.filter((distance) => distance.output === output);
  const reason = own.find((distance) => distance.reason !== undefined)?.reason;
  const difference = Math.max(0, ...own.map((distance) => distance.difference));
  return { difference, ...(reason !== undefined && { reason }) };
}

function conclude(
  known: Reference,
  how: { readonly provider: Provider; readonly tf32: boolean | undefined; readonly notes: readonly string[] },
  { bounds }: Measured,
  distances: readonly Distance[],
  wrong?: Wrong,
): Verification {
  const outputs = [...bounds].map(([name, { bound, noise }]): OutputVerification => ({
    name,
    difference: wrong === undefined ? worst(distances, name).difference : INCOMPARABLE,
    bound,
    noise,
    ...(known.outputs.some((results) => results[name] !== undefined && !isAllFinite(results[name])) && {
      hasNonFinite: true,
    }),
  }));
  const nearness = ({ difference, bound }: OutputVerification) => (difference === 0 ? 0 : difference / bound);
  const closest = outputs.toSorted((a, b) => nearness(b) - nearness(a))[0];
  const unlike = outputs.find(({ name }) => worst(distances, name).reason !== undefined);
  const culprit = outputs.find(({ name }) => name === wrong?.output) ?? unlike ?? closest;
  const { name = '', difference = INCOMPARABLE, bound = 0, noise = 0 } = culprit ?? {};
  const equal =
    wrong === undefined && unlike === undefined && outputs.every((output) => output.difference <= output.bound);
  const reason =
    wrong?.reason ??
    `output "${name}" ${worst(distances, name).reason ?? `differs by ${formatDifference(difference)} of its scale, ${formatDifference(bound)} was allowed`}`;
  const driver = softwareDriver(how.provider);
  return {
    provider: how.provider,
    ...(how.tf32 !== undefined && { tf32: how.tf32 }),
    ...(driver !== undefined && { softwareDriver: driver }),
    equal,
    difference,
    bound,
    noise,
    boundReason: bounds.get(name)?.reason ?? 'the model has no outputs',
    cases: known.cases.map(({ shapes, seed }, at) => ({
      shapes,
      seed,
      difference: Math.max(0, ...distances.filter(({ index }) => index === at).map((one) => one.difference)),
    })),
    outputs,
    ...(equal ? {} : { reason, worstOutput: name }),
    notes: [...known.runNotes, ...how.notes],
  };
}
