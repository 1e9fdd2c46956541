/**
 * Outputs that are what a model decided, and what was hidden by them: wrong models that a
 * comparison up to ties must not let pass.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { INT64 } from '../../src/ir/tensor.js';
import { verifyModels } from '../../src/verify/verify.js';

const weights = (name: string) => ({ dims: [6, 5], data: normals(3, name, 30) });
const logits = (g: GraphBuilder, name = 'w') => g.op('MatMul', [g.input('x', ['n', 6]), weights(name)]);
const labels = (after: (g: GraphBuilder, chosen: string) => string, name = 'w') => {
  const g = graphBuilder();
  const chosen = g.op('ArgMax', [logits(g, name)], { axis: 1 }, { outputs: ['chosen'] });
  g.output(g.op('Identity', [after(g, chosen)], {}, { outputs: ['y'] }), undefined, INT64);
  return g.bytes();
};
const directly = (name = 'w') => {
  const g = graphBuilder();
  g.output(g.op('ArgMax', [logits(g, name)], { axis: 1 }, { outputs: ['y'] }), undefined, INT64);
  return g.bytes();
};

describe('an output that is a choice', () => {
  test.each<[string, (g: GraphBuilder, chosen: string) => string]>([
    ['plus one', (g, chosen) => g.add(chosen, { dims: [], data: [1], dataType: INT64 })],
    ['times zero', (g, chosen) => g.mul(chosen, { dims: [], data: [0], dataType: INT64 })],
    ['of another shape', (g, chosen) => g.op('Reshape', [chosen, { dims: [2], data: [1, -1], dataType: INT64 }])],
  ])('is compared: %s', async (_, after) => {
    expect((await verifyModels(directly(), labels(after))).equal).toBe(false);
    expect(
      (
        await verifyModels(
          directly(),
          labels((_g, chosen) => chosen),
        )
      ).equal,
    ).toBe(true);
  });

  test('does not hide that it was chosen from other numbers', async () => {
    // One weight in thirty, by a hundredth: hardly any label changes.
    const g = graphBuilder();
    const moved = Array.from(normals(3, 'w', 30), (value, at) => (at === 7 ? value + 0.01 : value));
    const x = g.input('x', ['n', 6]);
    g.output(
      g.op('ArgMax', [g.op('MatMul', [x, { dims: [6, 5], data: moved }])], { axis: 1 }, { outputs: ['y'] }),
      undefined,
      INT64,
    );
    expect(await verifyModels(directly(), g.bytes())).toMatchObject({ equal: false });
  });
});

test.each([-1e9, -3.4e38])('a constant that masks, %d, does not hide what is beside it', async (lowest) => {
  const masked = (name: string) => {
    const g = graphBuilder();
    const keep = { dims: [5], data: [1, 0, 1, 1, 0], dataType: 9 };
    g.output(g.op('Where', [keep, logits(g, name), { dims: [], data: [lowest] }], {}, { outputs: ['y'] }));
    return g.bytes();
  };
  expect((await verifyModels(masked('w'), masked('w'))).equal).toBe(true);
  expect((await verifyModels(masked('w'), masked('other'))).equal).toBe(false);
});

test('an output of which rounding leaves nothing is not equal to any other', async () => {
  const chaotic = (name: string) => {
    const g = graphBuilder();
    g.output(g.op('Sin', [g.mul(logits(g, name), { dims: [], data: [1e7] })], {}, { outputs: ['y'] }));
    return g.bytes();
  };
  expect((await verifyModels(chaotic('w'), chaotic('w'))).equal).toBe(true);
  expect((await verifyModels(chaotic('w'), chaotic('other'))).equal).toBe(false);
});
