/**
 * The report as one HTML file: no scripts, nothing loaded from anywhere, light and dark, fit for
 * printing.
 */
import { describeComparison } from '../bench/describe.js';
import { shown } from '../printable.js';
import { type Figure, layerFigures, mainFigures } from './charts/figures.js';
import { headline } from './headline.js';
import { figuresSection, originSection, page } from './html-page.js';
import { type Head, type Html, html, NOTHING, pathName, table } from './html-template.js';
import {
  formatDifference,
  formatInteger,
  formatKept,
  formatMs,
  formatShapes,
  formatShare,
  formatSpeedup,
} from './numbers.js';
import {
  asSentence,
  CONTENDER_HEADS,
  contenderCells,
  FURTHER,
  inputColumn,
  nothingTitle,
  nothingToDoReason,
  placeAmong,
  removedNothing,
  summaryRows,
  verificationText,
} from './summary.js';
import { evidenceText, maskNotes } from './masks.js';
import { operatorText, pathNote, registrationLines, sparseNotes } from './sparse.js';
import { missedRemarks } from './text.js';
import type { Benchmark } from '../bench/results.js';
import type { CompileReport } from './types.js';
import type { MaskReport } from '../masking/mask-report.js';
import type { Remark } from '../../passes/pass.js';
import type { SparseReport } from './sparse.js';
import type { Verification } from '../verify/verification.js';

/** The report as one HTML page with charts, as `--report FILE.html` writes it. */
export async function renderHtml(given: CompileReport): Promise<string> {
  const report = shown(given);
  const [main, layers] = [await mainFigures(report), await layerFigures(report)];
  const title = `${report.input} -> ${report.output ?? 'standard output'}`;
  return page({
    heading: headline(report),
    isBad: report.verification?.equal === false,
    title,
    tool: report.tool,
    body: html`${removedNothing(report) ? html`<p>${asSentence(`${nothingTitle(report)}: ${nothingToDoReason(report)}`)}</p> ` : NOTHING}${originSection(report)}${figuresSection(main)}
    ${summary(report)} ${report.sparse === undefined ? NOTHING : sparseSection(report.sparse)}
    ${report.layers.length === 0 ? NOTHING : layersSection(report, layers)}
    ${(report.benchmarks ?? []).map((benchmark, _at, all) => benchmarkSection(benchmark, placeAmong(benchmark, all)))}
    ${report.verification === undefined ? NOTHING : verificationSection(report.verification)}
    ${report.masks === undefined ? NOTHING : masksSection(report.masks)}
    ${report.remarks.length === 0 ? NOTHING : remarksSection(report.remarks)} ${stepsSection(report)}`,
  });
}

