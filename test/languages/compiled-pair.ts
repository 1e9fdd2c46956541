/**
 * One pruned network, compiled by the command to a dense and to a sparse file: what other languages
 * run.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals, uniforms } from '../../fixtures/networks/random.js';
import { compileByCommand } from '../support/command.js';

export const INPUT = 'x';
export const DIMS = [2, 16, 14, 14] as const;
const ZEROS = 0.8;

export interface CompiledPair {
  readonly folder: string;
  readonly dense: string;
  readonly sparse: string;
  readonly output: string;
  /** As the report of the sparse one names it. */
  readonly library: string;
}

/** A folder for the tests of one file; it goes when they are done. */
export async function compiledPair(): Promise<CompiledPair> {
  const folder = mkdtempSync(join(tmpdir(), 'prune-compile-languages-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const { bytes, output } = network();
  const [dense, sparse] = [join(folder, 'dense.onnx'), join(folder, 'sparse.onnx')];
  const written = await compileByCommand(bytes, ['--sparse', '--sparse-target', 'avx512']);
  writeFileSync(sparse, written.bytes);
  writeFileSync(dense, (await compileByCommand(bytes, ['--structured'])).bytes);
  const library = written.report.sparse?.library;
  if (library === undefined) throw new Error('nothing became sparse: there would be nothing to test');
  return { folder, dense, sparse, output, library };
}

/** A residual block, a convolution with stride and a classifier: every sparse operator occurs. */
function network(): { bytes: Uint8Array; output: string } {
  const g = graphBuilder();
  const x = g.input(INPUT, ['n', 16, 'h', 'w']);
  const conv = (data: string, out: number, input: number, kernel: number, strides = 1) =>
    g.conv(data, weights([out, input, kernel, kernel]), { pads: (kernel - 1) / 2, strides, bias: bias(out) });
  const block = g.relu(g.add(conv(g.relu(conv(x, 16, 16, 3)), 16, 16, 3), x));
  const narrow = g.clip(conv(block, 32, 16, 3, 2), 0, 6);
  const rows = g.reshape(g.transpose(narrow, [0, 2, 3, 1]), [-1, 32]);
  const output = g.op('Abs', [g.op('MatMul', [rows, weights([32, 24])])]);
  g.output(output);
  return { bytes: g.bytes(), output };
}

let drawn = 0;
function weights(dims: readonly number[]) {
  const size = dims.reduce((total, extent) => total * extent, 1);
  const name = `w${drawn++}`;
  const chance = uniforms(5, `${name}#zeros`, size);
  return { data: normals(5, name, size, 0.3).map((value, at) => ((chance[at] ?? 0) < ZEROS ? 0 : value)), dims };
}

function bias(size: number) {
  return { data: normals(5, `b${drawn++}`, size, 0.3), dims: [size] };
}
