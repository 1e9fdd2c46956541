import { expect, test } from 'vitest';
import { renderHtml } from '../../src/report/html.js';
import { renderJson } from '../../src/report/json.js';
import { renderMarkdown } from '../../src/report/markdown.js';
import { renderExplanation, renderInspection, formatRanges } from '../../src/report/inspection.js';
import { renderBenchmarks, renderVerification } from '../../src/report/measurements.js';
import { sparseReport } from '../../src/report/sparse.js';
import { renderText, shellWord, wrapText } from '../../src/report/text.js';
import type { ModelFigures } from '../../src/figures/figures.js';
import { BENCHMARK, DIFFERENT, REPORT, VERIFICATION } from './sample.js';

const lines = (text: string) => text.split('\n');
const fits = (text: string) => expect(lines(text).filter((line) => line.length > 80)).toEqual([]);

test('the final table, whole', () => {
  const text = renderText({ ...REPORT, verification: VERIFICATION, benchmarks: [BENCHMARK] });
  expect(lines(text)).toEqual([
    '2.1x faster, 56 % smaller, same outputs',
    '',
    'model.onnx -> model.pruned.onnx       masked      compiled    change [95 % CI]',
    'parameters                            25.56 M     11.21 M     -56.1 %',
    'MACs (1x3x224x224)                    4.09 G      1.71 G      -58.2 %',
    'file size                             102.5 MB    45.0 MB     -56.1 %',
    'channels                              26 560      17 344      -9 216',
    'meaning of masks                      zero: bias and BN shift stay',
    'latency, CPU, 1 thread (median of 31) 36.1 ms     17.3 ms     2.09x [2.05, 2.12]',
    '  significance                        faster: t(30) = 98.0, p < .001',
    '  the same without zeros (dense)      36.0 ms',
    "outputs equal                         yes: max difference 3.1e-7 of the output's",
    '                                      scale, 4 inputs x 2 shapes',
    '',
  ]);
  fits(text);
});

test('long names get a line of their own, nothing passes 80 columns', () => {
  const text = renderText({
    ...REPORT,
    input: 'a-model-with-a-long-name.onnx',
    output: 'a-model-with-a-long-name.pruned.onnx',
    macsShape: { tokens: [1, 512], mask: [1, 512], positions: [1, 512] },
    benchmarks: [
      { ...BENCHMARK, threads: 128, rounds: 1001 },
      { ...BENCHMARK, provider: 'webgpu', shapes: { input: [8, 3, 224, 224] } },
    ],
  });
  fits(text);
  expect(lines(text).slice(2, 4)).toEqual([
    'a-model-with-a-long-name.onnx -> a-model-with-a-long-name.pruned.onnx',
    '                                      masked      compiled    change [95 % CI]',
  ]);
  expect(text).toContain('MACs (3 inputs) ');
  expect(text).toContain('latency, CPU, 128 threads (1001 runs)');
  expect(text).toContain('latency, WebGPU (median of 31)');
  expect(text).toContain('  measured at                         8x3x224x224');
  expect(text).toContain('outputs equal                         not checked');
});

test('what could not be done: the biggest five, with their reasons, and where all are', () => {
  const remarks = [1, 2, 3, 4, 5, 6, 7].map((channels) => ({
    pass: 'remove-channels',
    kind: 'missed' as const,
    node: `/layer${channels}/Conv`,
    message: `kept, because ${'something needs them '.repeat(4)}`,
    channels,
  }));
  const text = renderText({ ...REPORT, input: 'my model.onnx', remarks });
  expect(lines(text).slice(-13)).toEqual([
    '',
    ...[7, 6, 5, 4, 3].flatMap((channels) => [
      `missed: /layer${channels}/Conv (${channels} ch.): kept, because something needs them something needs`,
      '  them something needs them something needs them',
    ]),
    "2 more: prune-compile inspect 'my model.onnx'",
    '',
  ]);
  fits(text);
});

