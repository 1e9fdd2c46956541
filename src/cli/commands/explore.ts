/**
 * `prune-compile explore MODEL`: the file of what was found is written after every point, so that
 * the same command goes on after whatever ended it. With --merge, files of parts become one.
 */
import { existsSync } from 'node:fs';
import { dirname, extname } from 'node:path';
import { PruneCompileError } from '../../errors.js';
import type { ExploreOptions } from '../../explore/settings.js';
import type { Exploration, Point } from '../../exploration/exploration.js';
import type { Place } from '../../exploration/grid.js';
import { Staging } from '../../files/staging.js';
import { requirePlace, writeFiles } from '../../files/write-files.js';
import { renderExplorationHtml } from '../../report/exploration-html.js';
import {
  type ExplorationView,
  percent,
  renderExploration,
  renderExplorationMarkdown,
} from '../../report/exploration.js';
import { renderJson } from '../../report/json.js';
import { formatSpeedup } from '../../report/numbers.js';
import { REPORT_SCHEMA } from '../../report/types.js';
import { type Context, present, STDIN } from '../context.js';
import { reportAt } from '../compiled-output.js';
import { checkEarlier, checkOutput, defaultExploration, type Wanted } from '../destination.js';
import { writeTo } from '../io.js';
import type { Options } from '../options.js';
import { OutputFiles } from '../output-files.js';

export async function exploreCommand(context: Context): Promise<void> {
  const { options, positionals } = context;
  if (options.merge === true) return mergeCommand(context);
  const [model = '', more] = positionals;
  if (more !== undefined)
    throw usage(
      `explore takes one model, but got ${positionals.join(', ')}`,
      '--merge, where these are files of explore',
    );
  if (model === STDIN)
    throw usage(
      'explore takes a file: it goes on where it was ended, with the same model',
      'prune-compile explore model.onnx',
    );
  const to = options.output ?? defaultExploration(model, options.shard);
  const wanted = explorationAt(to);
  checkPlaces(wanted, [model], context);
  const known = options.force !== true && existsSync(to) ? await context.engine.readExploration(to) : undefined;
  if (options.dryRun === true) return dryRun(to, known, context);
  const found = await explored(model, wanted, known, context);
  await show(found, model, context);
  const wrong = found.points.filter(({ equal }) => equal === false);
  if (wrong.length > 0)
    throw new PruneCompileError('E-OUTPUTS-DIFFER', {
      what: `${wrong.length} of ${found.points.length} compiled models do not compute what their masked models compute`,
      facts: wrong.map((point) => ['point', nameOf(point)] as const),
    });
}

async function explored(
  model: string,
  { path }: Wanted,
  known: Exploration | undefined,
  context: Context,
): Promise<Exploration> {
  const { engine, io, options, steps } = context;
  let latest: Exploration | undefined;
  const save = (found: Exploration) => {
    latest = found;
    writeFiles([{ path, chunks: [Buffer.from(renderJson(found))] }]);
  };
  // There it goes with whatever a killed command left.
  const staging = new Staging(dirname(requirePlace(path)));
  context.onFinish(() => staging.discard());
  try {
    const found = await steps.run('explore', (onProgress) =>
      engine.explore(model, {
        ...exploreOptions(options, known),
        folder: staging.made,
        signal: io.signal,
        onProgress,
        onPoint: (exploration, { point, done, total }) => {
          save(exploration);
          steps.done({
            step: `${done}/${total}`,
            ms: point.seconds * 1000,
            detail: `${nameOf(point)}: ${resultOf(point)}`,
          });
        },
      }),
    );
    save(found);
    return found;
  } catch (error) {
    // After Ctrl-C what was measured before is told.
    if (io.signal.aborted && latest !== undefined) await show(latest, model, context);
    throw error;
  }
}

