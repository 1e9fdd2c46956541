/** What was gained, in one line that a stranger understands, and on what machine. */
import type { Benchmark } from '../bench/results.js';
import type { Verification } from '../verify/verification.js';
import { formatBytes, formatPlural } from './numbers.js';
import { CONTENDER, nothingTitle, removedNothing } from './summary.js';
import type { CompileReport, MachineFacts } from './types.js';

/** `2.1x faster, 54 % smaller, same outputs` */
export function headline(report: CompileReport): string {
  const { verification, benchmarks = [] } = report;
  const outputs = outputsText(verification);
  // Nobody asks how fast something wrong is.
  if (verification?.equal === false) return capital(outputs);
  if (removedNothing(report)) return capital(`${nothingTitle(report)}: ${outputs}`);
  const [first] = benchmarks;
  const speed = first === undefined ? undefined : speedText(first);
  const gains = [speed ?? workText(report), sizeText(report)].filter((text) => text !== undefined);
  return capital([...gains, outputs].join(', '));
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function outputsText(verification: Verification | undefined): string {
  if (verification === undefined) return 'outputs not checked';
  if (verification.fails === true) return 'the compiled model does not run';
  if (!verification.equal) return 'the outputs differ: not to be used';
  return verification.upToTies === true ? 'same outputs up to ties' : 'same outputs';
}

function speedText({ comparisons }: Benchmark): string | undefined {
  const comparison = comparisons.find(
    ({ baseline, contender }) => baseline === CONTENDER.masked && contender === CONTENDER.compiled,
  );
  if (comparison === undefined) return undefined;
  const { verdict, speedup } = comparison;
  if (verdict === 'no significant difference') return 'no difference in speed measured';
  return verdict === 'faster' ? `${shortRatio(speedup)}x faster` : `${shortRatio(1 / speedup)}x slower`;
}

/** Two digits below ten, as one says it. */
function shortRatio(ratio: number): string {
  return ratio < 1.095 ? ratio.toFixed(2) : ratio < 9.95 ? ratio.toFixed(1) : ratio.toFixed(0);
}

/** Not measured: what is left to compute. */
function workText({ before, after }: CompileReport): string | undefined {
  if (before.macs === undefined || after.macs === undefined || before.macs === 0) return undefined;
  const less = Math.round((1 - after.macs / before.macs) * 100);
  return less === 0 ? undefined : less > 0 ? `${less} % less to compute` : `${-less} % more to compute`;
}

function sizeText({ before, after }: CompileReport): string | undefined {
  const less = Math.round((1 - after.sizeBytes / Math.max(before.sizeBytes, 1)) * 100);
  return less === 0 ? undefined : less > 0 ? `${less} % smaller` : `${-less} % larger`;
}

/** `AMD EPYC 9R14, 2 cores, 24.0 GB memory, linux x64, Node 20.20.2, ONNX Runtime 1.30.0` */
export function machineText(machine: MachineFacts): string {
  const { cpu, cores, memoryBytes, platform, node, runtime } = machine;
  return [
    cpu,
    formatPlural(cores, 'core'),
    `${formatBytes(memoryBytes)} memory`,
    platform,
    `Node ${node}`,
    `ONNX Runtime ${runtime}`,
  ].join(', ');
}

/** `2026-11-30 23:10 UTC` */
export function dateText(date: string): string {
  return date.replace(/^(\S{10})T(\d\d:\d\d).*$/, '$1 $2 UTC');
}
