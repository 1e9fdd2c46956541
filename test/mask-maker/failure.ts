import { PruneCompileError } from '../../src/errors.js';

/** The error that the work ends with; anything else fails the test. */
export async function failureOfAsync(work: Promise<unknown>): Promise<PruneCompileError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof PruneCompileError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}
