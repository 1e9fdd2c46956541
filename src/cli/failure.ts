/**
 * Errors as the user sees them: one sentence and its code, then aligned facts; or, with --json, one
 * JSON object.
 */
import type { Colors } from './colors.js';
import { EXIT, messageOf, PruneCompileError } from '../errors.js';
import { jsonText, printable, printableLines } from '../printable.js';
import { shellWord, wrapText } from '../report/text.js';
import { TOOL } from '../version.js';

type Facts = readonly (readonly [label: string, text: string])[];

const WIDTH = 80;
const NARROWEST = 40;

export interface Failure {
  readonly code: string;
  readonly what: string;
  readonly facts: Facts;
  readonly exitCode: number;
  /** Of internal errors, and of others with --verbose. */
  readonly stack?: string;
}

/** `verbose`: with the stack also where the user can do something about it. */
export function failureOf(error: unknown, argv: readonly string[], verbose = false): Failure {
  if (error instanceof PruneCompileError && error.exitCode !== EXIT.internal)
    return {
      code: error.code,
      what: error.what,
      facts: error.facts,
      exitCode: error.exitCode,
      ...(verbose && { stack: stackOf(error) }),
    };
  const edit = lastEditOf(error);
  return {
    code: 'E-INTERNAL',
    what: `this is a bug in prune-compile: ${messageOf(error)}`,
    facts: [
      ...(error instanceof PruneCompileError ? error.facts : []),
      ...(edit === undefined ? [] : [['last edit', edit] as const]),
      ['version', `${TOOL.version}, Node ${process.version}, ${process.platform} ${process.arch}`],
      ['command', commandOf(argv)],
      ['please', 'report this output, with the model if you can share it'],
    ],
    exitCode: EXIT.internal,
    ...(error instanceof Error && error.stack !== undefined ? { stack: stackOf(error) } : {}),
  };
}

export function commandOf(argv: readonly string[]): string {
  return ['prune-compile', ...argv.map(shellWord)].join(' ');
}

/** Whoever knows which edit was under way sets `lastEdit` on the error it lets pass. */
function lastEditOf(error: unknown): string | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if ('lastEdit' in at && typeof at.lastEdit === 'string') return at.lastEdit;
  }
  return undefined;
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}

/**
 * Lines that fit keep their spaces; a label that is very long itself does not press its text into a
 * few letters.
 */
function wrapFact(text: string, width: number): string[] {
  return text.length <= width ? [text] : wrapText(text, Math.max(width, NARROWEST));
}

export function renderFailure(failure: Failure, colors: Colors): string {
  const { code, stack } = failure;
  const what = printable(failure.what);
  const facts = failure.facts.map(([label, text]) => [printable(label), printable(text)] as const);
  const width = Math.max(0, ...facts.map(([label]) => label.length)) + 3;
  const lines = facts.map(([label, text]) => {
    // A command that is to be copied stays on its line.
    const wrapped = label === 'command' ? [text] : wrapFact(text, WIDTH - width - 2);
    const aligned = wrapped.join(`\n${' '.repeat(width + 2)}`);
    return `  ${colors.dim(label)}${' '.repeat(width - label.length)}${aligned}`;
  });
  const head = `${colors.red('prune-compile:')} ${what}    ${colors.dim(`[${code}]`)}`;
  return `${[head, ...lines, ...(stack === undefined ? [] : [colors.dim(printableLines(stack))])].join('\n')}\n`;
}

export function renderFailureJson({ code, what, facts, exitCode, stack }: Failure): string {
  const error = {
    code,
    what,
    facts: facts.map(([label, text]) => ({ label, text })),
    exitCode,
    ...(stack === undefined ? {} : { stack }),
  };
  return `${jsonText({ error })}\n`;
}
