/**
 * Names of models, keys of masks and paths in every place of every output: nothing that a terminal
 * or a page obeys comes through.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { renderFailure, renderFailureJson, failureOf } from '../../src/cli/failure.js';
import { PruneCompileError } from '../../src/errors.js';
import { inspectModel } from '../../src/inspect.js';
import { printable } from '../../src/printable.js';
import { renderHtml } from '../../src/report/html.js';
import { renderExplanation, renderInspection } from '../../src/report/inspection.js';
import { renderJson } from '../../src/report/json.js';
import { renderMarkdown } from '../../src/report/markdown.js';
import { type MaskMaking, renderMaskMaking } from '../../src/report/mask-making.js';
import { renderBenchmarks, renderVerification } from '../../src/report/measurements.js';
import { sparseReport } from '../../src/report/sparse.js';
import { renderText, shellWord } from '../../src/report/text.js';
import type { CompileReport } from '../../src/report/types.js';
import type { MaskReport } from '../../src/masking/mask-report.js';
import { explainNode } from '../../src/why.js';
import { run } from '../cli/run-command.js';
import { BENCHMARK, DIFFERENT, REPORT, VERIFICATION } from './sample.js';

/**
 * Escape sequences, C1, a bidi override, line breaks of all kinds, what no eye sees, half a
 * surrogate pair; and Markdown and HTML.
 */
const EVIL = 'a\u001B[2J\u009B31m\u202Eb\n\r\u2028\u200B\u0000\uD800|`<b>\u001B]0;t\u0007\u{E0041}z';
const SHOWN =
  String.raw`a\x1b[2J\x9b31m\u202eb\n\r\u2028\u200b\x00\ud800|` + '`<b>' + String.raw`\x1b]0;t\x07\u{e0041}z`;
// Escapes, because it is about what is not to be seen.
const UNSEEN = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

/** Every text becomes hostile, but for those that a renderer decides by. */
function hostile<Data>(data: Data): Data {
  return replaced(data) as Data;
}

const DECIDING = new Set([
  'kind',
  'provider',
  'verdict',
  'evidence',
  'granularity',
  'meaning',
  'unit',
  'state',
  'scope',
  'groups',
  'about',
  'values',
  // By these a renderer finds the rows of a benchmark.
  'name',
  'baseline',
  'contender',
]);

function replaced(value: unknown, name?: string): unknown {
  if (typeof value === 'string') return name !== undefined && DECIDING.has(name) ? value : `${value}${EVIL}`;
  if (Array.isArray(value)) return value.map((entry) => replaced(entry, name));
  // The tool is ourselves.
  if (typeof value !== 'object' || value === null || name === 'tool') return value;
  const isByName = name === 'macsShape' || name === 'shapes';
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [isByName ? `${key}${EVIL}` : key, replaced(entry, key)]),
  );
}

const MASKS: MaskReport = {
  meaning: 'drop',
  files: [{ path: 'm.npz', format: 'npz', sha256: '0', tensors: [] }],
  masks: [
    {
      file: 'm.npz',
      key: 'conv.weight',
      weight: 'w',
      node: 'conv',
      shape: [2, 2],
      evidence: 'name',
      granularity: 'element',
      zeros: 1,
      isFromZeros: false,
      values: 'different',
    },
  ],
  zeros: 1,
  unmatched: ['other'],
  unmaskedLayers: ['fc'],
  droppedFilters: 1,
};

const FULL: CompileReport = {
  ...REPORT,
  masks: MASKS,
  verification: VERIFICATION,
  benchmarks: [BENCHMARK],
  sparse: sparseReport(1, ['by a table'], { path: '/lib.so', isFound: true }),
  remarks: [
    { pass: 'p', kind: 'missed', node: 'n', message: 'm', channels: 2 },
    { pass: 'p', kind: 'note', message: 'm' },
    { pass: 'p', kind: 'applied', node: 'n', message: 'm' },
  ],
};

const MAKING: MaskMaking = {
  model: 'm.onnx',
  output: 'm.npz',
  sizeBytes: 1,
  options: {
    granularity: 'filter',
    criterion: 'l1',
    ratio: 0.5,
    scope: 'layer',
    groups: 'none',
    widthMultiple: 1,
    meaning: 'drop',
  },
  unit: 'filter',
  layers: [
    {
      node: 'n',
      opType: 'Conv',
      mask: 'n.weight',
      shape: [2, 2],
      units: 2,
      masked: 1,
      zeros: 2,
      outputChannels: 2,
      removable: 1,
    },
  ],
  skipped: [{ node: 'fc', why: 'excluded' }],
  before: { parameters: 4, macs: 4, channels: 2 },
  after: { parameters: 2, macs: 2, channels: 1 },
  removableChannels: 1,
  stays: [{ pass: 'p', kind: 'missed', node: 'n', message: 'm' }],
  zeros: 2,
  weights: 4,
} as unknown as MaskMaking;

