/** What `verify` and `bench` print. */
import { describeComparison } from '../bench/describe.js';
import { printable, shown } from '../printable.js';
import { formatDifference, formatInteger, formatMs, formatPlural, formatShapes, formatSpeedup } from './numbers.js';
import { benchmarkPlace, FURTHER, furtherCells, verificationText } from './summary.js';
import { textTable } from './text-table.js';
import { wrapText } from './text.js';
import type { Benchmark } from '../bench/results.js';
import type { Verification } from '../verify/verification.js';

const WIDTH = 80;

export function renderVerification(given: Verification, reference: string, candidate: string): string {
  const verification = shown(given);
  const { equal, bound, boundReason, cases, notes } = verification;
  const rows = cases.map((entry) => [
    formatShapes(entry.shapes),
    String(entry.seed),
    formatDifference(entry.difference),
  ]);
  const verdict = equal
    ? `outputs equal: ${verificationText(verification).replace(/^yes: /, '')}`
    : verificationText(verification).replace(/^NO: /, 'OUTPUTS DIFFER: ');
  const { provider } = verification;
  const place = provider === undefined ? '' : `, on ${benchmarkPlace({ ...verification, provider, threads: 1 })}`;
  return [
    `${printable(reference)} and ${printable(candidate)}${place}`,
    ...wrapText(verdict, WIDTH),
    ...wrapText(`allowed: ${formatDifference(bound)} (${boundReason})`, WIDTH),
    '',
    ...textTable([{}, { align: 'right' }, { align: 'right' }], [['shapes', 'seed', 'difference'], ...rows]),
    ...notes.flatMap((note) => wrapText(`note: ${note}`, WIDTH, '  ')),
    '',
  ].join('\n');
}

export function renderBenchmarks(benchmarks: readonly Benchmark[]): string {
  return `${shown(benchmarks)
    .map((benchmark) => benchmarkLines(benchmark).join('\n'))
    .join('\n\n')}\n`;
}

function benchmarkLines(benchmark: Benchmark): string[] {
  const { contenders, comparisons, rounds, warmUps, shapes, notes } = benchmark;
  const rows = contenders.map(({ name, medianMs, interval, meanMs, sdMs }) => [
    formatMs(medianMs),
    `[${formatMs(interval[0])}, ${formatMs(interval[1])}]`,
    formatMs(meanMs),
    formatMs(sdMs),
    name,
  ]);
  const further = contenders.map((contender) => [...furtherCells(contender), contender.name]);
  const right = { align: 'right' } as const;
  const place = `${benchmarkPlace(benchmark)}, ${formatShapes(shapes)}, ${formatInteger(rounds)} interleaved rounds after ${formatPlural(warmUps, 'warm-up')}`;
  return [
    ...wrapText(place, WIDTH, '  '),
    ...textTable([right, right, right, right, {}], [['median', '95 % CI', 'mean', 'sd', 'model'], ...rows]),
    ...textTable([...FURTHER.map(() => right), {}], [[...FURTHER, 'model'], ...further]),
    ...comparisons.flatMap((comparison) => {
      const { contender, baseline, speedup, interval } = comparison;
      const text = `${contender} against ${baseline}: ${formatSpeedup(speedup, interval)}, ${describeComparison(comparison)}`;
      return wrapText(text, WIDTH, '  ');
    }),
    ...notes.flatMap((note) => wrapText(`note: ${note}`, WIDTH, '  ')),
  ];
}
