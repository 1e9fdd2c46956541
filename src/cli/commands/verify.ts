/** `prune-compile verify A B` */
import { PruneCompileError } from '../../errors.js';
import { renderJson } from '../../report/json.js';
import { renderVerification } from '../../report/measurements.js';
import { casesText } from '../../report/summary.js';
import { REPORT_SCHEMA } from '../../report/types.js';
import { type Context, nameOf, present, sourceOf } from '../context.js';
import { writeTo } from '../io.js';

export async function verifyCommand({ engine, io, options, positionals, steps }: Context): Promise<void> {
  const [reference = '', candidate = ''] = positionals;
  const sources = [await sourceOf(reference, io), await sourceOf(candidate, io)] as const;
  const settings = { ...present({ shapes: options.shape }), signal: io.signal };
  const verification = await steps.run('verify', () => engine.verifyModels(...sources, settings), casesText);
  const names = { reference: nameOf(reference), candidate: nameOf(candidate) };
  await writeTo(
    io.stdout,
    options.json === true
      ? renderJson({ schema: REPORT_SCHEMA, ...names, verification })
      : renderVerification(verification, names.reference, names.candidate),
  );
  if (!verification.equal)
    // Where and by how much has just been printed.
    throw new PruneCompileError('E-OUTPUTS-DIFFER', {
      what: `${names.candidate} does not ${verification.fails === true ? `run where ${names.reference} runs` : `compute what ${names.reference} computes`}`,
    });
}
