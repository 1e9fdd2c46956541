/** Whatever bytes come in: a model comes out, or one clear error. Nothing else, and soon. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { namedCases } from '../../fixtures/networks/named-cases.js';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { PruneCompileError } from '../../src/errors.js';
import { readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';

/**
 * Reads the model, looks at all its tensors and writes it; a PruneCompileError is an answer too.
 */
function useModel(bytes: Uint8Array): 'read' | 'refused' {
  try {
    const model = readModel(bytes);
    for (const { initializer } of model.graph.initializers()) initializer.bytes();
    readModel(encodeModel(model));
    return 'read';
  } catch (error) {
    if (!(error instanceof PruneCompileError) || error.code === 'E-INTERNAL') throw error;
    expect(
      error.facts.some(([label]) => label === 'try'),
      error.message,
    ).toBe(true);
    return 'refused';
  }
}

/** Small, but with a subgraph, typed attributes and several dtypes. */
function sample(): Uint8Array {
  const branch = graphBuilder({ name: 'branch' });
  branch.output(branch.op('Relu', ['h']));
  const g = graphBuilder();
  const x = g.input('x', ['batch', 2, 4, 4]);
  const h = g.conv(x, { data: [1, 2, 3, 4], dims: [2, 2, 1, 1] }, { name: '/conv/Conv', outputs: ['h'] });
  const shape = g.constant({ data: [1n, -1n] });
  const condition = g.constant({ data: [true], dims: [] });
  const chosen = g.op('If', [condition], {
    then_branch: { graph: branch.graph() },
    else_branch: { graph: branch.graph() },
  });
  g.output(g.op('Reshape', [g.add(h, chosen), shape], { allowzero: 0 }));
  return g.bytes();
}

const bytes = sample();

describe('damaged bytes', () => {
  test('the whole sample is read', () => expect(useModel(bytes)).toBe('read'));

  test('cut at every length', () => {
    const answers = Array.from({ length: bytes.length }, (_, length) => useModel(bytes.subarray(0, length)));
    expect(answers.every((answer) => answer === 'refused')).toBe(true);
  });

  test('a real network cut at many lengths', () => {
    const whole = namedCases()[0]?.bytes ?? new Uint8Array(0);
    for (let length = 0; length < whole.length; length += 997)
      expect(useModel(whole.subarray(0, length))).toBe('refused');
  });

  test('bytes changed at random', () => {
    const change = fc.record({ at: fc.nat(bytes.length - 1), value: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const damaged = Uint8Array.from(bytes);
        for (const { at, value } of changes) damaged[at] = value;
        useModel(damaged);
      }),
      { numRuns: 4000 },
    );
  });

  test('bytes taken out and put in', () => {
    const piece = fc.record({ at: fc.nat(bytes.length), drop: fc.nat(8), insert: fc.uint8Array({ maxLength: 8 }) });
    fc.assert(
      fc.property(piece, ({ at, drop, insert }) => {
        useModel(Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + drop)]));
      }),
      { numRuns: 2000 },
    );
  });

  test('no model at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => {
        expect(useModel(random)).toBe('refused');
      }),
      { numRuns: 2000 },
    );
  });
});
