/** A folder of files with given data, and a classifier small enough to be computed by hand. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import { onTestFinished } from 'vitest';
import { npyFile } from '../../fixtures/mask-files/npy-file.js';
import { zipFile } from '../../fixtures/mask-files/zip-file.js';
import { type Dim, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { Tensor } from '../../src/ir/tensor.js';

export interface Folder {
  readonly path: string;
  /** Writes a file there and returns its path. */
  readonly write: (name: string, contents: string | Uint8Array) => string;
}

export function folder(): Folder {
  const path = mkdtempSync(join(tmpdir(), 'prune-compile-given-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return {
    path,
    write: (name, contents) => {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, contents);
      return file;
    },
  };
}

export function npy(dataType: number, dims: readonly number[], values: readonly number[]): Uint8Array {
  return npyFile({ dataType, dims, bytes: Tensor.fromNumbers(dataType, dims, values).bytes() });
}

export function npz(arrays: Readonly<Record<string, Uint8Array>>): Uint8Array {
  return zipFile(Object.entries(arrays).map(([name, data]) => ({ name: `${name}.npy`, data })));
}

/** Scores are the input itself: [n, classes] in and out. */
export function copier(dims: readonly Dim[]): Uint8Array {
  const g = graphBuilder();
  g.output(g.op('Identity', [g.input('x', dims)]), dims);
  return g.bytes();
}

/** y = a + b */
export function adder(): Uint8Array {
  const g = graphBuilder();
  g.output(g.add(g.input('a', ['n', 2]), g.input('b', ['n', 2])));
  return g.bytes();
}
