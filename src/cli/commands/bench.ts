/** `prune-compile bench A [B...]`, and the benchmark of `compile --bench`. */
import { basename } from 'node:path';
import { renderJson } from '../../report/json.js';
import { renderBenchmarks } from '../../report/measurements.js';
import { benchmarkPlace, CONTENDER } from '../../report/summary.js';
import { type Benchmark } from '../../bench/results.js';
import { REPORT_SCHEMA } from '../../report/types.js';
import { checkOptions } from '../../runtime/provider-options.js';
import type { Compiled } from '../../compile.js';
import { breathe, type Context, nameOf, present, sourceOf } from '../context.js';
import type { CompiledOutput } from '../compiled-output.js';
import type { Source } from '../engine.js';
import { writeTo } from '../io.js';

interface Contender {
  readonly name: string;
  readonly model: Source;
}

export async function benchCommand(context: Context): Promise<void> {
  const { engine, io, options, positionals } = context;
  checkOptions(options.providers ?? ['cpu'], options.providerOption);
  await engine.checkProviders(options.providers ?? ['cpu']);
  const names = contenderNames(positionals);
  const contenders: Contender[] = [];
  for (const [index, model] of positionals.entries())
    contenders.push({ name: names[index] ?? model, model: await sourceOf(model, io) });
  const benchmarks = await benchAll(contenders, context, names[0]);
  await writeTo(
    io.stdout,
    options.json === true ? renderJson({ schema: REPORT_SCHEMA, benchmarks }) : renderBenchmarks(benchmarks),
  );
}

/** File names where they tell the models apart, else paths, else paths with a number. */
export function contenderNames(models: readonly string[]): string[] {
  const short = models.map((model) => basename(nameOf(model)));
  if (areDistinct(short)) return short;
  const paths = models.map(nameOf);
  return areDistinct(paths) ? paths : paths.map((path, index) => `${path} #${index + 1}`);
}

function areDistinct(names: readonly string[]): boolean {
  return new Set(names).size === names.length;
}

/** Dense, masked and compiled: whether zeros alone, or their removal, made the difference. */
export async function benchCompiled(
  compiled: Compiled,
  source: Source,
  output: CompiledOutput,
  context: Context,
): Promise<Benchmark[]> {
  const dense = await context.engine.denseModel(source);
  return benchAll(
    [
      { name: CONTENDER.dense, model: dense },
      { name: CONTENDER.masked, model: compiled.masked() },
      { name: CONTENDER.compiled, model: output.source },
    ],
    context,
  );
}

/** Without a baseline every pair is compared. */
async function benchAll(contenders: readonly Contender[], context: Context, baseline?: string): Promise<Benchmark[]> {
  const { engine, io, options, steps } = context;
  const benchmarks: Benchmark[] = [];
  for (const provider of options.providers ?? ['cpu']) {
    await breathe(io.signal);
    const settings = {
      provider,
      ...present({
        providerOptions: options.providerOption,
        threads: options.threads,
        rounds: options.runs,
        shapes: options.shape,
        batch: options.batch,
        baseline,
      }),
      signal: io.signal,
    };
    benchmarks.push(
      await steps.run(
        'bench',
        (progress) =>
          engine.benchModels(contenders, { ...settings, onProgress: (done, total) => progress(`${done}/${total}`) }),
        benchmarkPlace,
      ),
    );
  }
  return benchmarks;
}
