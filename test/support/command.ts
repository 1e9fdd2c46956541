/**
 * The real command, in this process: a model compiled with masks, what it reports and the bytes it
 * wrote.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ENGINE } from '../../src/cli/engine.js';
import type { CompileReport } from '../../src/report/types.js';
import type { MaskReport } from '../../src/masking/mask-report.js';
import { run } from '../cli/run-command.js';

export interface Written {
  readonly report: CompileReport;
  readonly bytes: Uint8Array;
}

/**
 * `model` is a path, or bytes that are written to one. It exits 0, and its own check finds the two
 * equal.
 */
export async function compileByCommand(model: string | Uint8Array, options: readonly string[]): Promise<Written> {
  const folder = mkdtempSync(join(tmpdir(), 'prune-compile-real-'));
  try {
    const path = typeof model === 'string' ? model : join(folder, 'model.onnx');
    if (typeof model !== 'string') writeFileSync(path, model);
    const output = join(folder, 'output.onnx');
    const { code, stdout, stderr } = await run([path, '-o', output, '--json', '-q', ...options], { engine: ENGINE });
    expect(code, stderr).toBe(0);
    const report = JSON.parse(stdout) as CompileReport;
    if (!options.includes('--no-verify')) expect(report.verification?.equal, 'its own check').toBe(true);
    return { report, bytes: readFileSync(output) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function masksIn({ masks }: CompileReport): MaskReport {
  if (masks === undefined) throw new Error('the report has no masks');
  return masks;
}

/** Output channels of each convolution that are gone, in the order of the graph. */
export function removedPerConvolution({ layers }: CompileReport): number[] {
  return layers.flatMap(({ opType, outputChannels, keptOutputChannels = 0 }) =>
    opType === 'Conv' ? [outputChannels - keptOutputChannels] : [],
  );
}

export function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
