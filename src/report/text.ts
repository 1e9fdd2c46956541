/** The final table of `compile` for a terminal: 80 columns, then the biggest things that could not be done. */
import { formatInteger } from './numbers.js';
import { maskNotes } from './masks.js';
import { registrationLines, sparseNote } from './sparse.js';
import { inputColumn, nothingText, nothingToDoReason, removedNothing, summaryRows } from './summary.js';
import { textTable } from './text-table.js';
import type { CompileReport, Remark, SparseReport } from './types.js';

const WIDTH = 80;
const COLUMNS = [{ width: 38 }, { width: 12 }, { width: 12 }, { width: 18 }] as const;
/** Of a text that goes across all columns but the first. */
const TEXT_WIDTH = 42;
const MISSED_REMARKS = 5;

/** Shell words of product text: quoted only where a shell would take them apart. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

export function renderText(report: CompileReport): string {
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
    ...(removedNothing(report) ? nothingLines(report) : []),
    ...(ownLine ? [names] : []),
    ...textTable(COLUMNS, [[ownLine ? '' : names, inputColumn(report), 'compiled', change], ...rows]),
  ];
}

/** A test that is too long for its line breaks before its numbers, not inside `p = .69`. */
function brokenText(text: string): string {
  return text.length > TEXT_WIDTH ? text.replace(': t(', ':\nt(') : text;
}

/** What masks and verification left open: a reader of the last row must not take it for more than it is. */
function noteLines(report: CompileReport): string[] {
  const { verification, masks } = report;
  const notes = [...(masks === undefined ? [] : maskNotes(masks)), ...(verification?.notes ?? [])];
  return notes.length === 0 ? [] : ['', ...notes.flatMap((note) => wrapText(`note: ${note}`, WIDTH, '  '))];
}

/** A path is not broken, so that it can be copied. */
function sparseLines(sparse: SparseReport): string[] {
  const lines = registrationLines(sparse).map(([language, line]) => `  ${language.padEnd(6)}  ${line}`);
  const notes = [sparseNote(sparse), ...sparse.decided].flatMap((note) => wrapText(`note: ${note}`, WIDTH, '  '));
  return ['', ...notes, `  path    ${sparse.library}`, ...lines];
}

function nothingLines(report: CompileReport): string[] {
  const what = report.output === undefined ? 'the output' : report.output;
  return [
    ...wrapText(`nothing to remove: ${nothingToDoReason(report)}`, WIDTH),
    ...wrapText(nothingText(report, what), WIDTH),
    '',
  ];
}

/** What could not be done: what is true of the whole model, then layers, most channels first. */
export function missedRemarks(remarks: readonly Remark[]): Remark[] {
  const rank = ({ node, channels = 0 }: Remark) => (node === undefined ? Number.MAX_SAFE_INTEGER : channels);
  return remarks.filter(({ kind }) => kind === 'missed').toSorted((one, other) => rank(other) - rank(one));
}

/** The biggest five with their reasons, and the command that shows all. */
function missedLines(report: CompileReport): string[] {
  const missed = missedRemarks(report.remarks);
  if (missed.length === 0) return [];
  const shown = missed.slice(0, MISSED_REMARKS);
  const lines = shown.flatMap((remark) => wrapText(`missed: ${remarkText(remark)}`, WIDTH, '  '));
  const more = missed.length > shown.length ? `${formatInteger(missed.length - shown.length)} more` : 'by layer';
  return ['', ...lines, `${more}: ${inspectCommand(report)}`];
}

/** As the command names a model that came through a pipe. */
const STANDARD_INPUT = 'standard input';

/** With the masks of this compilation: without them the model is another one. */
function inspectCommand({ input, masks }: CompileReport): string {
  const files = (masks?.files ?? []).map(({ path }) => ` -m ${shellWord(path)}`).join('');
  const meaning = masks?.meaning === 'drop' ? ' --meaning drop' : '';
  return `prune-compile inspect ${input === STANDARD_INPUT ? '-' : shellWord(input)}${files}${meaning}`;
}

/** The number of channels, unless the message says it itself. */
export function remarkText({ node, message, channels }: Remark): string {
  const isSaid = channels === undefined || channels === 0 || new RegExp(`\\b${channels}\\b`).test(message);
  const count = isSaid ? '' : ` (${formatInteger(channels)} ch.)`;
  return node === undefined ? `${message}${count}` : `${node}${count}: ${message}`;
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
