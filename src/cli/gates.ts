/** Gates for pipelines: what the result must reach, or the command fails. */
import { PruneCompileError } from '../errors.js';
import { formatBytes, formatInteger, formatSpeedup } from '../report/numbers.js';
import { benchmarkPlace, CONTENDER } from '../report/summary.js';
import type { Benchmark } from '../bench/results.js';
import type { CompileReport } from '../report/types.js';
import type { Options } from './options.js';

export interface Missed {
  /** The gate as it was given. */
  readonly gate: string;
  readonly found: string;
}

export function missedSizeGates({ before, after }: CompileReport, { maxSize, minRemoved }: Options): Missed[] {
  const missed: Missed[] = [];
  if (maxSize !== undefined && after.sizeBytes > maxSize)
    missed.push({
      gate: `--max-size ${maxSize}`,
      found: `it has ${formatInteger(after.sizeBytes)} bytes (${formatBytes(after.sizeBytes)})`,
    });
  const removed = before.parameters === 0 ? 0 : (1 - after.parameters / before.parameters) * 100;
  if (minRemoved !== undefined && removed < minRemoved)
    missed.push({
      gate: `--min-removed ${minRemoved}`,
      found: `${removed.toFixed(2)} % of the parameters were removed`,
    });
  return missed;
}

/** Every measured provider must reach the speed-up. */
export function missedSpeedGates(benchmarks: readonly Benchmark[], { minSpeedup }: Options): Missed[] {
  if (minSpeedup === undefined) return [];
  const gate = `--min-speedup ${minSpeedup}`;
  return benchmarks.flatMap((benchmark) => {
    const comparison = benchmark.comparisons.find(
      ({ baseline, contender }) => baseline === CONTENDER.masked && contender === CONTENDER.compiled,
    );
    if (comparison === undefined) return [{ gate, found: `not measured on ${benchmarkPlace(benchmark)}` }];
    const found = `${formatSpeedup(comparison.speedup, comparison.interval)} on ${benchmarkPlace(benchmark)}`;
    return comparison.speedup < minSpeedup ? [{ gate, found }] : [];
  });
}

export function gateError(missed: readonly Missed[], model: string, fate: string): PruneCompileError {
  return new PruneCompileError('E-GATE', {
    what: `${model} misses ${missed.length === 1 ? 'a gate' : `${missed.length} gates`}`,
    facts: [...missed.map(({ gate, found }) => [gate, found] as const), ['the output', fate]],
  });
}
