/** `prune-compile verify A B` */
import { PruneCompileError } from '../../errors.js';
import { renderJson } from '../../report/json.js';
import { renderVerification } from '../../report/measurements.js';
import { casesText } from '../../report/summary.js';
import { REPORT_SCHEMA } from '../../report/types.js';
import { checkOptions } from '../../runtime/provider-options.js';
import type { Verification } from '../../verify/verification.js';
import { breathe, type Context, nameOf, present, sourceOf } from '../context.js';
import { writeTo } from '../io.js';

/** On the CPU unless providers are named; on each of these alone, and one after the other. */
export async function verifyCommand(context: Context): Promise<void> {
  const { engine, io, options, positionals, steps } = context;
  const [reference = '', candidate = ''] = positionals;
  const providers = options.providers ?? ['cpu'];
  checkOptions(providers, options.providerOption);
  await engine.checkProviders(providers);
  const sources = [await sourceOf(reference, io), await sourceOf(candidate, io)] as const;
  const settings = { ...present({ shapes: options.shape }), signal: io.signal };
  const verifications: Verification[] = [];
  for (const provider of providers) {
    await breathe(io.signal);
    const there = { ...settings, provider, providerOptions: options.providerOption };
    const work = () =>
      provider === 'cpu' ? engine.verifyModels(...sources, settings) : engine.verifyOnProvider(...sources, there);
    verifications.push(await steps.run('verify', work, casesText));
  }
  const names = { reference: nameOf(reference), candidate: nameOf(candidate) };
  const found = options.providers === undefined ? { verification: verifications[0] } : { verifications };
  const texts = verifications.map((one) => renderVerification(one, names.reference, names.candidate));
  await writeTo(
    io.stdout,
    options.json === true ? renderJson({ schema: REPORT_SCHEMA, ...names, ...found }) : texts.join('\n'),
  );
  const unequal = verifications.find(({ equal }) => !equal);
  if (unequal === undefined) return;
  const where = unequal.provider === undefined ? '' : ` on ${unequal.provider}`;
  // By how much has just been printed.
  throw new PruneCompileError('E-OUTPUTS-DIFFER', {
    what: `${names.candidate} does not ${unequal.fails === true ? `run where ${names.reference} runs` : `compute what ${names.reference} computes`}${where}`,
  });
}
