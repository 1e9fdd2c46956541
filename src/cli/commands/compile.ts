/** `prune-compile MODEL`: compile, write, verify, publish, measure, report. */
import { existsSync } from 'node:fs';
import { requireDense } from '../../retraining/dense-only.js';
import type { Compiled, CompileOptions } from '../../compile.js';
import { PruneCompileError } from '../../errors.js';
import { renderJson } from '../../report/json.js';
import { formatBytes, formatDifference } from '../../report/numbers.js';
import { casesText } from '../../report/summary.js';
import { renderText } from '../../report/text.js';
import type { CompileReport } from '../../report/types.js';
import type { Verification } from '../../verify/verification.js';
import { breathe, type Context, nameOf, present, sourceOf, STDIN } from '../context.js';
import { checkPlaces, CompiledOutput } from '../compiled-output.js';
import { defaultOutput, STDOUT } from '../destination.js';
import { OutputFiles } from '../output-files.js';
import type { Source } from '../engine.js';
import { gateError, missedSizeGates, missedSpeedGates } from '../gates.js';
import { writeDiagnostic, writeTo } from '../io.js';
import { maskOptions } from '../mask-options.js';
import { type Options, optionsOf } from '../options.js';
import { checkOptions } from '../../runtime/provider-options.js';
import { benchCompiled } from './bench.js';
import { writeReports } from '../report-files.js';
import { trainingRemarks, writeTrainingFiles } from '../training-files.js';

export async function compileCommand(context: Context): Promise<void> {
  const { engine, io, options, steps } = context;
  const [model = ''] = context.positionals;
  const to = options.output ?? (model === STDIN ? STDOUT : defaultOutput(model));
  checkPlaces(model, to, options);
  if (options.channels !== undefined || options.stateDict !== undefined) requireDense(options);
  // A speed cannot be required without being measured.
  const measures = options.bench === true || options.minSpeedup !== undefined;
  checkOptions(options.providers ?? ['cpu'], options.providerOption);
  if (measures) await engine.checkProviders(options.providers ?? ['cpu']);

  if (options.sparse === true && (measures || options.tune === true || options.verify !== false))
    await engine.checkKernels();

  const source = await sourceOf(model, io);
  const compiled = await engine.compileModel(source, compileOptions(context));
  if (options.verbose === true) for (const edit of compiled.report.edits) steps.tell('edit', edit);
  if (options.dryRun === true) return dryRun(compiled, to, context);
  // What cannot be told is an error before anything is written.
  if (options.stateDict !== undefined) compiled.stateDict();
  await breathe(io.signal);
  const files = new OutputFiles(options.force);
  context.onFinish(() => files.discard());
  const output = await steps.run(
    'write',
    () => CompiledOutput.write(compiled, to, files),
    ({ sizeBytes }) => formatBytes(sizeBytes),
  );
  await breathe(io.signal);
  const verification = options.verify === false ? undefined : await verifyOutput(compiled, source, output, context);

  const report = { ...compiled.report, after: { ...compiled.report.after, sizeBytes: output.sizeBytes } };
  const isEqual = verification?.equal !== false;
  const missed = isEqual ? missedSizeGates(report, options) : [];
  const benchmarks = measures && isEqual ? await benchCompiled(compiled, source, output, context) : undefined;
  if (benchmarks !== undefined) missed.push(...missedSpeedGates(benchmarks, options));
  const isWanted = (isEqual && missed.length === 0) || options.keepFailed === true;
  if (isWanted) await writeTrainingFiles(compiled, options, files, steps);
  // A report tells of a check that failed, too.
  else files.discard();

  const failure = failureOf(verification, missed, nameOf(model), to, options);
  const { schema, tool, ...findings } = report;
  const full: CompileReport = {
    schema,
    tool,
    date: new Date().toISOString(),
    machine: await engine.describeMachine(),
    command: context.command,
    ...findings,
    remarks: [...report.remarks, ...trainingRemarks(compiled, options)],
    input: nameOf(model),
    output: to === STDOUT ? undefined : to,
    ...present({ verification, benchmarks }),
  };
  await writeReports(withSteps(full, steps), options.report ?? [], files, steps);
  await breathe(io.signal);
  if (isWanted) await output.send(io);
  files.publish(output.inputs);
  await show(withSteps(full, steps), to, context);
  if (failure !== undefined) throw failure;
}

