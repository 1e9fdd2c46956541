/** How the readers of mask files refuse: what is wrong, why, and what to do, under the code of docs/errors.md. */
import { PruneCompileError } from '../../errors.js';

/** Its parts are missing or contradict each other. */
export function damaged(path: string, why: string, cause?: unknown): PruneCompileError {
  return new PruneCompileError('E-MASK-DAMAGED', {
    what: `${path} is damaged or incomplete`,
    facts: [
      ['why', why],
      ['try', 'copy the file again and compare its size, or save it again'],
    ],
    cause,
  });
}

/** It can be read, and no mask is written like that. */
export function notMasks(path: string, why: string, advice: string): PruneCompileError {
  return new PruneCompileError('E-MASK-FORMAT', {
    what: `${path} holds something that no mask is`,
    facts: [
      ['why', why],
      ['try', advice],
    ],
  });
}

export function beyondLimit(path: string, why: string, advice: string): PruneCompileError {
  return new PruneCompileError('E-MASK-LIMIT', {
    what: `${path} asks for more than masks need`,
    facts: [
      ['why', why],
      ['try', advice],
    ],
  });
}
