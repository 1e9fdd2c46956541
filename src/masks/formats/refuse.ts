/**
 * The four ways to refuse a mask file, worded alike by every reader. What each code means:
 * docs/errors.md, Masks.
 */
import { PruneCompileError } from '../../errors.js';

export function damaged(path: string, why: string, cause?: unknown): PruneCompileError {
  return new PruneCompileError('E-MASK-DAMAGED', {
    what: `${path} is damaged or incomplete`,
    facts: [
      ['why', why],
      ['try', 'copy or download the file again and compare its size; or save it again'],
    ],
    cause,
  });
}

export function notMasks(path: string, why: string, hint: string): PruneCompileError {
  return new PruneCompileError('E-MASK-FORMAT', {
    what: `${path} is not a file that masks can be read from`,
    facts: [
      ['why', why],
      ['try', hint],
    ],
  });
}

export function overLimit(path: string, why: string): PruneCompileError {
  return new PruneCompileError('E-MASK-LIMIT', {
    what: `${path} exceeds a limit for mask files`,
    facts: [
      ['why', why],
      ['try', 'save the masks alone, in a file of their own'],
    ],
  });
}

/** `name`: what would be called, as Python names it. */
export function unsafe(path: string, name: string): PruneCompileError {
  return new PruneCompileError('E-MASK-UNSAFE', {
    what: `${path} would call ${name}, which a file of tensors never needs`,
    facts: [
      ['why', 'a Python pickle may call any function when it is loaded; nothing was called here'],
      ['try', 'save tensors only: torch.save(model.state_dict(), …), not the model itself'],
    ],
  });
}
