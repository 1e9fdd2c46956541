/** What `explore` prints, and the same as Markdown. */
import type { Exploration, Int8, Payoff, Point } from '../exploration/exploration.js';
import { printable, shown } from '../printable.js';
import { machineText } from './headline.js';
import { formatBytes, formatChange, formatInteger, formatMs, formatPlural, formatSpeedup } from './numbers.js';
import { textTable } from './text-table.js';
import { shellWord, wrapText } from './text.js';

const WIDTH = 80;

/** `60 %` */
export function percent(ratio: number): string {
  return `${Number((100 * ratio).toFixed(1))} %`;
}

/** A granularity; with its criterion where there are several. */
export function seriesName(
  { granularity, criterion }: Pick<Payoff, 'granularity' | 'criterion'>,
  { grid }: Exploration,
): string {
  return grid.criteria.length > 1 ? `${granularity} by ${criterion}` : granularity;
}

/** The best that was found, for a heading. */
export function explorationHeadline(found: Exploration): string {
  const paying = found.conclusions.payoffs.flatMap((payoff) =>
    payoff.from === undefined ? [] : [{ ...payoff, from: payoff.from }],
  );
  const [first] = paying.toSorted((a, b) => a.from.ratio - b.from.ratio || b.from.speedup - a.from.speedup);
  if (first === undefined)
    return found.conclusions.payoffs.length === 0 ? 'Nothing was measured yet' : 'Pruning was not found to pay here';
  const { from, best } = first;
  const most =
    best === undefined || best.ratio === from.ratio
      ? ''
      : `, and ${best.speedup.toFixed(2)}x at ${percent(best.ratio)}`;
  return `Pruning pays from ${percent(from.ratio)} on (${seriesName(first, found)}): ${from.speedup.toFixed(2)}x there${most}`;
}

/** One sentence for each way. */
export function payoffText(payoff: Payoff, found: Exploration): string {
  const { from, best, scattered, measured, aboveInt8 } = payoff;
  const name = seriesName(payoff, found);
  const [low, high] = [percent(measured[0] ?? 0), percent(measured.at(-1) ?? 0)];
  const range = low === high ? `at ${low}` : `from ${low} to ${high}`;
  if (from === undefined)
    return scattered.length === 0
      ? `${name} does not pay on this machine: no point ${range} is significantly faster than the dense model`
      : `${name} pays at ${scattered.map(percent).join(', ')} only, not from some point on (measured ${range})`;
  const most =
    best === undefined || best.ratio === from.ratio
      ? ''
      : `, at most ${formatSpeedup(best.speedup, best.interval)} at ${percent(best.ratio)}`;
  const also = scattered.length === 0 ? '' : `; below that, at ${scattered.map(percent).join(', ')} too`;
  const int8 = aboveInt8 === undefined ? '' : `; faster than dense int8 from ${percent(aboveInt8)} on`;
  return `from ${percent(from.ratio)} on, ${name} pays on this machine: ${formatSpeedup(from.speedup, from.interval)} there${most}${also}${int8}`;
}

export function fastestTexts(found: Exploration): string[] {
  const { payoffs, fastest } = found.conclusions;
  if (payoffs.length < 2) return [];
  return fastest.map(
    (one) =>
      `at ${percent(one.ratio)} the fastest is ${seriesName(one, found)}: ${formatSpeedup(one.speedup, one.interval)}`,
  );
}

export function int8Text(int8: Int8 | undefined): string | undefined {
  if (int8 === undefined) return undefined;
  if ('problem' in int8) return `dense int8 was not measured: ${int8.problem}`;
  const { timing, sizeBytes } = int8;
  return `dense int8, for comparison: ${formatSpeedup(timing.speedup, timing.interval)}, ${formatBytes(sizeBytes)}; its outputs differ from those of the model, by how much is not measured`;
}

/** With `isText` for columns whose cells are no numbers. */
export function pointHeads(found: Exploration): { readonly head: string; readonly isText: boolean }[] {
  return [
    { head: 'granularity', isText: true },
    ...(found.grid.criteria.length > 1 ? [{ head: 'criterion', isText: true }] : []),
    ...['ratio', 'zeros', 'MACs', 'size', 'speed-up [95 % CI]'].map((head) => ({ head, isText: false })),
    ...(hasAccuracy(found) ? [{ head: 'accuracy', isText: false }] : []),
  ];
}