/** What is known without writing a file or running a model. */
async function dryRun(compiled: Compiled, to: string, context: Context): Promise<void> {
  const { io, options, positionals, steps } = context;
  const [model = ''] = positionals;
  const report = { ...compiled.report, input: nameOf(model), output: to === STDOUT ? undefined : to };
  const { json, report: reports = [], channels, stateDict } = options;
  const files = [to === STDOUT ? 'standard output' : to, ...reports, channels, stateDict].filter(
    (file) => file !== undefined,
  );
  const places = files.map((file) => `${file}${existsSync(file) ? ' (replaced)' : ''}`).join(', ');
  const text = renderText(withSteps(report, steps));
  await writeTo(
    io.stdout,
    json === true
      ? renderJson({ ...report, dryRun: true })
      : `${text}\ndry run: nothing was written, verified or measured; it would write ${places}\n`,
  );
  const missed = missedSizeGates(report, options);
  if (missed.length > 0) throw gateError(missed, to, 'would not be written');
}

function compileOptions({ engine, options, io, steps }: Context): CompileOptions {
  const { tune, shape, ...passedOn } = optionsOf(options, ['Compiling', 'Debugging']);
  // An option of these groups that the compiler does not know would be dropped by the spread below.
  passedOn satisfies { readonly [Key in keyof typeof passedOn]: Key extends keyof CompileOptions ? unknown : never };
  return {
    ...maskOptions(options),
    ...passedOn,
    ...(tune === true && { tune: engine.timer(options.threads) }),
    ...present({ shapes: shape }),
    signal: io.signal,
    onStep: (step) => steps.done(step),
  };
}

/**
 * With masks the reference is the model with them multiplied in its graph; it is made only where it
 * is asked for.
 */
async function verifyOutput(
  { maskPlan }: Compiled,
  source: Source,
  output: CompiledOutput,
  { engine, io, options, steps }: Context,
): Promise<Verification> {
  const settings = { ...present({ shapes: options.shape }), signal: io.signal };
  const reference = maskPlan === undefined ? source : await engine.maskedReference(source, maskPlan);
  return steps.run(
    'verify',
    (progress) => engine.verifyModels(reference, output.source, { ...settings, onProgress: progress }),
    casesText,
  );
}

function failureOf(
  verification: Verification | undefined,
  missed: ReturnType<typeof missedSizeGates>,
  model: string,
  to: string,
  { keepFailed }: Options,
): PruneCompileError | undefined {
  const name = to === STDOUT ? 'the output' : to;
  const fate = keepFailed === true ? 'was kept (--keep-failed)' : 'was not written (--keep-failed keeps it)';
  if (verification?.equal === false) return unequalError(verification, name, model, fate);
  return missed.length === 0 ? undefined : gateError(missed, name, fate);
}

function unequalError(verification: Verification, name: string, model: string, fate: string): PruneCompileError {
  const { worstOutput, reason, difference, bound, boundReason, fails } = verification;
  const why = reason ?? `it differs by ${formatDifference(difference)} of its scale`;
  const end = [['the output', fate] as const, ['try', adviceFor(verification)] as const];
  if (fails === true)
    return new PruneCompileError('E-OUTPUTS-DIFFER', {
      what: `${name} does not run where ${model} runs`,
      facts: [['why', why], ...end],
    });
  return new PruneCompileError('E-OUTPUTS-DIFFER', {
    what: `${name} does not compute what ${model} computes`,
    facts: [
      ...(worstOutput === undefined ? [] : [['output', worstOutput] as const]),
      ['why', why],
      ['allowed', `${formatDifference(bound)} (${boundReason})`],
      ...end,
    ],
  });
}

/** Only what cannot lie in the model is called a bug. */
function adviceFor({ fails, optimised, outputs, worstOutput }: Verification): string {
  if (fails === true && optimised === true)
    return (
      "the input itself runs only in ONNX Runtime's blocked layout, which needs multiples of 8 or 16 channels and excludes sparse operators: " +
      'pass --align 16 without --sparse, or change the node that fails so that it runs without graph optimisations'
    );
  if (fails !== true && outputs?.some(({ name, hasNonFinite }) => name === worstOutput && hasNonFinite === true))
    return (
      "the input's own output has NaN or infinities on these inputs, and the compiled model no longer computes 0 x infinity (NaN) where weights are zero: " +
      'find where they come from; verify() of the API takes real `inputs`'
    );
  return 'this is a bug: please report it, with the model if you can share it; --stop-after N finds the edit that causes it';
}

function withSteps(report: CompileReport, { times }: Context['steps']): CompileReport {
  return { ...report, steps: [...report.steps, ...times] };
}

/**
 * The table, or JSON, on standard output: on standard error where the model itself is on standard
 * output.
 */
async function show(report: CompileReport, to: string, { io, options }: Context): Promise<void> {
  if (options.json === true) await writeTo(io.stdout, renderJson(report));
  else if (to === STDOUT) await writeDiagnostic(io.stderr, options.quiet === true ? '' : renderText(report));
  else await writeTo(io.stdout, renderText(report));
}