test('nothing to do is said first, with the reason', () => {
  const unchanged = { ...REPORT, changed: false, after: REPORT.before, remarks: [] };
  expect(lines(renderText(unchanged)).slice(0, 3)).toEqual([
    'nothing to remove: 47.0 % of the parameters are zero, but scattered: no whole',
    'channel is',
    'model.pruned.onnx is a copy of model.onnx',
  ]);
  const dense = { ...unchanged, before: { ...REPORT.before, zeros: 0 } };
  expect(lines(renderText(unchanged))[4]).toBe('model.onnx -> model.pruned.onnx       input       compiled');
  expect(renderText(dense)).toMatch(/^nothing to remove: no weight is zero: the model is not pruned/);
});

test('masks: how many, by which evidence, what was left out', () => {
  const mask = {
    file: 'm.pth',
    weight: 'w',
    node: 'n',
    shape: [4],
    granularity: 'filter',
    isFromZeros: false,
  } as const;
  const masks = {
    meaning: 'drop',
    files: [{ path: 'my masks.pth', format: 'PyTorch (zip)', sha256: 'abc', tensors: [] }],
    masks: [
      { ...mask, key: 'a', evidence: 'name', zeros: 1200 },
      { ...mask, key: 'b', evidence: 'module', zeros: 3, values: 'different' },
    ],
    zeros: 1203,
    unmatched: ['c.weight_mask'],
    unmaskedLayers: ['conv1', 'fc', 'head', 'tail'],
    droppedFilters: 7,
  } as const;
  const missed = { pass: 'remove-channels', kind: 'missed', node: 'conv', message: 'pinned', channels: 3 } as const;
  const text = renderText({ ...REPORT, masks, remarks: [missed] });
  fits(text);
  expect(text).toContain('masks                                 2 masks, 1 203 zeros, bound by name, layer');
  expect(text).toContain('meaning of masks                      drop: bias and BN shift go (7 filters)');
  expect(text).toContain('note: 1 mask left out: c.weight_mask');
  expect(text).toContain('note: 4 layers without a mask: conv1, fc, head and 1 more');
  expect(text).toContain("note: the weights stored with 1 mask differ from the model's");
  expect(text).toContain("prune-compile inspect model.onnx -m 'my masks.pth' --meaning drop");
  const nothing = renderText({ ...REPORT, masks, edits: [] });
  expect(nothing).toContain('model.pruned.onnx is model.onnx with the masks in its weights');
});

test('sparse operators are told, because the model does not run without their library', async () => {
  const report = {
    ...REPORT,
    sparse: sparseReport(1, ['by the cost table "avx2"'], {
      path: '/there/libprune_compile_kernels.so',
      isFound: true,
    }),
  };
  const text = renderText(report);
  fits(text);
  expect(text).toContain(`
note: 1 layer is a sparse operator: the model needs their native library
  (docs/sparse.md)
note: by the cost table "avx2"
  path    /there/libprune_compile_kernels.so
  Node    import { createSession } from 'prune-compile';
          await createSession(model);
  Python  options.register_custom_ops_library(path)
  C++     options.RegisterCustomOpsLibrary(path);
  C#      options.RegisterCustomOpLibrary(path);
  Java    options.registerCustomOpLibrary(path);
`);
  expect(renderMarkdown(report)).toContain('- C\\#: `options.RegisterCustomOpLibrary(path);`');
  expect(renderMarkdown(report)).toContain('- path: `/there/libprune_compile_kernels.so`\n');
  expect(renderMarkdown(report)).toContain(
    "- Node: `import { createSession } from 'prune-compile'; await createSession(model);`",
  );
  expect(renderMarkdown(report)).toContain('\nBy the cost table "avx2".\n');
  expect(await renderHtml(report)).toContain('<code class="wrap">/there/libprune_compile_kernels.so</code>');
  expect(await renderHtml(report)).toMatch(
    /<code class="wrap"\s*>import \{ createSession \} from .*; await createSession/,
  );
  expect(await renderHtml(report)).toContain('<p>By the cost table &#34;avx2&#34;.</p>');
  expect(JSON.parse(renderJson(report))).toMatchObject({
    sparse: { layers: 1, registration: { python: 'options.register_custom_ops_library(path)' } },
  });
});

