/** What training goes on with is about dense layers. */
import { PruneCompileError } from '../errors.js';

/** Weights of sparse operators are no parameters that a module could hold. Throws E-USAGE. */
export function requireDense({ sparse }: { readonly sparse?: boolean | undefined }): void {
  if (sparse !== true) return;
  throw new PruneCompileError('E-USAGE', {
    what: '--channels and --state-dict describe dense layers and cannot be combined with --sparse',
    facts: [['try', '--structured instead of --sparse for the network to train']],
  });
}
