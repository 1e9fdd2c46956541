/**
 * The report as one HTML file: no scripts, nothing loaded from anywhere, light and dark, fit for
 * printing.
 */
import { describeComparison } from '../bench/describe.js';
import { shown } from '../printable.js';
import { STYLE } from './html-style.js';
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
  benchmarkPlace,
  inputColumn,
  nothingTitle,
  nothingToDoReason,
  removedNothing,
  summaryRows,
  verificationText,
} from './summary.js';
import { evidenceText, maskNotes } from './masks.js';
import { operatorText, pathNote, registrationLines, sparseNotes } from './sparse.js';
import { missedRemarks } from './text.js';
import type { Benchmark } from '../bench/results.js';
import type { CompileReport } from './types.js';
import type { LayerFigures } from '../figures/figures.js';
import type { MaskReport } from '../masking/mask-report.js';
import type { Remark } from '../../passes/pass.js';
import type { SparseReport } from './sparse.js';
import type { Verification } from '../verify/verification.js';

/** Text from models and files must never become markup. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Markup that is safe to put into a page as it is. */
class Html {
  readonly markup: string;
  constructor(markup: string) {
    this.markup = markup;
  }
}

type Part = string | Html | readonly Html[];

/** A template whose holes are escaped unless they are Html themselves. */
function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(texts.map((text, index) => text + markupOf(parts[index] ?? '')).join(''));
}

function markupOf(part: Part): string {
  if (typeof part === 'string') return escapeHtml(part);
  return part instanceof Html ? part.markup : part.map(({ markup }) => markup).join('');
}

const NOTHING = html``;

/**
 * Names of nodes and weights are paths: they break after their separators, where a line is too
 * short, and are copied as they are.
 */
function pathName(name: string): Html {
  const parts = name.split(/(?<=[^/._:][/._:]+)(?=[^/._:])/);
  return html`${parts.map((part, index) => (index === 0 ? html`${part}` : html`<wbr />${part}`))}`;
}

export function renderHtml(given: CompileReport): string {
  const report = shown(given);
  const title = `${report.input} -> ${report.output ?? 'standard output'}`;
  const policy = "default-src 'none'; style-src 'unsafe-inline'";
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="${new Html(policy)}" />
        <meta name="generator" content="prune-compile" />
        <title>${title}</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          ${removedNothing(report) ? html`<p>${asSentence(`${nothingTitle(report)}: ${nothingToDoReason(report)}`)}</p> ` : NOTHING}${summary(report)}
          ${report.sparse === undefined ? NOTHING : sparseSection(report.sparse)}
          ${report.masks === undefined ? NOTHING : masksSection(report.masks)}
          ${report.verification === undefined ? NOTHING : verificationSection(report.verification)}
          ${(report.benchmarks ?? []).map(benchmarkSection)}
          ${report.layers.length === 0 ? NOTHING : layersSection(report.layers)}
          ${report.remarks.length === 0 ? NOTHING : remarksSection(report.remarks)} ${stepsSection(report)}
        </main>
        <footer>${report.tool.name} ${report.tool.version}</footer>
      </body>
    </html> `.markup;
}

function row(cells: readonly (string | Html)[], tag: 'td' | 'th' = 'td'): Html {
  const open = new Html(`<${tag}>`);
  const close = new Html(`</${tag}>`);
  return html`<tr>
    ${cells.map((cell) => html`${open}${cell}${close}`)}
  </tr> `;
}

function table(head: readonly string[], rows: readonly Html[]): Html {
  return html`<div class="scroll">
    <table>
      <thead>
        ${row(head, 'th')}
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}

function summary(report: CompileReport): Html {
  const rows = summaryRows(report).map((entry) =>
    'text' in entry
      ? html`<tr>
          <td>${entry.label}</td>
          <td colspan="3" class="text">${entry.text}</td>
        </tr> `
      : row([entry.label, entry.masked, entry.compiled, entry.change]),
  );
  return table(['', inputColumn(report), 'compiled', 'change'], rows);
}

function masksSection(report: MaskReport): Html {
  const { masks, files } = report;
  const rows = masks.map((mask) =>
    row([
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
    ]),
  );
  const sources = files.map(({ path, format, sha256 }) => html`<li>${path} (${format}, SHA-256 ${sha256})</li> `);
  return html`<h2>Masks</h2>
    <ul>
      ${sources}
    </ul>
    ${maskNotes(report).map((note) => html`<p>${asSentence(note)}</p> `)}${
      rows.length === 0 ? NOTHING : table(['mask', 'weight', 'bound by', 'granularity', 'pruned'], rows)
    }`;
}