test('where the library is not there, no report says that it is', async () => {
  const library = { path: '/there/lib.so', isFound: false };
  const report = { ...REPORT, sparse: sparseReport(2, [], library) };
  const note = 'the library is not built on this machine; prune-compile doctor shows how to build it';
  expect(renderText(report).replace(/\s+/g, ' ')).toContain(`note: ${note} path /there/lib.so (once it is built)`);
  expect(renderMarkdown(report)).toContain('- path: `/there/lib.so` (once it is built)');
  expect(await renderHtml(report)).toContain('</code> (once it is built)');
  expect(JSON.parse(renderJson(report))).toMatchObject({ sparse: { library: '/there/lib.so', libraryFound: false } });
});

test('how it was decided is a note, and layers that stay dense for one reason are told once', async () => {
  const by = { pass: 'convert-sparse', about: 'sparse' } as const;
  const missed = (node: string, message: string) => ({ ...by, kind: 'missed', node, message }) as const;
  const note = { ...by, kind: 'note', message: 'layers were chosen by the cost table "avx2"' } as const;
  const few = [1, 2, 3].map((layer) => missed(`/layer${layer}/Conv`, 'kept dense: few pixels'));
  const unchanged = { ...REPORT, changed: false, after: REPORT.before, options: { sparse: true } };
  const text = renderText({ ...unchanged, remarks: [note, ...few, missed('/fc/Gemm', 'kept dense: one row')] });
  expect(lines(text).slice(0, 2)).toEqual([
    'nothing to do: 47.0 % of the parameters are zero, but no layer would be faster',
    'with sparse operators (below)',
  ]);
  expect(lines(text).slice(-6)).toEqual(
    [
      'note: layers were chosen by the cost table "avx2"',
      '',
      'missed: /layer1/Conv and 2 layers more: kept dense: few pixels',
      'missed: /fc/Gemm: kept dense: one row',
      '',
    ].toSpliced(0, 0, ''),
  );
  const many = [1, 2, 3, 4, 5, 6, 7].map((layer) => missed(`/layer${layer}/Conv`, `kept dense: ${layer}`));
  const more = renderText({ ...unchanged, remarks: [note, ...many] });
  fits(more);
  // What `inspect` says is about channels.
  expect(lines(more).slice(-2)).toEqual(['2 more: the same command with --report report.html lists all', '']);
  expect(renderMarkdown({ ...unchanged, remarks: [note, ...few] })).toContain('- note: layers were chosen by');
  expect(await renderHtml({ ...unchanged, remarks: [note, ...few] })).toContain('<span class="note">note</span>');
});

test('outputs that differ are plain to see', () => {
  const text = renderText({ ...REPORT, verification: DIFFERENT });
  expect(text).toContain("outputs equal                         NO: max difference 0.31 of the output's");
  expect(renderVerification(DIFFERENT, 'a.onnx', 'b.onnx')).toContain('OUTPUTS DIFFER: max difference 0.31');
});

test('equal up to ties is not plainly equal', async () => {
  const verification = { ...VERIFICATION, upToTies: true } as const;
  expect(renderText({ ...REPORT, verification })).toMatch(/outputs equal +yes: up to ties, max difference 3\.1e-7/);
  expect(renderMarkdown({ ...REPORT, verification })).toContain('yes: up to ties, max difference');
  expect(await renderHtml({ ...REPORT, verification })).toContain('yes: up to ties, max difference');
});

