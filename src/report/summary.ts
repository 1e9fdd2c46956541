/** The figures of a report as rows of text: what the final table of every output format shows. */
import { describeComparison } from '../bench/describe.js';
import type { Provider } from '../runtime/providers.js';
import { masksText, meaningText, otherTensors } from './masks.js';
import {
  formatBytes,
  formatChange,
  formatCount,
  formatDelta,
  formatDifference,
  formatInteger,
  formatMs,
  formatPlural,
  formatRate,
  formatShapes,
  formatShare,
  formatSpeedup,
} from './numbers.js';
import type { Benchmark, Contender } from '../bench/results.js';
import type { CompileReport } from './types.js';
import type { Verification } from '../verify/verification.js';
import { unreadText } from './unread.js';

/** Names of the three models that `compile --bench` compares. */
export const CONTENDER = { dense: 'dense', masked: 'masked', compiled: 'compiled' } as const;

export interface FiguresRow {
  readonly label: string;
  readonly masked: string;
  readonly compiled: string;
  readonly change: string;
}

/** A row whose text goes across the columns. */
export interface TextRow {
  readonly label: string;
  readonly text: string;
}

export type SummaryRow = FiguresRow | TextRow;

const PROVIDER_NAMES: Readonly<Record<Provider, string>> = {
  cpu: 'CPU',
  webgpu: 'WebGPU',
  cuda: 'CUDA',
  tensorrt: 'TensorRT',
};

/** Labels longer than this would push the figures of an 80-column table aside. */
const LONGEST_LABEL = 37;

/** Heads the figures of the input: where nothing could be removed it may hold no masks at all. */
export function inputColumn({ changed }: CompileReport): string {
  return changed ? CONTENDER.masked : 'input';
}

/**
 * Whether the passes found nothing to do. The output then is the input, with the masks in its
 * weights where there are any.
 */
export function removedNothing({ changed, edits }: CompileReport): boolean {
  return !changed || edits.length === 0;
}

/** What there was nothing of. */
export function nothingTitle({ options }: CompileReport): string {
  return options['sparse'] === true ? 'nothing to do' : 'nothing to remove';
}

/** What the output is when nothing was removed. */
export function nothingText(report: CompileReport, output: string): string {
  return report.changed
    ? `${output} is ${report.input} with the masks in its weights`
    : `${output} is a copy of ${report.input}`;
}

export function summaryRows(report: CompileReport): SummaryRow[] {
  const { before, after } = report;
  return [
    changedRow('parameters', formatCount, before.parameters, after.parameters),
    macsRow(report),
    changedRow('file size', formatBytes, before.sizeBytes, after.sizeBytes),
    {
      label: 'channels',
      masked: formatInteger(before.channels),
      compiled: formatInteger(after.channels),
      change: formatDelta(before.channels, after.channels),
    },
    ...(report.masks === undefined || report.masks.files.length === 0
      ? []
      : [{ label: 'masks', text: masksText(report.masks) }, ...otherTensors(report.masks)]),
    { label: 'meaning of masks', text: meaningText(report) },
    ...(report.benchmarks ?? []).flatMap((benchmark) => benchmarkRows(benchmark, report)),
    {
      label: 'outputs equal',
      text: report.verification === undefined ? 'not checked' : verificationText(report.verification),
    },
  ];
}

function changedRow(label: string, format: (value: number) => string, from: number, to: number): FiguresRow {
  return { label, masked: format(from), compiled: format(to), change: formatChange(from, to) };
}

/**
 * What could not be inferred at fixed shapes either is computed from data, which only a run has.
 */
function macsRow(report: CompileReport): SummaryRow {
  const { before, after } = report;
  if (before.macs === undefined && after.macs === undefined)
    return { label: 'MACs', text: 'unknown: some shapes are known to the run only' };
  if (before.macs !== undefined && after.macs !== undefined)
    return changedRow(macsLabel(report), formatCount, before.macs, after.macs);
  const text = (macs: number | undefined) => (macs === undefined ? 'unknown' : formatCount(macs));
  return { label: macsLabel(report), masked: text(before.macs), compiled: text(after.macs), change: '' };
}