describe('no renderer lets through what is not to be seen', () => {
  test.each([
    ['text', () => renderText(hostile(FULL))],
    ['text where nothing was done', () => renderText(hostile({ ...FULL, changed: false, edits: [] }))],
    ['text where outputs differ', () => renderText(hostile({ ...FULL, verification: { ...DIFFERENT, reason: 'r' } }))],
    ['Markdown', () => renderMarkdown(hostile(FULL))],
    ['HTML', () => renderHtml(hostile(FULL))],
    ['JSON', () => renderJson(hostile(FULL))],
    ['mask', () => renderMaskMaking(hostile(MAKING))],
    ['verify', () => renderVerification(hostile({ ...VERIFICATION, notes: ['n'] }), `a${EVIL}`, `b${EVIL}`)],
    ['bench', () => renderBenchmarks([hostile({ ...BENCHMARK, notes: ['n'] })])],
  ])('%s', async (_, render) => {
    const text = await render();
    expect(UNSEEN.exec(text)?.[0]).toBeUndefined();
    expect(text).toContain('u202e');
  });

  test('JSON says the names as they are', () => {
    expect(JSON.parse(renderJson(hostile(FULL)))).toEqual(hostile(FULL));
  });

  test('no name makes a line, a row or a cell of its own', async () => {
    const count = (text: string, pattern: RegExp) => text.match(pattern)?.length;
    const cells = /(?<!\\)\|/g;
    const tables = (text: string) => text.replace(/^[^|].*$/gm, '');
    expect(count(renderMarkdown(hostile(FULL)), /\n/g)).toBe(count(renderMarkdown(FULL), /\n/g));
    expect(count(tables(renderMarkdown(hostile(FULL))), cells)).toBe(count(tables(renderMarkdown(FULL)), cells));
    // Inside a code span, whose fence is longer than any in the name, it is text.
    expect(renderMarkdown(hostile(FULL)).replace(/``.*``/g, '')).not.toContain('<b>');
    expect(await renderHtml(hostile(FULL))).not.toMatch(/<b>(?!<)/);
  });
});

/** A file holds no half of a surrogate pair, and to ONNX Runtime a name ends at NUL. */
const IN_FILE = EVIL.replace(/[\0\uD800]/g, '');
const IN_FILE_SHOWN = SHOWN.replace(String.raw`\x00\ud800`, '');

/** conv (two of its filters are zero) -> Relu -> conv, both convolutions of hostile names. */
function model(): Uint8Array {
  const g = graphBuilder();
  const weights = (rows: number, zero: number) => ({
    data: Array.from({ length: rows * 4 }, (_, at) => (at < zero * 4 ? 0 : 1)),
    dims: [rows, 4, 1, 1],
  });
  const hidden = g.relu(g.conv(g.input('x', [1, 4, 5, 5]), weights(4, 2), { name: `first${IN_FILE}` }));
  g.output(g.conv(hidden, weights(3, 0), { name: `second${IN_FILE}` }));
  return g.bytes();
}

test('inspect shows names escaped; why takes them as they are, and as they are shown', async () => {
  const text = renderInspection({ ...(await inspectModel(model(), { align: 'auto' })), model: EVIL });
  expect(UNSEEN.exec(text)?.[0]).toBeUndefined();
  expect(text).toContain(`Conv first${IN_FILE_SHOWN}`);
  for (const name of [`first${IN_FILE}`, `first${IN_FILE_SHOWN}`]) {
    const why = renderExplanation(await explainNode(model(), name));
    expect(UNSEEN.exec(why)?.[0]).toBeUndefined();
    expect(why).toContain(`first${IN_FILE_SHOWN}: 2 of 4 channels can be removed\n`);
  }
});

test('errors: printed, as JSON and as messages', () => {
  const error = new PruneCompileError('E-MASK-NO-MATCH', { what: `no ${EVIL}`, facts: [[`where${EVIL}`, EVIL]] });
  const plain = (text: string) => text;
  const failure = failureOf(error, []);
  const printed = renderFailure(failure, { red: plain, dim: plain, bold: plain } as never);
  expect(printed.split('\n')).toHaveLength(3);
  expect(printed).toContain(`prune-compile: no ${SHOWN}    [E-MASK-NO-MATCH]\n`);
  for (const text of [printed, renderFailureJson(failure), error.message])
    expect(UNSEEN.exec(text)?.[0]).toBeUndefined();
  expect(error.what).toBe(`no ${EVIL}`);
  expect(JSON.parse(renderFailureJson(failure))).toMatchObject({ error: { what: `no ${EVIL}` } });
  const bug = renderFailure(failureOf(new Error(EVIL), [EVIL]), { red: plain, dim: plain, bold: plain } as never);
  expect(UNSEEN.exec(bug)?.[0]).toBeUndefined();
});

test('the command: steps, paths that are not there, wrong options', async () => {
  for (const words of [
    [`${EVIL}.onnx`],
    ['why', 'model.onnx', EVIL],
    [`--${EVIL}`],
    ['compile', 'x.onnx', '--align', EVIL],
  ]) {
    const { stdout, stderr } = await run(words);
    expect(UNSEEN.exec(stdout + stderr)?.[0]).toBeUndefined();
  }
});

test('a command to be copied has the name in the quotes of bash', () => {
  expect(shellWord('a/b.onnx')).toBe('a/b.onnx');
  expect(shellWord("it's")).toBe(String.raw`'it'\''s'`);
  expect(shellWord("it's\u001B\n")).toBe(String.raw`$'it\'s\x1b\n'`);
  expect(shellWord(printable('\u202E'))).toBe(String.raw`$'\u202e'`);
});