test('a speed that is none says so', () => {
  const [comparison] = BENCHMARK.comparisons;
  const slower = {
    ...BENCHMARK,
    comparisons: comparison === undefined ? [] : [{ ...comparison, verdict: 'slower' as const }],
  };
  expect(renderText({ ...REPORT, benchmarks: [slower] })).toContain(
    '  significance                        slower: t(30) = 98.0, p < .001',
  );
});

test('a difference that is none, within 80 columns', () => {
  const [comparison] = BENCHMARK.comparisons;
  const same = { interval: [0.98, 1.03], t: 0.4, p: 0.69, verdict: 'no significant difference' } as const;
  const equal = { ...BENCHMARK, comparisons: comparison === undefined ? [] : [{ ...comparison, ...same }] };
  const text = renderText({ ...REPORT, benchmarks: [equal] });
  fits(text);
  expect(text).toContain(
    [
      '  significance                        no significant difference:',
      '                                      t(30) = 0.4, p = .69',
    ].join('\n'),
  );
});

test('MACs that are not known, of one model or both', () => {
  const unknown = { ...REPORT.before, macs: undefined };
  const row = (before: ModelFigures, after: ModelFigures) =>
    lines(renderText({ ...REPORT, before, after })).filter((line) => /MACs|^ +run only/.test(line));
  expect(row(unknown, unknown)).toEqual([
    'MACs                                  unknown: some shapes are known to the run',
  ]);
  expect(row(unknown, REPORT.after)).toEqual(['MACs (1x3x224x224)                    unknown     1.71 G']);
  expect(row(REPORT.before, unknown)).toEqual(['MACs (1x3x224x224)                    4.09 G      unknown']);
});

test('notes of the verification are part of the table', () => {
  const note = 'compared at the given shapes only: x=1,3,8,8; leave --shape out to compare at other sizes too';
  const text = renderText({ ...REPORT, verification: { ...VERIFICATION, notes: [note] } });
  expect(lines(text).slice(-4)).toEqual([
    '',
    'note: compared at the given shapes only: x=1,3,8,8; leave --shape out to compare',
    '  at other sizes too',
    '',
  ]);
});

test('verification', () => {
  expect(
    lines(renderVerification({ ...VERIFICATION, cases: VERIFICATION.cases.slice(0, 2) }, 'a.onnx', 'b.onnx')),
  ).toEqual([
    'a.onnx and b.onnx',
    "outputs equal: max difference 3.1e-7 of the output's scale, 2 inputs x 1 shape",
    "allowed: 3.6e-6 (8 x the reference's own rounding noise)",
    '',
    'shapes       seed  difference',
    '1x3x224x224     1      3.1e-7',
    '1x3x224x224     2      3.1e-7',
    '',
  ]);
});

test('benchmark', () => {
  expect(lines(renderBenchmarks([BENCHMARK]))).toEqual([
    'CPU, 1 thread, 1x3x224x224, 31 interleaved rounds after 5 warm-ups',
    ' median             95 % CI     mean        sd  model',
    '36.0 ms  [35.8 ms, 36.3 ms]  36.2 ms  0.400 ms  dense',
    '36.1 ms  [35.9 ms, 36.4 ms]  36.3 ms  0.400 ms  masked',
    '17.3 ms  [17.2 ms, 17.5 ms]  17.4 ms  0.200 ms  compiled',
    '    p95      p99  samples/s     load    memory      file  model',
    '36.8 ms  37.2 ms       27.8   180 ms  310.0 MB  102.5 MB  dense',
    '36.9 ms  37.3 ms       27.7   185 ms  312.0 MB  102.5 MB  masked',
    '17.7 ms  17.9 ms       57.8  92.0 ms  141.0 MB   45.0 MB  compiled',
    'compiled against masked: 2.09x [2.05, 2.12], faster: t(30) = 98.0, p < .001',
    '',
  ]);
});