function sparseSection(sparse: SparseReport): Html {
  const code = (text: string) => html`<code class="wrap">${text}</code>`;
  const rows = [
    row(['path', html`${code(sparse.library)}${pathNote(sparse)}`]),
    ...registrationLines(sparse).map(([language, line]) => row([language, code(line)])),
  ];
  return html`<h2>Sparse operators</h2>
    ${sparseNotes(sparse).map((note) => html`<p>${asSentence(note)}</p> `)}${table(['', 'registration'], rows)}`;
}

function verificationSection(verification: Verification): Html {
  const rows = verification.cases.map(({ shapes, seed, difference }) =>
    row([formatShapes(shapes), String(seed), formatDifference(difference)]),
  );
  return html`<h2>Verification</h2>
    <p class="${verification.equal ? 'good' : 'bad'}">Outputs equal: ${verificationText(verification)}.</p>
    <p>Allowed: ${formatDifference(verification.bound)} of the output's scale (${verification.boundReason}).</p>
    ${verification.notes.map((note) => html`<p>${asSentence(note)}</p> `)}${table(['shapes', 'seed', 'difference'], rows)}`;
}

function benchmarkSection(benchmark: Benchmark): Html {
  const { contenders, comparisons, rounds, warmUps, shapes, notes } = benchmark;
  const longest = Math.max(
    ...contenders.flatMap(({ interval, medianMs }) => [...interval, medianMs]),
    Number.MIN_VALUE,
  );
  const rows = contenders.map(({ name, medianMs, interval, meanMs, sdMs }) =>
    row([
      name,
      formatMs(medianMs),
      `${formatMs(interval[0])} to ${formatMs(interval[1])}`,
      formatMs(meanMs),
      formatMs(sdMs),
      intervalBar(medianMs / longest, interval[0] / longest, interval[1] / longest),
    ]),
  );
  const verdicts = comparisons.map(
    (comparison) =>
      html`<li>
        ${comparison.contender} against ${comparison.baseline}:
        <strong>${formatSpeedup(comparison.speedup, comparison.interval)}</strong>, ${describeComparison(comparison)}
      </li> `,
  );
  return html`<h2>Latency, ${benchmarkPlace(benchmark)}</h2>
    <p>
      ${formatInteger(rounds)} interleaved rounds after ${formatInteger(warmUps)} warm-ups, at ${formatShapes(shapes)}.
    </p>
    ${table(['model', 'median', '95 % CI', 'mean', 'sd', 'median and its interval'], rows)}
    <ul>
      ${verdicts}
    </ul>
    ${notes.map((note) => html`<p>${asSentence(note)}</p> `)}`;
}

function percent(share: number): string {
  return `${(Math.min(Math.max(Number.isFinite(share) ? share : 0, 0), 1) * 100).toFixed(2)}%`;
}

function intervalBar(median: number, low: number, high: number): Html {
  return html`<span class="bar"
    ><i style="width:${percent(median)}"></i><b style="left:${percent(low)};width:${percent(high - low)}"></b
  ></span>`;
}

function keptBar(kept: number, before: number): Html {
  return html`<span class="bar" role="img" aria-label="${formatShare(kept / Math.max(before, 1))} kept"
    ><i style="width:${percent(kept / Math.max(before, 1))}"></i
  ></span>`;
}

function layersSection(layers: readonly LayerFigures[]): Html {
  const rows = layers.map((layer) =>
    row([
      pathName(layer.node),
      operatorText(layer),
      formatKept(layer.inputChannels, layer.keptInputChannels),
      formatKept(layer.outputChannels, layer.keptOutputChannels),
      keptBar(layer.keptOutputChannels ?? 0, layer.outputChannels),
      formatShare(layer.sparsity),
    ]),
  );
  return html`<h2>Layers</h2>
    ${table(['layer', 'operator', 'inputs', 'outputs', 'outputs kept', 'zero weights before'], rows)}`;
}

function remarksSection(remarks: readonly Remark[]): Html {
  const of = (wanted: Remark['kind']) => remarks.filter(({ kind }) => kind === wanted);
  const sorted = [...of('note'), ...missedRemarks(remarks), ...of('applied')];
  const rows = sorted.map(({ kind, pass, node, message, channels }) =>
    row([
      pathName(node ?? ''),
      html`<span class="${kind}">${kind}</span>`,
      pass,
      channels === undefined ? '' : formatInteger(channels),
      html`<span class="words">${message}</span>`,
    ]),
  );
  return html`<h2>Remarks</h2>
    ${table(['node', 'what', 'pass', 'channels', 'why'], rows)}`;
}

function stepsSection({ steps, options }: CompileReport): Html {
  const rows = steps.map(({ step, ms }) => row([step, formatMs(ms)]));
  return html`<h2>How it was made</h2>
    <p class="wrap">Options: <code>${JSON.stringify(options)}</code></p>
    ${table(['step', 'time'], rows)}`;
}