/** One row of the table; the last says why, where there is no speed. */
export function pointCells(point: Point, found: Exploration): string[] {
  const { granularity, criterion, ratio, zeros, macs, sizeBytes, timing, accuracy, equal } = point;
  const dense = found.dense;
  const failed = equal === false ? 'OUTPUTS DIFFER' : 'no, see below';
  return [
    granularity,
    ...(found.grid.criteria.length > 1 ? [criterion] : []),
    percent(ratio),
    zeros === undefined ? '' : percent(zeros),
    dense?.macs === undefined || dense.macs === null || macs === undefined ? '' : formatChange(dense.macs, macs),
    sizeBytes === undefined ? '' : formatBytes(sizeBytes),
    timing === undefined ? failed : formatSpeedup(timing.speedup, timing.interval),
    ...(hasAccuracy(found) ? [accuracy === undefined ? '' : `${accuracy}${isOnFront(point, found) ? ' *' : ''}`] : []),
  ];
}

function hasAccuracy({ settings }: Exploration): boolean {
  return settings.evaluate !== null;
}

function isOnFront({ granularity, criterion, ratio }: Point, { conclusions }: Exploration): boolean {
  return conclusions.front.some(
    ({ place }) => place?.granularity === granularity && place.criterion === criterion && place.ratio === ratio,
  );
}

/** Each reason once, with the ways that have it. */
function problemTexts(points: readonly Point[]): string[] {
  const byReason = new Map<string, Set<string>>();
  for (const { problem, granularity, criterion } of points) {
    if (problem === undefined) continue;
    const ways = byReason.get(problem.what) ?? new Set();
    byReason.set(problem.what, ways.add(`${granularity} by ${criterion}`));
  }
  return [...byReason].map(([what, ways]) => `not measured, ${[...ways].join(', ')}: ${what}`);
}

/** Of the spread of times. */
const RESTLESS = 0.1;

/** What a reader must know of the figures. */
export function explorationNotes(found: Exploration, missing: number): string[] {
  const { points, notes, settings, dense } = found;
  const wrong = points.filter(({ equal }) => equal === false).length;
  const restless = points.filter(({ timing }) => timing !== undefined && timing.spread > RESTLESS).length;
  const compared = points.filter(({ equal }) => equal === true).length;
  const [criterion] = found.grid.criteria;
  return [
    ...(found.grid.criteria.length === 1 && points.length > 0 ? [`the lowest by ${criterion} are pruned`] : []),
    ...(compared > 0 ? [`outputs equal at ${formatPlural(compared, 'point')}`] : []),
    ...problemTexts(points),
    ...(wrong > 0 ? [`OUTPUTS DIFFER at ${formatPlural(wrong, 'point')}, which must not be used`] : []),
    ...(restless > 0
      ? [
          `the times of ${formatPlural(restless, 'point')} vary by more than ${percent(RESTLESS)}: the machine was busy or changed its clock, and a quiet one tells more`,
        ]
      : []),
    ...(missing > 0
      ? [
          `${formatPlural(missing, 'point')} of the grid ${missing === 1 ? 'is' : 'are'} not measured: the same command goes on`,
        ]
      : []),
    ...(hasAccuracy(found)
      ? [
          `accuracy by ${settings.evaluate ?? ''}, dense ${dense?.accuracy ?? '?'}; of models that were pruned and not trained since; * is not beaten in speed and accuracy at once`,
        ]
      : []),
    ...notes,
  ];
}

