/** Errors as tests compare them: the code, the sentence and every fact, as the user reads them. */
import { PruneCompileError } from '../../src/errors.js';

export interface Failure {
  readonly code: string;
  readonly what: string;
  readonly facts: readonly string[];
}

/**
 * `folder` (and its temporary name) reads as DIR. Anything but a PruneCompileError is thrown on.
 */
export function failureFrom(error: unknown, folder = '\0'): Failure {
  if (!(error instanceof PruneCompileError)) throw error;
  const plain = (text: string) => text.replaceAll(folder, 'DIR');
  return {
    code: error.code,
    what: plain(error.what),
    facts: error.facts.map(([label, text]) => `${label}: ${plain(text)}`),
  };
}

export function failureOf(work: () => unknown, folder?: string): Failure {
  try {
    work();
  } catch (error) {
    return failureFrom(error, folder);
  }
  throw new Error('nothing was thrown');
}
