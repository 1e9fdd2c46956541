/**
 * How long one run of a model may take that may have no end. ONNX Runtime's runs block the thread
 * that asks for them, so such models run in processes of their own (guarded-session.ts).
 */
import { PruneCompileError } from '../errors.js';
import { type ModelProto, type NodeProto, toClampedNumber } from '../onnx/proto.js';
import { subgraphsOf } from '../onnx/subgraphs.js';
import { readTensor } from '../onnx/tensors.js';
import { ExternalData } from '../onnx/external-data.js';

let mostSeconds = 300;

/** Of one run of a model with loops in a check, from now on, in this process. Default: 300. */
export function limitRuns(seconds: number): void {
  mostSeconds = seconds;
}

export function isEndless(error: unknown): error is PruneCompileError {
  return error instanceof PruneCompileError && error.code === 'E-MODEL-ENDLESS';
}

/** Timers take no more: 24 days. */
const LONGEST_MS = 2 ** 31 - 1;

/** Throws E-MODEL-ENDLESS where the work takes longer; it goes on then. */
export async function withinLimit<Result>(work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const seconds = mostSeconds;
  const overdue = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(endless(seconds)), Math.min(seconds * 1000, LONGEST_MS));
  });
  try {
    return await Promise.race([work, overdue]);
  } finally {
    clearTimeout(timer);
  }
}

function endless(seconds: number): PruneCompileError {
  return new PruneCompileError('E-MODEL-ENDLESS', {
    what: `one run of the model did not end within ${seconds} seconds`,
    facts: [
      [
        'why',
        'a Loop in it has very many iterations, or a condition that stays true; or the machine is slow for this model',
      ],
      [
        'try',
        'smaller inputs (--shape NAME=…); --run-limit SECONDS, where it does end; or --no-verify, and no --bench: compiling runs no Loop',
      ],
    ],
  });
}

/** Operators that may never end; a Scan ends with what it reads. */
const ENDLESS: ReadonlySet<string> = new Set(['Loop']);

/** A Loop with a constant number of turns up to this ends before anybody asks. */
const FEW_TURNS = 2 ** 12;

/** Whether a model has a Loop of which it is not known beforehand that it has few turns. */
export function hasOpenLoop({ graph, functions = [] }: ModelProto): boolean {
  const constants = new Map((graph?.initializer ?? []).map((tensor) => [tensor.name ?? '', tensor]));
  const isOpen = (node: NodeProto): boolean => {
    const { opType, domain = '', input = [], output = [], attribute = [] } = node;
    const value = attribute.find(({ t }) => t !== undefined)?.t;
    if (opType === 'Constant' && value !== undefined) constants.set(output[0] ?? '', value);
    // A Loop inside a Loop has the turns of both.
    const isInner = subgraphsOf(node).some(({ node: inner = [] }) => inner.some(isOpen));
    if (!ENDLESS.has(opType ?? '') || (domain !== '' && domain !== 'ai.onnx')) return isInner;
    const turns = turnsIn(constants.get(input[0] ?? ''));
    return isInner || turns === undefined || turns > FEW_TURNS || hasLoop(node);
  };
  return [graph?.node ?? [], ...functions.map(({ node = [] }) => node)].some((nodes) => nodes.some(isOpen));
}

/** Whether it has a Loop inside. */
function hasLoop(node: NodeProto): boolean {
  return subgraphsOf(node).some(({ node: nodes = [] }) =>
    nodes.some((inner) => ENDLESS.has(inner.opType ?? '') || hasLoop(inner)),
  );
}

function turnsIn(proto: Parameters<typeof readTensor>[0] | undefined): number | undefined {
  if (proto === undefined || (proto.dims ?? []).some((dim) => toClampedNumber(dim) > 1)) return undefined;
  try {
    return readTensor(proto, new ExternalData(undefined))?.numbers()[0];
  } catch {
    return undefined;
  }
}