/** What to type to have the point as a model. */
export function repeatCommands(found: Exploration, model: string): string[] {
  const { payoffs } = found.conclusions;
  const [best] = payoffs.flatMap((payoff) => (payoff.from === undefined ? [] : [{ ...payoff, at: payoff.from }]));
  if (best === undefined) return [];
  const { settings } = found;
  const point = found.points.find(
    ({ granularity, criterion, ratio }) =>
      granularity === best.granularity && criterion === best.criterion && ratio === best.at.ratio,
  );
  if (point === undefined) return [];
  const word = shellWord(model);
  const mask = [
    `prune-compile mask ${word} --granularity ${point.granularity} --criterion ${point.criterion}`,
    ...(point.granularity.includes(':') ? [] : [`--ratio ${point.ratio}`]),
    ...(settings.groups === 'none' || point.way === 'sparse' ? [] : [`--groups ${settings.groups}`]),
    ...(settings.scope === 'layer' || point.granularity.includes(':') ? [] : [`--scope ${settings.scope}`]),
    ...(settings.widthMultiple === 1 || point.way === 'sparse' ? [] : [`--width-multiple ${settings.widthMultiple}`]),
    ...settings.exclude.map((name) => `--exclude ${shellWord(name)}`),
    ...(settings.seed === 1 ? [] : [`--seed ${settings.seed}`]),
    '-o pruned.safetensors',
  ];
  const compile = [
    `prune-compile ${word} --masks pruned.safetensors --bench`,
    ...(settings.meaning === 'zero' ? [] : [`--meaning ${settings.meaning}`]),
    ...(point.way === 'sparse' ? ['--structured --sparse'] : []),
    ...(settings.tune && point.way === 'sparse' ? ['--tune'] : []),
    ...(settings.align === 'auto' ? [] : [`--align ${settings.align}`]),
    ...(settings.threads === 1 ? [] : [`--threads ${settings.threads}`]),
  ];
  return [mask.join(' '), compile.join(' ')];
}

/** The lines of conclusions, without table. */
function conclusionTexts(found: Exploration): string[] {
  const int8 = int8Text(found.int8);
  return [
    ...found.conclusions.payoffs.map((payoff) => payoffText(payoff, found)),
    ...(int8 === undefined ? [] : [int8]),
    ...fastestTexts(found),
  ];
}

export interface ExplorationView {
  /** As it is named on the command line. */
  readonly model: string;
  readonly missing: number;
  readonly command: string;
}

export function renderExploration(given: Exploration, view: ExplorationView): string {
  const found = shown(given);
  const heads = pointHeads(found);
  const columns = heads.map(({ head, isText }) =>
    isText || head.startsWith('speed') ? {} : ({ align: 'right' } as const),
  );
  const { settings, machine } = found;
  const next = repeatCommands(found, view.model);
  return [
    explorationHeadline(found),
    '',
    ...textTable(columns, [heads.map(({ head }) => head), ...found.points.map((point) => pointCells(point, found))]),
    '',
    ...conclusionTexts(found).flatMap((text) => wrapText(text, WIDTH, '  ')),
    '',
    ...explorationNotes(found, view.missing).flatMap((note) => wrapText(`note: ${note}`, WIDTH, '  ')),
    ...wrapText(
      `measured on ${machineText(machine)}; ${threadsText(settings.threads)}${denseText(found)}`,
      WIDTH,
      '  ',
    ),
    ...(next.length === 0 ? [] : ['', 'next:', ...next.map((line) => `  ${printable(line)}`)]),
    '',
  ].join('\n');
}

function threadsText(threads: number): string {
  return formatPlural(threads, 'thread');
}

function denseText({ points }: Exploration): string {
  const times = points
    .flatMap(({ timing }) => (timing === undefined ? [] : [timing.denseMs]))
    .toSorted((a, b) => a - b);
  const middle = times[Math.floor(times.length / 2)];
  return middle === undefined ? '' : `; the dense model takes ${formatMs(middle)}`;
}

export function renderExplorationMarkdown(given: Exploration, view: ExplorationView): string {
  const found = shown(given);
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  const heads = pointHeads(found).map(({ head }) => head);
  return [
    `# From where on pruning pays: ${found.model.name}`,
    '',
    `${explorationHeadline(found)}.`,
    '',
    ...conclusionTexts(found).map((text) => `- ${text}`),
    '',
    line(heads),
    `|${heads.map(() => '---|').join('')}`,
    ...found.points.map((point) => line(pointCells(point, found))),
    '',
    ...explorationNotes(found, view.missing).map((note) => `- ${note}`),
    `- measured on ${machineText(found.machine)}; ${threadsText(found.settings.threads)}${denseText(found)}`,
    `- ${formatInteger(found.points.length)} points; repeated by \`${view.command}\``,
    '',
    `${found.tool.name} ${found.tool.version} explore`,
    '',
  ].join('\n');
}
