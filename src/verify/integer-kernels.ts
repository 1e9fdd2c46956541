/**
 * Quantised models as they run: ONNX Runtime puts layers between QuantizeLinear and
 * DequantizeLinear together, and computes their sums with whole numbers. Such sums are exact in any
 * order, so that equal models are equal to the bit. Without graph optimisations the same layers are
 * float sums, whose rounding may move a code to the next one.
 */
import type { Verification } from './verification.js';
import type { RunSession } from '../runtime/guarded-session.js';
import { createGuarded } from '../runtime/guarded-session.js';
import { createSession } from '../runtime/session.js';
import { readModel } from '../onnx/read.js';
import { formatDifference } from './bound.js';
import { compareTensors, type Outputs } from './compare.js';
import type { Reference } from './reference.js';

const QUANTISED: ReadonlySet<string> = new Set([
  'QuantizeLinear',
  'DequantizeLinear',
  'DynamicQuantizeLinear',
  'ConvInteger',
  'MatMulInteger',
  'MatMulIntegerToFloat',
  'DynamicQuantizeMatMul',
  'QLinearConv',
  'QLinearMatMul',
]);

export function isQuantised(source: string | Uint8Array): boolean {
  try {
    return readModel(source).graph.nodes.some(({ opType }) => QUANTISED.has(opType));
  } catch {
    return false;
  }
}

/**
 * x86 without VNNI: by default pairs of products are added in 16 bits and cut off there, so that
 * sums depend on which channels are neighbours. With this entry they are exact.
 */
const EXACT_SUMS = { x64quantprecision: '1' } as const;

/** `judged` with what a comparison to the bit says; it decides where that finds no difference. */
export async function withIntegerKernels(
  judged: Verification,
  models: readonly [reference: string | Uint8Array, candidate: string | Uint8Array],
  known: Reference,
  signal: AbortSignal | undefined,
): Promise<Verification> {
  if (judged.fails === true) return judged;
  const exact = await largestDifference(models, known, EXACT_SUMS, signal);
  if (exact === undefined) return judged;
  if (exact > 0) {
    const text = `in ONNX Runtime's integer kernels, which also round parts of the model, the largest difference is ${formatDifference(exact)} of an output's scale`;
    return { ...judged, notes: [...judged.notes, text] };
  }
  const usual = await largestDifference(models, known, {}, signal);
  const cut =
    usual === undefined || usual === 0
      ? []
      : [
          `this processor's default kernels cut sums of 8-bit products off at 16 bits, in both models, and their outputs differ by ${formatDifference(usual)} of an output's scale: the session entry session.x64quantprecision=1, or weights quantised with reduce_range, give the exact sums`,
        ];
  const notes = ["equal to the bit in ONNX Runtime's integer kernels, whose sums are exact", ...cut];
  return judged.equal ? { ...judged, notes: [...judged.notes, ...notes] } : equalToTheBit(judged, notes);
}

/** What a plain comparison finds is a code beside the other, and what follows from that. */
function equalToTheBit(judged: Verification, notes: readonly string[]): Verification {
  const { reason = '', worstOutput: _worst, ...rest } = judged;
  return {
    ...rest,
    equal: true,
    difference: 0,
    bound: 0,
    boundReason: 'sums of whole numbers are exact',
    cases: judged.cases.map((each) => ({ ...each, difference: 0 })),
    ...(judged.outputs && { outputs: judged.outputs.map((each) => ({ ...each, difference: 0, bound: 0 })) }),
    notes: [...judged.notes, ...notes, `without graph optimisations rounding moves codes: ${reason}`],
  };
}

/** Of all outputs in all cases; undefined where one of the models does not run, or has not all outputs. */
async function largestDifference(
  models: readonly [string | Uint8Array, string | Uint8Array],
  { cases, isGuarded }: Reference,
  config: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  const sessions: RunSession[] = [];
  try {
    for (const model of models)
      sessions.push(await (isGuarded ? createGuarded : createSession)(model, { threads: THREADS, config }));
    let largest = 0;
    for (const { feeds } of cases) {
      signal?.throwIfAborted();
      const [ours, theirs] = await Promise.all(sessions.map((session): Promise<Outputs> => session.run(feeds)));
      for (const [name, tensor] of Object.entries(ours ?? {})) {
        const other = theirs?.[name];
        if (other === undefined) return undefined;
        const { difference, reason } = compareTensors(tensor, other);
        if (reason !== undefined) return undefined;
        largest = Math.max(largest, difference);
      }
    }
    return largest;
  } catch {
    signal?.throwIfAborted();
    return undefined;
  } finally {
    for (const session of sessions) await session.release();
  }
}

/** Verification shares the machine with whatever else the user does. */
const THREADS = 2;