function summary(report: CompileReport): Html {
  const rows = summaryRows(report).map((entry) =>
    'text' in entry
      ? html`<tr>
          <td>${entry.label}</td>
          <td colspan="3">${entry.text}</td>
        </tr> `
      : html`<tr>
          <td>${entry.label}</td>
          <td class="n">${entry.masked}</td>
          <td class="n">${entry.compiled}</td>
          <td class="n">${entry.change}</td>
        </tr> `,
  );
  return html`<div class="scroll">
    <table class="wide">
      <thead>
        <tr>
          <th></th>
          <th class="n">${inputColumn(report)}</th>
          <th class="n">compiled</th>
          <th class="n">change</th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}

function masksSection(report: MaskReport): Html {
  const { masks, files } = report;
  const rows = masks.map((mask) => [
    pathName(mask.key),
    pathName(mask.weight),
    evidenceText(mask),
    `${mask.granularity}${mask.isFromZeros ? ' (zeros of the checkpoint)' : ''}`,
    formatShare(
      mask.zeros /
        Math.max(
          1,
          mask.shape.reduce((size, extent) => size * extent, 1),
        ),
    ),
  ]);
  const sources = files.map(({ path, format, sha256 }) => html`<li>${path} (${format}, SHA-256 ${sha256})</li> `);
  return html`<h2>Masks</h2>
    <ul>
      ${sources}
    </ul>
    ${maskNotes(report).map((note) => html`<p>${asSentence(note)}</p> `)}${
      rows.length === 0 ? NOTHING : table(['mask', 'weight', 'bound by', 'granularity', { number: 'pruned' }], rows)
    }`;
}

function sparseSection(sparse: SparseReport): Html {
  const code = (text: string) => html`<code class="wrap">${text}</code>`;
  const rows = [
    ['path', html`${code(sparse.library)}${pathNote(sparse)}`],
    ...registrationLines(sparse).map(([language, line]) => [language, code(line)]),
  ];
  return html`<h2>Sparse operators</h2>
    ${sparseNotes(sparse).map((note) => html`<p>${asSentence(note)}</p> `)}${table(['', 'registration'], rows)}`;
}

function verificationSection(verification: Verification): Html {
  const rows = verification.cases.map(({ shapes, seed, difference }) => [
    formatShapes(shapes),
    String(seed),
    formatDifference(difference),
  ]);
  return html`<h2>Verification</h2>
    <p class="${verification.equal ? 'good' : 'bad'}">Outputs equal: ${verificationText(verification)}.</p>
    <p>Allowed: ${formatDifference(verification.bound)} of the output's scale (${verification.boundReason}).</p>
    ${verification.notes.map((note) => html`<p>${asSentence(note)}</p> `)}${table(['shapes', { number: 'seed' }, { number: 'difference' }], rows)}`;
}

function benchmarkSection(benchmark: Benchmark, place: string): Html {
  const { contenders, comparisons, rounds, warmUps, shapes, notes } = benchmark;
  const cells = contenders.map(contenderCells);
  // Two tables: one would be wider than a sheet of paper.
  const times = CONTENDER_HEADS.slice(0, -FURTHER.length);
  const verdicts = comparisons.map(
    (comparison) =>
      html`<li>
        ${comparison.contender} against ${comparison.baseline}:
        <strong>${formatSpeedup(comparison.speedup, comparison.interval)}</strong>, ${describeComparison(comparison)}
      </li> `,
  );
  return html`<h2>Latency, ${place}</h2>
    <p>
      ${formatInteger(rounds)} interleaved rounds after ${formatInteger(warmUps)} warm-ups, at ${formatShapes(shapes)}.
    </p>
    ${table(
      ['model', ...times.map((number) => ({ number }))],
      cells.map((row) => row.slice(0, 1 + times.length)),
    )}
    ${table(
      ['model', ...FURTHER.map((number) => ({ number }))],
      cells.map(([name = '', ...row]) => [name, ...row.slice(times.length)]),
    )}
    <ul>
      ${verdicts}
    </ul>
    ${notes.map((note) => html`<p>${asSentence(note)}</p> `)}`;
}

function layersSection({ layers, sparse }: CompileReport, figures: readonly Figure[]): Html {
  const rows = layers.map((layer) => [
    pathName(layer.node),
    operatorText(layer),
    formatKept(layer.inputChannels, layer.keptInputChannels),
    formatKept(layer.outputChannels, layer.keptOutputChannels),
    formatShare(layer.sparsity),
    ...(sparse === undefined ? [] : [layer.isSparse === true ? formatShare(1 - layer.sparsity) : 'all']),
  ]);
  const heads: Head[] = [
    'layer',
    'operator',
    { number: 'inputs' },
    { number: 'outputs' },
    { number: 'zero weights before' },
  ];
  return html`<h2>Layers</h2>
    ${figuresSection(figures)}${table(sparse === undefined ? heads : [...heads, { number: 'weights kept' }], rows)}`;
}

function remarksSection(remarks: readonly Remark[]): Html {
  const of = (wanted: Remark['kind']) => remarks.filter(({ kind }) => kind === wanted);
  const sorted = [...of('note'), ...missedRemarks(remarks), ...of('applied')];
  const rows = sorted.map(({ kind, pass, node, message, channels }) => [
    pathName(node ?? ''),
    html`<span class="${kind}">${kind}</span>`,
    pass,
    channels === undefined ? '' : formatInteger(channels),
    html`<span class="words">${message}</span>`,
  ]);
  return html`<h2>Remarks</h2>
    ${table(['node', 'what', 'pass', { number: 'channels' }, 'why'], rows)}`;
}

function stepsSection({ steps, options }: CompileReport): Html {
  const rows = steps.map(({ step, ms }) => [step, formatMs(ms)]);
  return html`<h2>How it was made</h2>
    <p class="wrap">Options: <code>${JSON.stringify(options)}</code></p>
    ${table(['step', { number: 'time' }], rows)}`;
}
