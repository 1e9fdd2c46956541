import { expect, test } from 'vitest';
import { renderHtml } from '../../src/report/html.js';
import { renderJson } from '../../src/report/json.js';
import { escapeMarkdown, renderMarkdown } from '../../src/report/markdown.js';
import { rendererFor } from '../../src/report/render.js';
import type { CompileReport } from '../../src/report/types.js';
import { sparseReport } from '../../src/report/sparse.js';
import { BENCHMARK, MACHINE, REPORT, VERIFICATION } from './sample.js';

const EVIL = `<img src=x onerror="alert('1')">|\`\${x}\`&amp;`;
const [LAYER] = REPORT.layers;

const FULL: CompileReport = { ...REPORT, verification: VERIFICATION, benchmarks: [BENCHMARK] };
const ORIGIN = { machine: MACHINE, date: '2026-11-30T12:34:56.789Z', command: 'prune-compile model.onnx --bench' };
/** Everything that comes from a model, a file name or a message tries to be markup. */
const HOSTILE: CompileReport = {
  ...FULL,
  ...ORIGIN,
  machine: { ...MACHINE, cpu: EVIL },
  command: EVIL,
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

test('html: one file that loads nothing and runs nothing', async () => {
  const page = await renderHtml(FULL);
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

test('html and markdown: each batch of a card has a heading of its own', async () => {
  const batches = [1, 8].map((batch) => ({
    ...BENCHMARK,
    provider: 'cuda' as const,
    tf32: true,
    shapes: { input: [batch, 3, 224, 224] },
  }));
  const report = { ...FULL, benchmarks: [BENCHMARK, ...batches] };
  const [page, text] = [await renderHtml(report), renderMarkdown(report)];
  expect(text.match(/^## Latency, .*$/gm)).toEqual([
    '## Latency, CPU, 1 thread',
    '## Latency, 1x3x224x224, CUDA, TF32 on',
    '## Latency, 8x3x224x224, CUDA, TF32 on',
  ]);
  for (const place of ['CPU, 1 thread', '1x3x224x224, CUDA, TF32 on', '8x3x224x224, CUDA, TF32 on']) {
    expect(page).toContain(`<h2>Latency, ${place}</h2>`);
    expect(page).toContain(`<strong>Latency, ${place}, in milliseconds.</strong>`);
  }
  // The labels of the chart have room for what tells them apart.
  for (const place of ['CPU, 1 thread', '1x3x224x224, CUDA,', '8x3x224x224, CUDA,'])
    expect(page).toContain(`latency, ${place}`);
});

test('html: long names break behind their separators only', async () => {
  const node = '/stages.0/layers_1/Conv__fused';
  const page = await renderHtml({ ...FULL, remarks: [{ pass: 'p', kind: 'missed', node, message: 'kept' }] });
  expect(page).toContain('<td>/stages.<wbr />0/<wbr />layers_<wbr />1/<wbr />Conv__<wbr />fused</td>');
});

test('html: nothing from a model becomes markup', async () => {
  const page = await renderHtml(HOSTILE);
  expect(page).not.toContain('<img');
  // Every tag that is there is one of ours.
  const tags = new Set([...page.matchAll(/<\/?([a-z0-9]+)/gi)].map(([, tag]) => tag));
  expect([...tags].map(String).toSorted((one, other) => (one < other ? -1 : 1))).toEqual([
    'body',
    'code',
    'dd',
    'div',
    'dl',
    'dt',
    'figcaption',
    'figure',
    'footer',
    'g',
    'h1',
    'h2',
    'head',
    'html',
    'i',
    'li',
    'line',
    'main',
    'meta',
    'p',
    'path',
    'span',
    'strong',
    'style',
    'svg',
    'table',
    'tbody',
    'td',
    'text',
    'th',
    'thead',
    'title',
    'tr',
    'ul',
  ]);
});

test('html: charts are drawn of whatever times there are', async () => {
  const times = (samplesMs: readonly number[], medianMs: number) =>
    renderHtml({
      ...FULL,
      benchmarks: [
        { ...BENCHMARK, contenders: BENCHMARK.contenders.map((contender) => ({ ...contender, samplesMs, medianMs })) },
      ],
    });
  for (const page of [await times([], Number.NaN), await times([0, 0], 0), await times([Number.POSITIVE_INFINITY], 1)])
    expect(page).not.toMatch(/NaN|Infinity|undefined/);
  const spiked = await times([10, 10, 900], 10);
  expect(spiked).toContain('3 times beyond the end of the axis are drawn at it');
  expect(spiked.match(/<svg viewBox="0 0 360 \d+"/g)).toHaveLength(4);
});

test('html: the headline, the machine and how to repeat it', async () => {
  const page = await renderHtml({ ...FULL, ...ORIGIN });
  for (const text of [
    '2.1x faster, 56 % smaller, same outputs</h1>',
    'AMD EPYC 9R14, 2 cores, 24.0 GB memory, linux x64, Node 20.20.2, ONNX Runtime 1.30.0',
    '2026-11-30 12:34 UTC',
    'prune-compile model.onnx --bench',
  ])
    expect(page).toContain(text);
});

test('html: text stands at the left, numbers at the right', async () => {
  const page = await renderHtml({ ...FULL, remarks: [{ pass: 'p', kind: 'note', message: 'kept' }] });
  const numeric = [...page.matchAll(/<t[dh] class="n">([^<]*)</g)].map(([, text = '']) => text.trim());
  const words = numeric.filter((text) => text !== '' && !/\d/.test(text));
  // Heads of such columns.
  expect(new Set(words)).toEqual(
    new Set(
      'masked compiled change seed difference median mean sd inputs outputs channels time samples/s load memory file'
        .split(' ')
        .concat('zero weights before'),
    ),
  );
});

test('html: of sparse models weights are kept, not outputs', async () => {
  const [layer] = REPORT.layers;
  const layers = layer === undefined ? [] : [{ ...layer, isSparse: true as const, sparsity: 0.9 }];
  const sparse = sparseReport(1, [], { path: '/lib.so', isFound: true });
  const page = await renderHtml({ ...FULL, layers, sparse });
  expect(page).toContain('Weights kept in each layer');
  expect(page).not.toContain('Channels of each layer');
  expect(page).toMatch(/<td class="n">90\.0 %<\/td>\s*<td class="n">10\.0 %<\/td>/);
});

test('html: why dead channels stay, those that were missed first', async () => {
  const cause = (kind: 'note' | 'missed', name: 'alive' | 'gate' | 'speed', channels: number) =>
    ({
      pass: 'p',
      kind,
      cause: name,
      channels,
      message: 'm',
      layers: [{ node: '/layer1/conv1/Conv', channels }],
    }) as const;
  const remarks = [cause('note', 'alive', 30), cause('missed', 'gate', 2), cause('note', 'speed', 4)];
  const page = await renderHtml({ ...FULL, remarks });
  const at = (text: string) => page.indexOf(`>${text}<`);
  expect(at('their constant is multiplied by data')).toBeGreaterThan(0);
  expect(at('tied to channels that are alive')).toBeGreaterThan(at('their constant is multiplied by data'));
  expect(at('the wider layer is faster')).toBeGreaterThan(at('tied to channels that are alive'));
});

test('markdown: tables with as many cells in every row', () => {
  for (const report of [FULL, HOSTILE]) {
    const text = renderMarkdown(report);
    // Inside a code span, whose fence is longer than any in the command, it is text.
    expect(text.replace(/``.*``/g, '')).not.toContain('<img');
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

test('the extension decides the format', async () => {
  expect(await rendererFor('a.HTML')?.(FULL)).toBe(await renderHtml(FULL));
  expect(await rendererFor('a.md')?.(FULL)).toBe(renderMarkdown(FULL));
  expect(rendererFor('a.pdf')).toBeUndefined();
});
