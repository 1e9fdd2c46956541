/**
 * The final table of `compile` for a terminal: 80 columns, then the biggest things that could not
 * be done.
 */
import { printable, shown } from '../printable.js';
import { formatInteger, formatPlural } from './numbers.js';
import { maskNotes } from './masks.js';
import { headline, machineText } from './headline.js';
import { pathNote, registrationLines, sparseNotes } from './sparse.js';
import {
  benchmarkPlace,
  inputColumn,
  nothingText,
  nothingTitle,
  nothingToDoReason,
  removedNothing,
  summaryRows,
} from './summary.js';
import { textTable } from './text-table.js';
import type { CompileReport } from './types.js';
import type { Benchmark } from '../bench/results.js';
import type { Remark } from '../../passes/pass.js';
import type { SparseReport } from './sparse.js';

const WIDTH = 80;
const COLUMNS = [{ width: 38 }, { width: 12 }, { width: 12 }, { width: 18 }] as const;
/** Of a text that goes across all columns but the first. */
const TEXT_WIDTH = 42;
const MISSED_REMARKS = 5;

/** What printable() writes for a character that is not seen. */
const ESCAPE = /\\(?:[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|u\{[0-9a-f]+\})/;

/**
 * Shell words of product text: quoted only where a shell would take them apart; characters that are
 * not seen as bash and zsh read them.
 */
export function shellWord(text: string): string {
  const word = printable(text);
  if (ESCAPE.test(word)) return `$'${word.replaceAll("'", String.raw`\'`)}'`;
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** The report as a table for a terminal, at most 80 columns wide. */
export function renderText(given: CompileReport): string {
  const report = shown(given);
  const sparse = report.sparse === undefined ? [] : sparseLines(report.sparse);
  return [...headLines(report), ...noteLines(report), ...sparse, ...missedLines(report), ''].join('\n');
}

function headLines(report: CompileReport): string[] {
  const names = `${report.input} -> ${report.output ?? 'standard output'}`;
  const ownLine = names.length >= COLUMNS[0].width;
  const change = (report.benchmarks ?? []).length > 0 ? 'change [95 % CI]' : '';
  const rows = summaryRows(report).map((row) =>
    'text' in row
      ? [row.label, { content: brokenText(row.text), colSpan: 3 }]
      : [row.label, row.masked, row.compiled, row.change],
  );
  return [
    // Why nothing was done says more.
    ...(removedNothing(report) && report.verification?.equal !== false
      ? nothingLines(report)
      : [...wrapText(headline(report), WIDTH), '']),
    ...(ownLine ? [names] : []),
    ...textTable(COLUMNS, [[ownLine ? '' : names, inputColumn(report), 'compiled', change], ...rows]),
    ...machineLines(report),
  ];
}

/** Times say nothing without it. */
function machineLines({ machine, benchmarks = [] }: CompileReport): string[] {
  if (machine === undefined || benchmarks.length === 0) return [];
  return wrapText(`measured on ${machineText(machine)}`, WIDTH, '  ');
}

/** A test that is too long for its line breaks before its numbers, not inside `p = .69`. */
function brokenText(text: string): string {
  return text.length > TEXT_WIDTH ? text.replace(': t(', ':\nt(') : text;
}

/**
 * What masks and verification left open: a reader of the last row must not take it for more than it
 * is. And how the compiler decided.
 */
function noteLines(report: CompileReport): string[] {
  const { verification, masks, sparse, remarks } = report;
  const reason = removedNothing(report) ? nothingToDoReason(report) : '';
  // How sparse operators were chosen is told with them.
  const isNote = ({ kind, about, message, channels }: Remark) =>
    kind === 'note' && (sparse === undefined || about !== 'sparse') && !reason.includes(message) && channels !== 0;
  const notes = [
    ...(masks === undefined ? [] : maskNotes(masks)),
    ...(verification?.notes ?? []),
    ...benchmarkNotes(report.benchmarks ?? []),
    ...remarks.filter(isNote).map((note) => remarkText(note)),
  ];
  return notes.length === 0 ? [] : ['', ...notes.flatMap((note) => wrapText(`note: ${note}`, WIDTH, '  '))];
}

/**
 * What of a figure is not the provider's that its row names: nodes on the CPU, launches. Each once,
 * whatever the batch.
 */
function benchmarkNotes(benchmarks: readonly Benchmark[]): string[] {
  const elsewhere = benchmarks.filter(({ provider }) => provider !== 'cpu');
  return [
    ...new Set(
      elsewhere.flatMap((benchmark) => benchmark.notes.map((note) => `${benchmarkPlace(benchmark)}: ${note}`)),
    ),
  ];
}

/** Paths and statements are not broken, so that they can be copied. */
function sparseLines(sparse: SparseReport): string[] {
  const lines = registrationLines(sparse).flatMap(([language, line]) =>
    line.split(/(?<=;) /).map((statement, at) => `  ${(at === 0 ? language : '').padEnd(6)}  ${statement}`),
  );
  const notes = sparseNotes(sparse).flatMap((note) => wrapText(`note: ${note}`, WIDTH, '  '));
  return ['', ...notes, `  path    ${sparse.library}${pathNote(sparse)}`, ...lines];
}

function nothingLines(report: CompileReport): string[] {
  const what = report.output === undefined ? 'the output' : report.output;
  return [
    ...wrapText(`${nothingTitle(report)}: ${nothingToDoReason(report)}`, WIDTH),
    ...wrapText(nothingText(report, what), WIDTH),
    '',
  ];
}

/** What could not be done: what is true of the whole model, then what holds most channels. */
export function missedRemarks(remarks: readonly Remark[]): Remark[] {
  const rank = ({ node, cause, channels = 0 }: Remark) =>
    node === undefined && cause === undefined ? Number.MAX_SAFE_INTEGER : channels;
  return remarks.filter(({ kind }) => kind === 'missed').toSorted((one, other) => rank(other) - rank(one));
}

/** The biggest five with their reasons, and where all are. */
function missedLines(report: CompileReport): string[] {
  const groups = alike(missedRemarks(report.remarks));
  if (groups.length === 0) return [];
  const first = groups.slice(0, MISSED_REMARKS);
  const lines = first.flatMap(([remark, ...others]) =>
    wrapText(`missed: ${remarkText(remark, others.length)}`, WIDTH, '  '),
  );
  return ['', ...lines, ...nextLines(report, groups.slice(MISSED_REMARKS).flat().length)];
}

/**
 * Remarks of a pass with one message, in the place of the first: twenty layers that are too small
 * are one thing to be told.
 */
function alike(remarks: readonly Remark[]): [Remark, ...Remark[]][] {
  const groups = new Map<string, [Remark, ...Remark[]]>();
  for (const remark of remarks) {
    const { pass, message, channels, node } = remark;
    const key = JSON.stringify([pass, message, channels, node === undefined]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [remark]);
    else group.push(remark);
  }
  return [...groups.values()];
}

/**
 * `inspect` knows of channels; why layers do not become sparse is known to this compilation alone,
 * and in its reports.
 */
function nextLines(report: CompileReport, hidden: number): string[] {
  const isAboutSparse = report.remarks.some(({ kind, about }) => kind === 'missed' && about === 'sparse');
  const more = `${formatInteger(hidden)} more`;
  if (!isAboutSparse) return [`${hidden > 0 ? more : 'by layer'}: ${inspectCommand(report)}`];
  return hidden > 0 ? [`${more}: the same command with --report report.html lists all`] : [];
}

/** As the command names a model that came through a pipe. */
const STANDARD_INPUT = 'standard input';

/** With the masks of this compilation: without them the model is another one. */
function inspectCommand({ input, masks }: CompileReport): string {
  const files = (masks?.files ?? []).map(({ path }) => ` -m ${shellWord(path)}`).join('');
  const meaning = masks?.meaning === 'drop' ? ' --meaning drop' : '';
  return `prune-compile inspect ${input === STANDARD_INPUT ? '-' : shellWord(input)}${files}${meaning}`;
}

/**
 * The number of channels, unless the message says it itself. `others` are nodes of which the same
 * is true.
 */
export function remarkText({ node, message, channels }: Remark, others = 0): string {
  const isSaid = channels === undefined || channels === 0 || new RegExp(`\\b${channels}\\b`).test(message);
  const count = isSaid ? '' : ` (${formatInteger(channels)} ch.)`;
  const and = others === 0 ? '' : ` and ${formatPlural(others, 'layer')} more`;
  return node === undefined ? `${message}${count}` : `${node}${count}${and}: ${message}`;
}

/** Breaks text at spaces; a word longer than the width stays whole, so that names can be copied. */
export function wrapText(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    const prefix = lines.length === 0 ? '' : indent;
    if (line !== '' && prefix.length + line.length + 1 + word.length > width) {
      lines.push(prefix + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return line === '' ? lines : [...lines, (lines.length === 0 ? '' : indent) + line];
}
