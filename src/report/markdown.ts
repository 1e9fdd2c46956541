/** The report as Markdown: for pull requests and job summaries. */
import { describeComparison } from '../bench/describe.js';
import { shown } from '../printable.js';
import {
  formatBytes,
  formatDifference,
  formatInteger,
  formatKept,
  formatShapes,
  formatShare,
  formatSpeedup,
} from './numbers.js';
import { dateText, headline, machineText } from './headline.js';
import { evidenceText, maskNotes } from './masks.js';
import {
  asSentence,
  CONTENDER_HEADS,
  contenderCells,
  inputColumn,
  nothingTitle,
  nothingToDoReason,
  placeAmong,
  removedNothing,
  summaryRows,
  verificationText,
} from './summary.js';
import { operatorText, pathNote, registrationLines, sparseNotes } from './sparse.js';
import { missedRemarks, remarkText } from './text.js';
import type { Head } from './html-template.js';
import type { Benchmark } from '../bench/results.js';
import type { CompileReport } from './types.js';
import type { MaskReport } from '../masking/mask-report.js';
import type { Remark } from '../../passes/pass.js';
import type { SparseReport } from './sparse.js';
import type { Verification } from '../verify/verification.js';

/** The report as Markdown, as `--report FILE.md` writes it. */
export function renderMarkdown(given: CompileReport): string {
  const report = shown(given);
  const sections = [
    [`# ${escapeMarkdown(report.input)} -> ${escapeMarkdown(report.output ?? 'standard output')}`],
    [`**${escapeMarkdown(headline(report))}**`],
    originLines(report),
    ...(removedNothing(report)
      ? [[escapeMarkdown(asSentence(`${nothingTitle(report)}: ${nothingToDoReason(report)}`))]]
      : []),
    summarySection(report),
    ...(report.sparse === undefined ? [] : [sparseSection(report.sparse)]),
    ...(report.masks === undefined ? [] : [masksSection(report.masks)]),
    ...(report.verification === undefined ? [] : [verificationSection(report.verification)]),
    ...(report.benchmarks ?? []).map((benchmark, _at, all) => benchmarkSection(benchmark, placeAmong(benchmark, all))),
    layersSection(report),
    remarksSection(report),
    [`${report.tool.name} ${report.tool.version}; ${formatBytes(report.after.sizeBytes)} written.`],
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

/** On what machine, when, and how to repeat it. */
function originLines({ machine, date, command }: CompileReport): string[] {
  return [
    ...(machine === undefined ? [] : [`- Measured on ${escapeMarkdown(machineText(machine))}`]),
    ...(date === undefined ? [] : [`- ${escapeMarkdown(dateText(date))}`]),
    ...(command === undefined ? [] : [`- To repeat it: ${codeSpan(command)}`]),
  ];
}

/** Names come from models: they must not become markup, nor break a table. */
export function escapeMarkdown(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/[\\`*_{}[\]|#~$]/g, String.raw`\$&`)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

function table(heads: readonly Head[], rows: readonly (readonly string[])[]): string[] {
  const rule = heads.map((head) => (typeof head === 'string' ? ' --- |' : ' ---: |')).join('');
  const names = heads.map((head) => (typeof head === 'string' ? head : head.number));
  return [tableLine(names), `|${rule}`, ...rows.map(tableLine)];
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
  return [
    ...table(['', { number: inputColumn(report) }, { number: 'compiled' }, { number: 'change' }], figures),
    '',
    ...texts,
  ];
}

function masksSection(report: MaskReport): string[] {
  const { masks, files } = report;
  return [
    '## Masks',
    '',
    ...files.map(({ path, format, sha256 }) => `- ${escapeMarkdown(`${path} (${format}, SHA-256 ${sha256})`)}`),
    ...maskNotes(report).map((note) => `- ${escapeMarkdown(asSentence(note))}`),
    '',
    ...table(
      ['mask', 'weight', 'bound by', 'granularity', { number: 'pruned' }],
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
    ...sparseNotes(sparse).flatMap((note) => [escapeMarkdown(asSentence(note)), '']),
    `- path: ${codeSpan(sparse.library)}${pathNote(sparse)}`,
    ...registrationLines(sparse).map(([language, line]) => `- ${escapeMarkdown(language)}: ${codeSpan(line)}`),
  ];
}

/** Nothing inside is markup, as long as the fence is longer than any run of backticks in it. */
function codeSpan(text: string): string {
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  const padding = longest === 0 ? '' : ' ';
  return `${fence}${padding}${text}${padding}${fence}`;
}

function verificationSection(verification: Verification): string[] {
  return [
    '## Verification',
    '',
    escapeMarkdown(`Outputs equal: ${verificationText(verification)}.`),
    escapeMarkdown(`Allowed: ${formatDifference(verification.bound)} (${verification.boundReason}).`),
    '',
    ...table(
      ['shapes', { number: 'seed' }, { number: 'difference' }],
      verification.cases.map(({ shapes, seed, difference }) => [
        formatShapes(shapes),
        String(seed),
        formatDifference(difference),
      ]),
    ),
    ...verification.notes.flatMap((note) => ['', escapeMarkdown(asSentence(note))]),
  ];
}

function benchmarkSection(benchmark: Benchmark, place: string): string[] {
  const { contenders, comparisons, rounds, warmUps, notes } = benchmark;
  return [
    `## Latency, ${escapeMarkdown(place)}`,
    '',
    `${formatInteger(rounds)} interleaved rounds after ${formatInteger(warmUps)} warm-ups, at ${escapeMarkdown(formatShapes(benchmark.shapes))}.`,
    '',
    ...table(['model', ...CONTENDER_HEADS.map((number) => ({ number }))], contenders.map(contenderCells)),
    ...(comparisons.length === 0 ? [] : ['']),
    ...comparisons.map(
      (comparison) =>
        `- ${escapeMarkdown(`${comparison.contender} against ${comparison.baseline}: ${formatSpeedup(comparison.speedup, comparison.interval)}, ${describeComparison(comparison)}`)}`,
    ),
    ...notes.flatMap((note) => ['', escapeMarkdown(asSentence(note))]),
  ];
}

function layersSection({ layers }: CompileReport): string[] {
  if (layers.length === 0) return [];
  return [
    '## Layers',
    '',
    ...table(
      ['layer', 'operator', { number: 'inputs' }, { number: 'outputs' }, { number: 'zero weights before' }],
      layers.map((layer) => [
        layer.node,
        operatorText(layer),
        formatKept(layer.inputChannels, layer.keptInputChannels),
        formatKept(layer.outputChannels, layer.keptOutputChannels),
        formatShare(layer.sparsity),
      ]),
    ),
  ];
}

function remarksSection({ remarks }: CompileReport): string[] {
  const of = (wanted: Remark['kind']) => remarks.filter(({ kind }) => kind === wanted);
  const lines = [...of('note'), ...missedRemarks(remarks), ...of('applied')].map(
    (remark) => `- ${remark.kind}: ${escapeMarkdown(remarkText(remark))}`,
  );
  return lines.length === 0 ? [] : ['## Remarks', '', ...lines];
}
