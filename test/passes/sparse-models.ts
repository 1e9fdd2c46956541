/** Shared by tests of sparse operators: scattered zeros, normalisations, and compilation. */
import type { GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals, uniforms } from '../../fixtures/networks/random.js';
import { EAGER } from '../../src/cost/sparse-tables.js';
import { compileModel, type CompileOptions } from '../../src/compile.js';
import { SPARSE_DOMAIN } from '../../src/ir/graph.js';
import { readModel } from '../../src/onnx/read.js';

let drawn = 0;
/** Zeros anywhere; every draw is another one, but for those with a name of their own. */
export function sparseWeights(dims: readonly number[], zeros: number, name = `w${drawn++}`) {
  const size = dims.reduce((total, extent) => total * extent, 1);
  const chance = uniforms(11, `${name}#zeros`, size, 0, 1);
  return { data: normals(11, name, size, 0.3).map((value, at) => ((chance[at] ?? 0) < zeros ? 0 : value)), dims };
}

export const vector = (name: string, size: number) => ({ data: normals(11, name, size, 0.3), dims: [size] });

export function batchNorm(g: GraphBuilder, x: string, channels: number): string {
  return g.batchNorm(x, {
    scale: vector(`scale${drawn}`, channels),
    shift: vector(`shift${drawn}`, channels),
    mean: vector(`mean${drawn}`, channels),
    variance: { data: uniforms(11, `variance${drawn++}`, channels, 0.5, 1.5), dims: [channels] },
  });
}

/** By default every layer that can be sparse is made sparse, whether it pays or not. */
export async function compiled(bytes: Uint8Array, options: CompileOptions = {}) {
  const made = await compileModel(bytes, { sparse: true, sparseTarget: EAGER, ...options });
  const output = made.encode();
  const { nodes } = readModel(output).graph;
  return { made, output, natives: nodes.filter(({ domain }) => domain === SPARSE_DOMAIN).map(({ opType }) => opType) };
}

export const SHAPES = { x: [2, 16, 12, 12] };