test('inspection: names last and whole', () => {
  const text = renderInspection({
    model: 'model.onnx',
    opset: 17,
    figures: REPORT.before,
    removableChannels: 32,
    layers: [
      {
        node: '/layer1/conv1/Conv',
        opType: 'Conv',
        outputChannels: 64,
        zeroFilters: 32,
        constantChannels: 0,
        unneededChannels: 3,
        removableChannels: 32,
        sparsity: 0.5,
      },
    ],
    unknownOps: [{ op: 'NonZero', count: 2 }],
    remarks: [{ pass: 'p', kind: 'missed', node: '/layer1/Add', message: 'kept', channels: 3 }],
    unreadWeights: [],
    subgraphLayers: 0,
  });
  expect(lines(text)).toEqual([
    'model.onnx: opset 17, 122 nodes, 102.5 MB',
    '25.56 M parameters, 47.0 % of them zero',
    '32 of 26 560 channels can be removed without changing the outputs',
    '',
    'channels  zero  constant  unneeded  removable  weights 0  layer',
    '      64    32         -         3         32     50.0 %  Conv /layer1/conv1/Conv',
    '',
    'unsupported operators, whose channels are all kept: NonZero (2)',
    '',
    'missed: /layer1/Add (3 ch.): kept',
    '',
    'the whole chain: prune-compile why model.onnx /layer1/Add',
    '',
  ]);
});

test('why: channels, the way to what needs them, and its reason', () => {
  const text = renderExplanation({
    node: '/conv1',
    channels: 64,
    groups: [
      { channels: [0, 1], state: 'removable', chain: [] },
      {
        channels: [3, 7, 9],
        state: 'kept',
        chain: [
          { node: '/conv1', op: 'Conv', reason: 'they depend on the input' },
          { node: '/Add', op: 'Add', reason: 'passes them on' },
          { node: '/conv2', op: 'Conv', reason: 'needs them: its weights for them are not zero' },
        ],
      },
    ],
  });
  expect(lines(text)).toEqual([
    '/conv1: 2 of 64 channels can be removed',
    'channels 0, 1 (2 of 64) can be removed',
    'channels 3, 7, 9 (3 of 64) are kept: they depend on the input; /Add (Add),',
    '  needed by /conv2 (Conv): its weights for them are not zero',
    '',
  ]);
});

test('why: of what has no channels none are counted', () => {
  const reason = 'its output has no channel axis of a fixed extent, so nothing of it can be removed';
  const text = renderExplanation({
    node: '/w/Transpose',
    channels: 0,
    groups: [{ channels: [], state: 'kept', chain: [{ node: '/w/Transpose', op: 'Transpose', reason }] }],
  });
  expect(text.replaceAll(/\s+/g, ' ').trim()).toBe(`/w/Transpose: nothing can be removed ${reason}`);
});

test('ranges', () => {
  expect(formatRanges([5, 1, 2, 3, 9, 10])).toBe('1-3, 5, 9, 10');
  expect(formatRanges(Array.from({ length: 20 }, (_, index) => index * 2))).toMatch(/^0, 2, .*, 22, …$/);
});

test('words for a shell', () => {
  expect(shellWord('a/b.onnx')).toBe('a/b.onnx');
  expect(shellWord("it's")).toBe(String.raw`'it'\''s'`);
});

test('wrapping never cuts a word', () => {
  expect(wrapText('aaa bbb cccccccccc d', 7, '  ')).toEqual(['aaa bbb', '  cccccccccc', '  d']);
});

test('what a card left to the processor is told, once for all batches; notes of the CPU are in the reports', () => {
  const note = 'compiled: cuda does not run all of its nodes, some run on the CPU';
  const on = (provider: 'cpu' | 'cuda') => [BENCHMARK, BENCHMARK].map((one) => ({ ...one, provider, notes: [note] }));
  const told = (provider: 'cpu' | 'cuda') =>
    renderText({ ...REPORT, benchmarks: on(provider) })
      .replaceAll(/\n {2}/g, ' ')
      .split(`CUDA: ${note}`).length - 1;
  expect([told('cuda'), told('cpu')]).toEqual([1, 0]);
});
