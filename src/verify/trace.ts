/**
 * Where two models part: the first values that differ by more than rounding, and from which a
 * difference goes on to an output. Values are the same where they have one name in both graphs. A
 * candidate may have fewer channels: then its channels, in order, must be among those of the
 * reference.
 */
import type { InferenceSession } from 'onnxruntime-node';
import { messageOf, PruneCompileError } from '../errors.js';
import type { Graph, Node, Value } from '../ir/graph.js';
import { decodeModel, readModel } from '../onnx/read.js';
import { encodeModel } from '../onnx/write.js';
import { encodeProto } from '../onnx/encode.js';
import type { Feeds } from '../runtime/feeds.js';
import { nudgedFeeds, type Shapes } from '../runtime/inputs.js';
import { createSession } from '../runtime/session.js';
import { boundFor } from './bound.js';
import type { Case } from './case.js';
import { compareTensors, type Outputs } from './compare.js';
import { withOutputs } from './probe-models.js';
import { comparedSession, reasonOf, runReference, type VerifyOptions } from './reference.js';
import { compareChannels } from './trace-channels.js';

export interface TracedValue {
  readonly name: string;
  /** What makes it in the reference: `Conv`, and the name of the node. */
  readonly op: string;
  readonly node: string;
  /** Largest difference, divided by the largest absolute value in the reference. */
  readonly difference: number;
  /** What rounding may do. */
  readonly bound: number;
  /** Set where the candidate has fewer along one axis. */
  readonly narrowed?: { readonly axis: number; readonly from: number; readonly to: number };
  /** Why it differs whatever the bound. */
  readonly reason?: string;
}

export interface Trace {
  /** At which inputs: those of the verification with the largest difference. */
  readonly shapes: Shapes;
  readonly seed: number;
  /** Values that both models have; of how many that the reference computes. */
  readonly compared: number;
  readonly of: number;
  /** Compared values that differ at all by more than rounding, here and further on. */
  readonly differing: number;
  /**
   * The first of those that lead to a difference in an output, in the order of the reference. Empty
   * where no value differs by more than rounding.
   */
  readonly parts: readonly TracedValue[];
}

type Source = string | Uint8Array;

/** Values of one run: more need more memory, fewer more runs. */
const AT_ONCE = 48;

/**
 * Of two models that verification found unequal. Throws what the verification of the reference
 * throws, and E-MODEL-RUNTIME where a model does not run with its values as outputs.
 */
export async function traceModels(reference: Source, candidate: Source, options: VerifyOptions = {}): Promise<Trace> {
  const { signal } = options;
  const known = await runReference(reference, options);
  if (known.isGuarded)
    throw untraceable('sizes at which a value is empty, and loops without a known end, run in a process of their own');
  const ours = readModel(reference);
  const names = sharedNames(ours.graph, readModel(candidate).graph);
  const worst = await worstCase(candidate, known, signal);
  const [one, other] = await Promise.all([exposedSession(reference, names), exposedSession(candidate, names)]);
  try {
    const found = new Map<string, TracedValue>();
    const wanted = names.filter((name) => one.names.has(name) && other.names.has(name));
    for (let start = 0; start < wanted.length; start += AT_ONCE) {
      signal?.throwIfAborted();
      const fetched = wanted.slice(start, start + AT_ONCE);
      const expected = await run(one.session, worst.feeds, fetched);
      const moved = await run(one.session, nudgedFeeds(worst.feeds, worst.seed), fetched);
      const got = await run(other.session, worst.feeds, fetched);
      for (const name of fetched) {
        const value = ours.graph.values.get(name);
        const traced = value && compareValue(value, { expected, moved, got });
        if (traced !== undefined) found.set(name, traced);
      }
    }
    const { shapes, seed } = worst;
    const values = ours.graph.nodes.flatMap(({ outputs }) => outputs.flatMap((value) => value ?? []));
    const differing = [...found.values()].filter(isOff);
    return {
      shapes,
      seed,
      compared: found.size,
      of: values.length,
      differing: differing.length,
      parts: firstThatLead(ours.graph, found),
    };
  } finally {
    await one.session.release();
    await other.session.release();
  }
}

function isOff({ difference, bound, reason }: TracedValue): boolean {
  return reason !== undefined || difference > bound;
}

/** Computed values that both graphs have, in the order of the reference. */
function sharedNames(ours: Graph, theirs: Graph): string[] {
  const computed = (graph: Graph) =>
    graph.nodes.flatMap(({ outputs }) => outputs.flatMap((value) => (value === undefined ? [] : [value.name])));
  const other = new Set(computed(theirs));
  return computed(ours).filter((name) => other.has(name));
}

