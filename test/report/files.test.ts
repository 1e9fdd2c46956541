import { expect, test } from 'vitest';
import { renderHtml } from '../../src/report/html.js';
import { renderJson } from '../../src/report/json.js';
import { escapeMarkdown, renderMarkdown } from '../../src/report/markdown.js';
import { rendererFor } from '../../src/report/render.js';
import type { CompileReport } from '../../src/report/types.js';
import { BENCHMARK, REPORT, VERIFICATION } from './sample.js';

const EVIL = `<img src=x onerror="alert('1')">|\`\${x}\`&amp;`;
const [LAYER] = REPORT.layers;

const FULL: CompileReport = { ...REPORT, verification: VERIFICATION, benchmarks: [BENCHMARK] };
/** Everything that comes from a model, a file name or a message tries to be markup. */
const HOSTILE: CompileReport = {
  ...FULL,
  input: EVIL,
  output: EVIL,
  options: { [EVIL]: EVIL },
  macsShape: { [EVIL]: [1], other: [2] },
  layers: LAYER === undefined ? [] : [{ ...LAYER, node: EVIL, opType: EVIL }],
  remarks: [{ pass: EVIL, kind: 'missed', node: EVIL, message: EVIL }],
  verification: { ...VERIFICATION, boundReason: EVIL, notes: [EVIL] },
  benchmarks: [{ ...BENCHMARK, notes: [EVIL] }],
};

test('json: the report itself, lists of numbers on one line', () => {
  const text = renderJson(FULL);
  expect(JSON.parse(text)).toEqual(FULL);
  expect(text).toContain('"samplesMs": [36, 36.4]');
  expect(JSON.parse(renderJson({ text: '[\n1,\n2\n]' }))).toEqual({ text: '[\n1,\n2\n]' });
});

test('html: one file that loads nothing and runs nothing', () => {
  const page = renderHtml(FULL);
  expect(page).not.toMatch(/<script|<link|@import|url\(|https?:|src=/i);
  expect(page).toContain("default-src 'none'");
  expect(page).toContain('prefers-color-scheme: dark');
  expect(page).toContain('@media print');
  for (const text of [
    '25.56 M',
    '2.09x [2.05, 2.12]',
    'faster: t(30) = 98.0, p &#60; .001',
    '/layer1/<wbr />conv1/<wbr />Conv',
    '64 → 32',
    'Outputs equal: yes',
  ])
    expect(page).toContain(text);
});

test('html: long names break behind their separators only', () => {
  const node = '/stages.0/layers_1/Conv__fused';
  const page = renderHtml({ ...FULL, remarks: [{ pass: 'p', kind: 'missed', node, message: 'kept' }] });
  expect(page).toContain('<td>/stages.<wbr />0/<wbr />layers_<wbr />1/<wbr />Conv__<wbr />fused</td>');
});

test('html: nothing from a model becomes markup', () => {
  const page = renderHtml(HOSTILE);
  expect(page).not.toContain('<img');
  // Every tag that is there is one of ours.
  const tags = new Set([...page.matchAll(/<\/?([a-z0-9]+)/gi)].map(([, tag]) => tag));
  expect([...tags].map(String).toSorted((one, other) => (one < other ? -1 : 1))).toEqual([
    'b',
    'body',
    'code',
    'div',
    'footer',
    'h1',
    'h2',
    'head',
    'html',
    'i',
    'li',
    'main',
    'meta',
    'p',
    'span',
    'strong',
    'style',
    'table',
    'tbody',
    'td',
    'th',
    'thead',
    'title',
    'tr',
    'ul',
  ]);
});

test('html: bars stay inside their track', () => {
  const broken = {
    ...BENCHMARK,
    contenders: BENCHMARK.contenders.map((contender) => ({ ...contender, medianMs: Number.NaN })),
  };
  const widths = [...renderHtml({ ...FULL, benchmarks: [broken] }).matchAll(/(?:width|left):([\d.]+|NaN)%/g)].map(
    ([, width]) => Number(width),
  );
  expect(widths.length).toBeGreaterThan(0);
  expect(widths.every((width) => width >= 0 && width <= 100)).toBe(true);
});

test('markdown: tables with as many cells in every row', () => {
  for (const report of [FULL, HOSTILE]) {
    const text = renderMarkdown(report);
    expect(text).not.toContain('<img');
    for (const block of text.split('\n\n').filter((part) => part.startsWith('|'))) {
      const cells = block.split('\n').map((line) => line.replaceAll(/\\./g, '').split('|').length);
      expect(new Set(cells).size).toBe(1);
    }
  }
});

test('markdown: t and p of every comparison', () => {
  expect(renderMarkdown(FULL)).toContain(
    '- compiled against masked: 2.09x \\[2.05, 2.12\\], faster: t(30) = 98.0, p &lt; .001\n',
  );
  expect(renderMarkdown(FULL)).toContain('| masked | compiled | change |');
  expect(renderMarkdown({ ...FULL, changed: false })).toContain('| input | compiled | change |');
});

test('markdown escapes what would be markup', () => {
  expect(escapeMarkdown('a|b\n<c> *d*')).toBe(String.raw`a\|b &lt;c&gt; \*d\*`);
});

test('the extension decides the format', () => {
  expect(rendererFor('a.HTML')).toBe(renderHtml);
  expect(rendererFor('a.pdf')).toBeUndefined();
});
