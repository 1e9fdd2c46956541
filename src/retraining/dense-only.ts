/** What training goes on with is about dense layers. */
import { PruneCompileError } from '../errors.js';

/** Weights of sparse operators are no parameters that a module could hold. Throws E-USAGE. */
export function requireDense({ sparse }: { readonly sparse?: boolean | undefined }): void {
  if (sparse !== true) return;
  throw new PruneCompileError('E-USAGE', {
    what: '--channels and --state-dict are about dense layers, and do not fit --sparse',
    facts: [['try', 'the same command with --structured in the place of --sparse, for what is trained on']],
  });
}
