/** What tests of sparse operators share: weights with zeros anywhere, normalisations, and the compiled model. */
import type { GraphBuilder } from '../../fixtures/graph-builder.js';
import { normals, uniforms } from '../../fixtures/random.js';
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

export function norm(g: GraphBuilder, x: string, channels: number): string {
  return g.batchNorm(x, {
    scale: vector(`scale${drawn}`, channels),
    shift: vector(`shift${drawn}`, channels),
    mean: vector(`mean${drawn}`, channels),
    variance: { data: uniforms(11, `variance${drawn++}`, channels, 0.5, 1.5), dims: [channels] },
  });
}

/** Whatever can be sparse is, unless a test is about what pays. */
export async function compiled(bytes: Uint8Array, options: CompileOptions = {}) {
  const made = await compileModel(bytes, { sparse: true, sparseTarget: EAGER, ...options });
  const output = made.encode();
  const { nodes } = readModel(output).graph;
  return { made, output, own: nodes.filter(({ domain }) => domain === SPARSE_DOMAIN).map(({ opType }) => opType) };
}

export const SHAPES = { x: [2, 16, 12, 12] };
