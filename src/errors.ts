/**
 * The one catalogue of errors. An error says what happened, where, why and what to do next; the
 * command prints it as product text, the API throws it.
 */
import { printable } from './printable.js';

export const EXIT = { done: 0, checkFailed: 1, usage: 2, internal: 70, interrupted: 130 } as const;

const CATALOGUE = {
  'E-USAGE': EXIT.usage,
  'E-INPUT-MISSING': EXIT.usage,
  'E-INPUT-UNREADABLE': EXIT.usage,
  'E-INPUTS': EXIT.usage,
  'E-MODEL-NOT-ONNX': EXIT.usage,
  'E-MODEL-TRUNCATED': EXIT.usage,
  'E-MODEL-INVALID': EXIT.usage,
  'E-MODEL-OPSET': EXIT.usage,
  'E-MODEL-RUNTIME': EXIT.usage,
  'E-MODEL-SPARSE': EXIT.usage,
  'E-MODEL-NAN': EXIT.usage,
  'E-MODEL-INFINITE': EXIT.usage,
  'E-MODEL-CRASH': EXIT.usage,
  'E-MODEL-LIMIT': EXIT.usage,
  'E-MODEL-ENDLESS': EXIT.usage,
  'E-MODEL-TOO-LARGE': EXIT.usage,
  'E-EXTERNAL-MISSING': EXIT.usage,
  'E-EXTERNAL-PATH': EXIT.usage,
  'E-EXTERNAL-RANGE': EXIT.usage,
  'E-MASK-FORMAT': EXIT.usage,
  'E-MASK-DAMAGED': EXIT.usage,
  'E-MASK-UNSAFE': EXIT.usage,
  'E-MASK-LIMIT': EXIT.usage,
  'E-MASK-EMPTY': EXIT.usage,
  'E-MASK-SOFT': EXIT.usage,
  'E-MASK-SHAPE': EXIT.usage,
  'E-MASK-NO-MATCH': EXIT.usage,
  'E-MASK-LOST': EXIT.usage,
  'E-MASK-AMBIGUOUS': EXIT.usage,
  'E-MASK-MAP': EXIT.usage,
  'E-STATE-DICT': EXIT.usage,
  'E-OUTPUT-IS-INPUT': EXIT.usage,
  'E-OUTPUT-UNWRITABLE': EXIT.usage,
  'E-OUTPUT-EXISTS': EXIT.usage,
  'E-PROVIDER': EXIT.usage,
  'E-WHEELS': EXIT.usage,
  'E-KERNELS': EXIT.usage,
  'E-COST-TABLE': EXIT.usage,
  'E-SHAPE': EXIT.usage,
  'E-NODE-UNKNOWN': EXIT.usage,
  'E-EXPLORATION': EXIT.usage,
  'E-EVALUATE': EXIT.usage,
  'E-OUTPUTS-DIFFER': EXIT.checkFailed,
  'E-GATE': EXIT.checkFailed,
  'E-INTERNAL': EXIT.internal,
} as const;

export type ErrorCode = keyof typeof CATALOGUE;

export interface ErrorDetails {
  /** One sentence: what happened, naming the file, node or option. */
  what: string;
  /**
   * Further facts as [label, text], printed aligned below: ['why', …], ['where', …], ['try', …].
   */
  facts?: readonly (readonly [label: string, text: string])[];
  cause?: unknown;
}

/**
 * Its message is all of it, for whoever prints that alone: the sentence, then a line for each fact,
 * with what is not to be seen in names escaped. `what` and `facts` have the names as they are.
 */
export class PruneCompileError extends Error {
  override readonly name = 'PruneCompileError';
  /** The sentence alone. */
  readonly what: string;
  readonly code: ErrorCode;
  readonly exitCode: number;
  readonly facts: readonly (readonly [string, string])[];

  constructor(code: ErrorCode, details: ErrorDetails) {
    const { what, facts = [], cause } = details;
    const lines = facts.map(([label, text]) => `  ${printable(label)}: ${printable(text)}`);
    super([printable(what), ...lines].join('\n'), cause === undefined ? undefined : { cause });
    this.what = what;
    this.code = code;
    this.exitCode = CATALOGUE[code];
    this.facts = facts;
  }
}

/** What another error says in a sentence, on one line. */
export function messageOf(error: unknown): string {
  if (error instanceof PruneCompileError) return error.what;
  return (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ').trim();
}