function exploreOptions(options: Options, known: Exploration | undefined): ExploreOptions {
  const { granularities, ratios, criteria, scope, groups, widthMultiple, exclude, seed, meaning } = options;
  const { align, sparseTarget, tune, shape, threads, batch, runs, evaluate, shard, budget } = options;
  return {
    ...present({ granularities, ratios, criteria, scope, groups, widthMultiple, exclude, seed, meaning }),
    ...present({ align, sparseTarget, tune, threads, batch, evaluate, shard, known }),
    ...present({ shapes: shape, rounds: runs, budgetMs: budget }),
  };
}

async function dryRun(to: string, known: Exploration | undefined, { engine, io, options }: Context): Promise<void> {
  const points = await engine.planExploration(exploreOptions(options, known));
  const lines = points.map((point) => `  ${nameOf(point)}`);
  await writeTo(
    io.stdout,
    options.json === true
      ? renderJson({ schema: REPORT_SCHEMA, dryRun: true, points, output: to })
      : [
          ...lines,
          '',
          `dry run: nothing was measured; it would measure ${points.length} points and write ${to}`,
          '',
        ].join('\n'),
  );
}

async function mergeCommand(context: Context): Promise<void> {
  const { engine, options, positionals } = context;
  const exclusive = (['shard', 'budget', 'granularities', 'ratios', 'criteria', 'evaluate'] as const).find(
    (key) => options[key] !== undefined,
  );
  if (exclusive !== undefined)
    throw usage(
      `--merge measures nothing, and --${exclusive} was given`,
      'prune-compile explore --merge part1.json part2.json',
    );
  const wanted = options.output === undefined ? undefined : explorationAt(options.output);
  if (wanted !== undefined) checkPlaces(wanted, positionals, context);
  const parts: { name: string; exploration: Exploration }[] = [];
  for (const name of positionals) parts.push({ name, exploration: await engine.readExploration(name) });
  const found = await engine.combineExplorations(parts);
  if (wanted !== undefined) {
    const files = new OutputFiles(options.force);
    context.onFinish(() => files.discard());
    files.add(wanted, renderJson(found));
    files.publish(positionals);
  }
  await show(found, found.model.name, context);
}

async function show(found: Exploration, model: string, context: Context): Promise<void> {
  const { engine, io, options, command } = context;
  const view: ExplorationView = { model, command, missing: await engine.countMissing(found) };
  const files = new OutputFiles(options.force);
  context.onFinish(() => files.discard());
  for (const path of options.report ?? []) files.add(reportAt(path), await reportOf(path, found, view));
  files.publish([]);
  const { format: _format, schema: _schema, ...results } = found;
  await writeTo(
    io.stdout,
    options.json === true
      ? renderJson({ schema: REPORT_SCHEMA, ...results, missing: view.missing })
      : renderExploration(found, view),
  );
}

async function reportOf(path: string, found: Exploration, view: ExplorationView): Promise<string> {
  const extension = extname(path).toLowerCase();
  if (extension === '.html') return renderExplorationHtml(found, view);
  return extension === '.md' ? renderExplorationMarkdown(found, view) : renderJson(found);
}

function explorationAt(path: string): Wanted {
  return { path, kind: 'exploration', option: '--output' };
}

function checkPlaces(wanted: Wanted, inputs: readonly string[], { options }: Context): void {
  const all = [wanted, ...(options.report ?? []).map(reportAt)];
  for (const one of all) {
    if (inputs.every((path) => existsSync(path))) checkOutput(one, inputs);
    if (options.force !== true) checkEarlier(one);
  }
}

function nameOf({ granularity, criterion, ratio }: Place): string {
  return `${granularity} ${percent(ratio)} ${criterion}`;
}

function resultOf({ timing, equal, problem, accuracy }: Point): string {
  if (problem !== undefined) return problem.what;
  if (equal === false) return 'OUTPUTS DIFFER';
  const speed = timing === undefined ? 'not measured' : formatSpeedup(timing.speedup, timing.interval);
  return accuracy === undefined ? speed : `${speed}, accuracy ${accuracy}`;
}

function usage(what: string, hint: string): PruneCompileError {
  return new PruneCompileError('E-USAGE', { what, facts: [['try', hint]] });
}
