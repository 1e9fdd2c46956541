/**
 * Sums of many thousand weights keep within 2e-6 of the output's scale, also where all terms have
 * one sign.
 */
import { Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals, uniforms } from '../../fixtures/networks/random.js';
import { verifyModels } from '../../src/verify/verify.js';
import { compiled } from '../passes/sparse-models.js';
import { needsLibrary } from '../support/needs.js';

/** What the operators promise. */
const BOUND = 2e-6;

describe('long sums', needsLibrary, () => {
  test.each([
    [11008, 0.5],
    [25088, 0.8],
  ])('a product of %i inputs, %d of them zero', async (inputs, zeros) => {
    const [rows, outputs] = [16, 64];
    const chance = uniforms(5, `zeros${inputs}`, inputs * outputs, 0, 1);
    const weights = normals(5, `weights${inputs}`, inputs * outputs, 1 / Math.sqrt(inputs)).map((value, at) =>
      (chance[at] ?? 0) < zeros ? 0 : value,
    );
    const g = graphBuilder();
    g.output(g.op('MatMul', [g.input('x', [rows, inputs]), { data: weights, dims: [inputs, outputs] }]));
    const bytes = g.bytes();
    const { output, natives } = await compiled(bytes);
    expect(natives).toEqual(['SparseMatMul']);
    const x = normals(5, `x${inputs}`, rows * inputs, 1).map(Math.abs);
    const verified = await verifyModels(bytes, output, { inputs: [{ x: new Tensor(x, [rows, inputs]) }] });
    expect(verified.difference).toBeLessThan(BOUND);
    // Control: it is rounding that was measured, and not the same code run twice.
    expect(verified.difference).toBeGreaterThan(0);
  });
});