function macsLabel({ macsShape }: CompileReport): string {
  const shapes = formatShapes(macsShape);
  if (shapes === '') return 'MACs';
  const label = `MACs (${shapes})`;
  return label.length <= LONGEST_LABEL ? label : `MACs (${formatPlural(Object.keys(macsShape).length, 'input')})`;
}

function benchmarkRows(benchmark: Benchmark, report: CompileReport): SummaryRow[] {
  const median = (name: string) => benchmark.contenders.find((contender) => contender.name === name)?.medianMs;
  const comparison = benchmark.comparisons.find(
    ({ baseline, contender }) => baseline === CONTENDER.masked && contender === CONTENDER.compiled,
  );
  const dense = median(CONTENDER.dense);
  const rows: SummaryRow[] = [
    {
      label: latencyLabel(benchmark),
      masked: formatMs(median(CONTENDER.masked) ?? Number.NaN),
      compiled: formatMs(median(CONTENDER.compiled) ?? Number.NaN),
      change: comparison === undefined ? '' : formatSpeedup(comparison.speedup, comparison.interval),
    },
  ];
  if (comparison !== undefined) rows.push({ label: '  significance', text: describeComparison(comparison) });
  if (dense !== undefined) rows.push({ label: '  the same without zeros (dense)', text: formatMs(dense) });
  const shapes = formatShapes(benchmark.shapes);
  if (shapes !== '' && shapes !== formatShapes(report.macsShape)) rows.push({ label: '  measured at', text: shapes });
  return rows;
}

function latencyLabel(benchmark: Benchmark): string {
  const label = `latency, ${benchmarkPlace(benchmark)} (median of ${benchmark.rounds})`;
  return label.length <= LONGEST_LABEL ? label : `latency, ${benchmarkPlace(benchmark)} (${benchmark.rounds} runs)`;
}

/** Figures of a contender besides its median and what belongs to it. */
export const FURTHER = ['p95', 'p99', 'samples/s', 'load', 'memory', 'file'] as const;

/** In the order of the heads above; empty where a figure was not measured. */
export function furtherCells(contender: Contender): string[] {
  const { p95Ms, p99Ms, samplesPerSecond, loadMs, peakMemoryBytes, sizeBytes } = contender;
  return [
    formatMs(p95Ms),
    formatMs(p99Ms),
    samplesPerSecond === undefined ? '' : formatRate(samplesPerSecond),
    loadMs === undefined ? '' : formatMs(loadMs),
    peakMemoryBytes === undefined ? '' : formatBytes(peakMemoryBytes),
    sizeBytes === undefined ? '' : formatBytes(sizeBytes),
  ];
}

/** The model, its times and the figures above: a row of every report's table. */
export function contenderCells(contender: Contender): string[] {
  const { name, medianMs, interval, meanMs, sdMs } = contender;
  const range = `${formatMs(interval[0])} to ${formatMs(interval[1])}`;
  return [name, formatMs(medianMs), range, formatMs(meanMs), formatMs(sdMs), ...furtherCells(contender)];
}

/** Of the columns behind the name. */
export const CONTENDER_HEADS: readonly string[] = ['median', '95 % CI', 'mean', 'sd', ...FURTHER];

/**
 * Where a benchmark ran: `CPU, 1 thread`, `WebGPU`, `CUDA, TF32 on`. Threads say something about the
 * CPU only.
 */
