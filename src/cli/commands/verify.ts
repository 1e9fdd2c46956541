/** `prune-compile verify A B` */
import { PruneCompileError } from '../../errors.js';
import { renderJson } from '../../report/json.js';
import { renderAccuracy } from '../../report/accuracy.js';
import { renderTrace } from '../../report/trace.js';
import { renderVerification } from '../../report/measurements.js';
import { casesText } from '../../report/summary.js';
import { REPORT_SCHEMA } from '../../report/types.js';
import { checkOptions } from '../../runtime/provider-options.js';
import type { Verification } from '../../verify/verification.js';
import { breathe, type Context, nameOf, present, sourceOf } from '../context.js';
import { accuracyOf, givenFor, givenNotes } from '../given.js';
import { writeTo } from '../io.js';
import type { Progress } from '../steps.js';

/**
 * On the CPU unless providers are named; on each of these alone, and one after the other. Traces and
 * accuracy are of the CPU.
 */
export async function verifyCommand(context: Context): Promise<void> {
  const { engine, io, options, positionals, steps } = context;
  const [reference = '', candidate = ''] = positionals;
  const providers = options.providers ?? ['cpu'];
  checkOptions(providers, options.providerOption);
  if (options.trace === true && !providers.includes('cpu'))
    throw new PruneCompileError('E-USAGE', {
      what: '--trace needs cpu among --providers',
      facts: [
        ['why', 'the values inside the models are compared on the CPU'],
        ['for example', `--trace --providers ${['cpu', ...providers].join(',')}`],
      ],
    });
  await engine.checkProviders(providers);
  const sources = [await sourceOf(reference, io), await sourceOf(candidate, io)] as const;
  const names = { reference: nameOf(reference), candidate: nameOf(candidate) };
  const given = await givenFor(sources[0], context);
  const settings = { ...present({ shapes: options.shape, inputs: given?.feeds }), signal: io.signal };
  const verifications: Verification[] = [];
  for (const provider of providers) {
    await breathe(io.signal);
    const there = { ...settings, provider, providerOptions: options.providerOption };
    const work = (onProgress: Progress) =>
      provider === 'cpu'
        ? engine.verifyModels(...sources, { ...settings, onProgress })
        : engine.verifyOnProvider(...sources, { ...there, onProgress });
    const found = await steps.run('verify', work, casesText);
    verifications.push({ ...found, notes: [...givenNotes(given), ...found.notes] });
  }
  const onCpu = verifications[providers.indexOf('cpu')];
  // A model that does not run gives nothing to trace or to be right with.
  const isTraced = options.trace === true && onCpu?.equal === false && onCpu.fails !== true;
  const trace = isTraced ? await steps.run('trace', () => engine.traceModels(...sources, settings)) : undefined;
  const contenders = [
    { name: names.reference, model: sources[0] },
    { name: names.candidate, model: sources[1] },
  ];
  const runs = verifications.every(({ fails }) => fails !== true);
  const accuracy = runs ? await accuracyOf(contenders, given, context) : undefined;
  const found = options.providers === undefined ? { verification: onCpu } : { verifications };
  const texts = verifications.map(
    (one) =>
      renderVerification(one, names.reference, names.candidate) +
      (options.trace === true && one === onCpu ? renderTrace(trace, one) : ''),
  );
  await writeTo(
    io.stdout,
    options.json === true
      ? renderJson({ schema: REPORT_SCHEMA, ...names, ...found, ...present({ trace, accuracy }) })
      : `${texts.join('\n')}${accuracy === undefined ? '' : renderAccuracy(accuracy)}`,
  );
  const unequal = verifications.find(({ equal }) => !equal);
  if (unequal === undefined) return;
  const where = unequal.provider === undefined ? '' : ` on ${unequal.provider}`;
  // By how much has just been printed.
  throw new PruneCompileError('E-OUTPUTS-DIFFER', {
    what: `${names.candidate} does not ${unequal.fails === true ? `run where ${names.reference} runs` : `compute what ${names.reference} computes`}${where}`,
  });
}
