/** The report as Markdown: for pull requests and job summaries. */
import { describeComparison } from '../bench/describe.js';
import {
  formatBytes,
  formatDifference,
  formatInteger,
  formatKept,
  formatMs,
  formatShapes,
  formatShare,
  formatSpeedup,
} from './numbers.js';
import { evidenceText, maskNotes } from './masks.js';
import {
  benchmarkPlace,
  inputColumn,
  nothingToDoReason,
  removedNothing,
  summaryRows,
  verificationText,
} from './summary.js';
import { registrationLines, sparseNote } from './sparse.js';
import { missedRemarks, remarkText } from './text.js';
import type { Benchmark, CompileReport, MaskReport, SparseReport, Verification } from './types.js';

export function renderMarkdown(report: CompileReport): string {
  const sections = [
    [`# ${escapeMarkdown(report.input)} -> ${escapeMarkdown(report.output ?? 'standard output')}`],
    ...(removedNothing(report) ? [[`Nothing to remove: ${escapeMarkdown(nothingToDoReason(report))}.`]] : []),
    summarySection(report),
    ...(report.sparse === undefined ? [] : [sparseSection(report.sparse)]),
    ...(report.masks === undefined ? [] : [masksSection(report.masks)]),
    ...(report.verification === undefined ? [] : [verificationSection(report.verification)]),
    ...(report.benchmarks ?? []).map(benchmarkSection),
    layersSection(report),
    remarksSection(report),
    [`${report.tool.name} ${report.tool.version}; ${formatBytes(report.after.sizeBytes)} written.`],
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

/** Names come from models: they must not become markup, nor break a table. */
export function escapeMarkdown(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/[\\`*_{}[\]|#~]/g, String.raw`\$&`)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const rule = head.map((_, index) => (index === 0 ? ' --- |' : ' ---: |')).join('');
  return [tableLine(head), `|${rule}`, ...rows.map(tableLine)];
}

function tableLine(cells: readonly string[]): string {
  return `| ${cells.map(escapeMarkdown).join(' | ')} |`;
}

function summarySection(report: CompileReport): string[] {
  const rows = summaryRows(report);
  const figures = rows.flatMap((row) => ('text' in row ? [] : [[row.label, row.masked, row.compiled, row.change]]));
  const texts = rows.flatMap((row) =>
    'text' in row ? [`- ${escapeMarkdown(row.label === '' ? row.text : `${row.label.trim()}: ${row.text}`)}`] : [],
  );
  return [...table(['', inputColumn(report), 'compiled', 'change'], figures), '', ...texts];
}

function masksSection(report: MaskReport): string[] {
  const { masks, files } = report;
  return [
    '## Masks',
    '',
    ...files.map(({ path, format, sha256 }) => `- ${escapeMarkdown(`${path} (${format}, SHA-256 ${sha256})`)}`),
    ...maskNotes(report).map((note) => `- ${escapeMarkdown(note)}`),
    '',
    ...table(
      ['mask', 'weight', 'bound by', 'granularity', 'pruned'],
      masks.map((mask) => [
        mask.key,
        mask.weight,
        evidenceText(mask),
        mask.granularity,
        formatShare(
          mask.zeros /
            Math.max(
              1,
              mask.shape.reduce((size, extent) => size * extent, 1),
            ),
        ),
      ]),
    ),
  ];
}

function sparseSection(sparse: SparseReport): string[] {
  return [
    '## Sparse operators',
    '',
    ...[sparseNote(sparse), ...sparse.decided].flatMap((note) => [escapeMarkdown(`${note}.`), '']),
    `- path: ${escapeMarkdown(sparse.library)}`,
    ...registrationLines(sparse).map(([language, line]) => `- ${escapeMarkdown(language)}: \`${line}\``),
  ];
}

function verificationSection(verification: Verification): string[] {
  return [
    '## Verification',
    '',
    escapeMarkdown(`Outputs equal: ${verificationText(verification)}.`),
    escapeMarkdown(`Allowed: ${formatDifference(verification.bound)} (${verification.boundReason}).`),
    '',
    ...table(
      ['shapes', 'seed', 'difference'],
      verification.cases.map(({ shapes, seed, difference }) => [
        formatShapes(shapes),
        String(seed),
        formatDifference(difference),
      ]),
    ),
    ...verification.notes.flatMap((note) => ['', escapeMarkdown(note)]),
  ];
}

export function benchmarkSection(benchmark: Benchmark): string[] {
  const { contenders, comparisons, rounds, warmUps, notes } = benchmark;
  return [
    `## Latency, ${escapeMarkdown(benchmarkPlace(benchmark))}`,
    '',
    `${formatInteger(rounds)} interleaved rounds after ${formatInteger(warmUps)} warm-ups, at ${escapeMarkdown(formatShapes(benchmark.shapes))}.`,
    '',
    ...table(
      ['model', 'median', '95 % CI', 'mean', 'sd'],
      contenders.map(({ name, medianMs, interval, meanMs, sdMs }) => [
        name,
        formatMs(medianMs),
        `${formatMs(interval[0])} to ${formatMs(interval[1])}`,
        formatMs(meanMs),
        formatMs(sdMs),
      ]),
    ),
    ...(comparisons.length === 0 ? [] : ['']),
    ...comparisons.map(
      (comparison) =>
        `- ${escapeMarkdown(`${comparison.contender} against ${comparison.baseline}: ${formatSpeedup(comparison.speedup, comparison.interval)}, ${describeComparison(comparison)}`)}`,
    ),
    ...notes.flatMap((note) => ['', escapeMarkdown(note)]),
  ];
}

function layersSection({ layers }: CompileReport): string[] {
  if (layers.length === 0) return [];
  return [
    '## Layers',
    '',
    ...table(
      ['layer', 'operator', 'inputs', 'outputs', 'zero weights before'],
      layers.map((layer) => [
        layer.node,
        layer.opType,
        formatKept(layer.inputChannels, layer.keptInputChannels),
        formatKept(layer.outputChannels, layer.keptOutputChannels),
        formatShare(layer.sparsity),
      ]),
    ),
  ];
}

function remarksSection({ remarks }: CompileReport): string[] {
  const missed = missedRemarks(remarks).map((remark) => `- missed: ${escapeMarkdown(remarkText(remark))}`);
  const applied = remarks
    .filter(({ kind }) => kind === 'applied')
    .map((remark) => `- applied: ${escapeMarkdown(remarkText(remark))}`);
  return missed.length + applied.length === 0 ? [] : ['## Remarks', '', ...missed, ...applied];
}