/** The one in which an output is furthest from its bound. */
async function worstCase(
  candidate: Source,
  { cases, outputs, bounds, ...mode }: Awaited<ReturnType<typeof runReference>>,
  signal: AbortSignal | undefined,
): Promise<Case> {
  const session = await comparedSession(candidate, mode);
  try {
    let worst: { readonly entry: Case; readonly excess: number } | undefined;
    for (const [at, entry] of cases.entries()) {
      signal?.throwIfAborted();
      const found = await session.run(entry.feeds).catch((error: unknown) => {
        throw untraceable(`the second model does not run where the first one does: ${reasonOf(error)}`, error);
      });
      const excess = Math.max(
        0,
        ...Object.entries(outputs[at] ?? {}).map(([name, tensor]) => {
          const mine = found[name];
          const difference = mine === undefined ? 1 : compareTensors(tensor, mine).difference;
          return difference / Math.max(bounds.get(name)?.bound ?? 0, Number.EPSILON);
        }),
      );
      if (worst === undefined || excess > worst.excess) worst = { entry, excess };
    }
    if (worst === undefined) throw untraceable('the verification has no inputs');
    return worst.entry;
  } finally {
    await session.release();
  }
}

interface Exposed {
  readonly session: InferenceSession;
  /** Of the values that can be fetched. */
  readonly names: ReadonlySet<string>;
}

/** Graph optimisations are off, so that every value is computed under its name. */
async function exposedSession(source: Source, names: readonly string[]): Promise<Exposed> {
  try {
    // Weights beside the model come inside: ONNX Runtime gets bytes.
    const proto = decodeModel(encodeModel(readModel(source)), 'the model');
    const session = await createSession(encodeProto(withOutputs(proto, names)), { threads: 2, optimize: false });
    const tensors = session.outputMetadata.filter(({ isTensor }) => isTensor).map(({ name }) => name);
    return { session, names: new Set(tensors) };
  } catch (error) {
    throw untraceable(reasonOf(error), error);
  }
}

async function run(session: InferenceSession, feeds: Feeds, names: readonly string[]): Promise<Outputs> {
  try {
    return await session.run(feeds, [...names]);
  } catch (error) {
    throw untraceable(messageOf(error), error);
  }
}

function untraceable(why: string, cause?: unknown): PruneCompileError {
  return new PruneCompileError('E-MODEL-RUNTIME', {
    what: 'the values of the models cannot be compared one by one',
    facts: [
      ['why', why],
      ['try', 'verify without --trace'],
    ],
    cause,
  });
}

function compareValue(
  value: Value,
  { expected, moved, got }: { readonly expected: Outputs; readonly moved: Outputs; readonly got: Outputs },
): TracedValue | undefined {
  const [a, b, nudged] = [expected[value.name], got[value.name], moved[value.name]];
  const { producer } = value;
  if (a === undefined || b === undefined || nudged === undefined || producer === undefined) return undefined;
  const { bound } = boundFor(a.type, { optimised: undefined, nudged: compareTensors(a, nudged).difference });
  const about = { name: value.name, op: producer.opType, node: producer.label, bound };
  const narrowed = compareChannels(a, b, bound);
  if (narrowed !== undefined) return { ...about, ...narrowed };
  const { difference, reason } = compareTensors(a, b);
  return { ...about, difference, ...(reason !== undefined && { reason }) };
}

/**
 * From outputs that differ upwards, through values that differ, to those before which nothing that
 * was compared does. A value that differs on the way and is made up for later leads to none.
 */
function firstThatLead(graph: Graph, found: ReadonlyMap<string, TracedValue>): TracedValue[] {
  const before = nearestCompared(found);
  const isOffAt = (name: string) => {
    const traced = found.get(name);
    return traced !== undefined && isOff(traced);
  };
  const seen = new Set<string>();
  const first = new Set<string>();
  const open = graph.outputs.map(({ name }) => name).filter(isOffAt);
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const causes = before(graph.values.get(name)?.producer).filter(isOffAt);
    if (causes.length === 0) first.add(name);
    open.push(...causes);
  }
  return [...found].flatMap(([name, traced]) => (first.has(name) ? [traced] : []));
}

/** Compared values that a node reads, or from which what it reads is made. */
function nearestCompared(found: ReadonlyMap<string, TracedValue>): (node: Node | undefined) => string[] {
  return (node) => {
    const nearest = new Set<string>();
    const seen = new Set<Node>();
    const open = [node];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      for (const value of at.inputs) {
        if (value === undefined) continue;
        if (found.has(value.name)) nearest.add(value.name);
        else if (value.producer !== undefined) open.push(value.producer);
      }
    }
    return [...nearest];
  };
}
