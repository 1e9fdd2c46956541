/** `prune-compile MODEL`: compile, write, verify, publish, measure, report. */
import type { Compiled, CompileOptions } from '../../compile.js';
import { PruneCompileError } from '../../errors.js';
import { formatBytes, formatDifference, formatPlural } from '../../report/numbers.js';
import { renderJson } from '../../report/json.js';
import { rendererFor } from '../../report/render.js';
import { casesText, CONTENDER } from '../../report/summary.js';
import { renderText } from '../../report/text.js';
import type { Benchmark, CompileReport, Verification } from '../../report/types.js';
import { breathe, type Context, nameOf, present, print, sourceOf, STDIN } from '../context.js';
import { checkOutput, defaultOutput, StagedOutput, STDOUT } from '../destination.js';
import type { Source } from '../engine.js';
import { gateError, missedSizeGates, missedSpeedGates } from '../gates.js';
import { BrokenPipe, writeDiagnostic, writeTo } from '../io.js';
import type { Options } from '../options.js';

export async function compileCommand(context: Context): Promise<void> {
  const { engine, io, options, steps } = context;
  const [model = ''] = context.positionals;
  const output = options.output ?? (model === STDIN ? STDOUT : defaultOutput(model));
  checkPlaces(model, output, options);
  const measures = options.bench === true || options.minSpeedup !== undefined;
  const providers = options.providers ?? ['cpu'];
  if (measures) await engine.checkProviders(providers);

  const source = await sourceOf(model, io);
  const compiled = await engine.compileModel(source, { ...compileOptions(options), signal: io.signal, onStep: (step) => steps.done(step) });
  await breathe(io.signal);
  const result = await Output.write(compiled, output, model, context);

  const verification = options.verify === false ? undefined : await verify(source, result.source, context);
  const sized = { ...compiled.report, after: { ...compiled.report.after, sizeBytes: result.sizeBytes } };
  const differs = verification?.equal === false;
  const sizeGates = differs ? [] : missedSizeGates(sized, options);
  const mayPublish = () => options.keepFailed === true || !differs;
  // A gate on speed is a check like the others: what was at the destination stays until it has passed.
  if (sizeGates.length === 0 && options.minSpeedup === undefined && !differs) result.publish();
  const benchmarks = measures && !differs ? await benchAll(source, result, compiled, context) : undefined;

  const report: CompileReport = {
    ...sized,
    input: nameOf(model),
    output: output === STDOUT ? undefined : output,
    steps: [...sized.steps, ...steps.times],
    ...present({ verification, benchmarks }),
  };
  const missed = [...sizeGates, ...missedSpeedGates(report, options)];
  if ((missed.length === 0 && !differs) || options.keepFailed === true) result.publish();
  void mayPublish;
  await writeReports(report, context);
  await showResult(report, output, context);
  if (!differs && missed.length === 0) await result.send();
  const fate = options.keepFailed === true ? `is in ${output} (--keep-failed)` : 'was not written (--keep-failed keeps it)';
  if (verification !== undefined && differs) throw outputsDiffer(verification, model, output, fate);
  if (missed.length > 0) throw gateError(missed, output, fate);
}
