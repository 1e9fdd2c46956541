/** What was gained, in a line. */
import { expect, test } from 'vitest';
import { headline } from '../../src/report/headline.js';
import { renderMarkdown } from '../../src/report/markdown.js';
import { renderText } from '../../src/report/text.js';
import type { CompileReport } from '../../src/report/types.js';
import { BENCHMARK, DIFFERENT, MACHINE, REPORT, VERIFICATION } from './sample.js';

const [COMPARISON] = BENCHMARK.comparisons;

const measured = (speedup: number, verdict: 'faster' | 'slower' | 'no significant difference'): CompileReport => ({
  ...REPORT,
  verification: VERIFICATION,
  benchmarks: [{ ...BENCHMARK, comparisons: COMPARISON === undefined ? [] : [{ ...COMPARISON, speedup, verdict }] }],
});

test.each<[string, CompileReport]>([
  ['2.1x faster, 56 % smaller, same outputs', measured(2.09, 'faster')],
  ['1.04x faster, 56 % smaller, same outputs', measured(1.04, 'faster')],
  ['12x faster, 56 % smaller, same outputs', measured(12.3, 'faster')],
  ['1.3x slower, 56 % smaller, same outputs', measured(0.8, 'slower')],
  ['No difference in speed measured, 56 % smaller, same outputs', measured(1.2, 'no significant difference')],
  ['58 % less to compute, 56 % smaller, outputs not checked', REPORT],
  [
    '58 % less to compute, 56 % smaller, same outputs up to ties',
    { ...REPORT, verification: { ...VERIFICATION, upToTies: true } },
  ],
  ['The outputs differ: not to be used', { ...measured(2, 'faster'), verification: DIFFERENT }],
  ['The compiled model does not run', { ...REPORT, verification: { ...DIFFERENT, fails: true } }],
  ['Nothing to remove: same outputs', { ...REPORT, changed: false, verification: VERIFICATION }],
  [
    '58 % less to compute, 10 % larger, outputs not checked',
    { ...REPORT, after: { ...REPORT.after, sizeBytes: 112_700_000 } },
  ],
  ['56 % smaller, outputs not checked', { ...REPORT, after: { ...REPORT.after, macs: undefined } }],
])('%s', (text, report) => {
  expect(headline(report)).toBe(text);
});

test('the terminal and Markdown have it, and the machine', () => {
  const report = {
    ...measured(2.09, 'faster'),
    machine: MACHINE,
    date: '2026-11-30T12:34:56Z',
    command: 'prune-compile a`b',
  };
  expect(renderText(report)).toMatch(/^2\.1x faster, 56 % smaller, same outputs\n/);
  expect(renderText(report)).toContain(
    '\nmeasured on AMD EPYC 9R14, 2 cores, 24.0 GB memory, linux x64, Node 20.20.2,\n  ONNX Runtime 1.30.0\n',
  );
  // Nothing was timed.
  expect(renderText({ ...report, benchmarks: [] })).not.toContain('measured on');
  const markdown = renderMarkdown(report);
  expect(markdown).toContain('\n\n**2.1x faster, 56 % smaller, same outputs**\n\n- Measured on AMD EPYC 9R14, 2 cores');
  expect(markdown).toContain('\n- 2026-11-30 12:34 UTC\n- To repeat it: `` prune-compile a`b ``\n');
});