export function benchmarkPlace({
  provider,
  threads,
  tf32,
  softwareDriver,
  providerOptions = [],
}: Pick<Benchmark, 'provider' | 'threads' | 'tf32' | 'softwareDriver' | 'providerOptions'>): string {
  const name = PROVIDER_NAMES[provider];
  if (provider === 'cpu') return `${name}, ${formatPlural(threads, 'thread')}`;
  const options = providerOptions.filter((option) => option.name !== 'use_tf32');
  return [
    name,
    ...(softwareDriver === undefined ? [] : [`${softwareDriver}: software, no GPU`]),
    ...(tf32 === undefined ? [] : [`TF32 ${tf32 ? 'on' : 'off'}`]),
    ...options.map((option) => `${option.name}=${option.value}`),
  ].join(', ');
}

/** The same, with the shapes where `all` have several of one place: batches on a card. */
export function placeAmong(benchmark: Benchmark, all: readonly Benchmark[]): string {
  const place = benchmarkPlace(benchmark);
  const isAlone = all.filter((other) => benchmarkPlace(other) === place).length < 2;
  return isAlone ? place : `${formatShapes(benchmark.shapes)}, ${place}`;
}

export function verificationText(verification: Verification): string {
  const difference = formatDifference(verification.difference);
  if (verification.equal) {
    const how = verification.difference === 0 ? 'bitwise' : `max difference ${difference} of the output's scale`;
    return `yes: ${verification.upToTies === true ? 'up to ties, ' : ''}${how}, ${casesText(verification)}`;
  }
  if (verification.reason !== undefined) return `NO: ${verification.reason}`;
  const where = verification.worstOutput === undefined ? '' : ` at ${verification.worstOutput}`;
  return `NO: max difference ${difference} of the output's scale${where}, allowed ${formatDifference(verification.bound)}`;
}

/** `4 inputs x 2 shapes` */
export function casesText({ cases }: Verification): string {
  const perShape = new Map<string, number>();
  for (const { shapes } of cases) perShape.set(JSON.stringify(shapes), (perShape.get(JSON.stringify(shapes)) ?? 0) + 1);
  const [count = 0, ...others] = perShape.values();
  return others.every((other) => other === count)
    ? `${formatPlural(count, 'input')} x ${formatPlural(perShape.size, 'shape')}`
    : `${formatPlural(cases.length, 'input')} over ${formatPlural(perShape.size, 'shape')}`;
}

/** A note, which begins in lower case, where it stands by itself. */
export function asSentence(note: string): string {
  return `${note.charAt(0).toUpperCase()}${note.slice(1)}${/[.?!]$/.test(note) ? '' : '.'}`;
}

/** Why a compilation found nothing to do, as one sentence. */
export function nothingToDoReason(report: CompileReport): string {
  const { zeros, parameters } = report.before;
  const open = report.unreadWeights === undefined ? '' : unreadText(report.unreadWeights);
  if (report.layers.length === 0)
    return `the model has no layer with constant weights of a supported form${open === '' ? '' : `; ${open}`}`;
  if (zeros === 0 && open !== '') return `no weight that was searched is zero; ${open}`;
  if (zeros === 0) return 'no weight is zero: the model is not pruned, or its masks are not in it';
  if (zeros / Math.max(parameters, 1) < 0.001 && open !== '')
    return `only ${formatInteger(zeros)} of ${formatCount(parameters)} parameters are zero; ${open}`;
  if (zeros / Math.max(parameters, 1) < 0.001)
    return `only ${formatInteger(zeros)} of ${formatCount(parameters)} parameters are zero: the model is not pruned, or its masks are not in it`;
  const share = `${formatShare(zeros / Math.max(parameters, 1))} of the parameters are zero`;
  if (report.remarks.some(({ kind, about, node }) => kind === 'missed' && about === 'sparse' && node !== undefined))
    return `${share}, but no layer would be faster with sparse operators (below)`;
  return report.remarks.some(
    ({ kind, cause, channels = 0 }) => kind === 'missed' || (cause !== undefined && channels > 0),
  )
    ? `${share}, and what could go is needed (below)`
    : `${share}, but scattered: no whole channel is`;
}
