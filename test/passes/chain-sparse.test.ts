/** Which sparse convolutions become steps of a chain, and how the graph looks then. */
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { words } from '../../fixtures/networks/random.js';
import { SPARSE_DOMAIN } from '../../src/ir/graph.js';
import {
  blocked,
  bottleneck,
  chained,
  chainsOf,
  type ConvSpec,
  formulas,
  leave,
  picture,
  sparse,
} from './chain-graphs.js';

describe('one node of', () => {
  test('a residual unit, with a bias of zeros where a step has none', async () => {
    const bytes = blocked((g, x) => {
      const a = sparse(g, 'a', x, { filters: 2, kept: 5, attributes: { activation: 'Relu' } });
      const clip = { activation: 'Clip', alpha: -1, beta: 6, group: 2 };
      const b = sparse(g, 'b', a, { kernel: 3, channels: 2, filters: 2, kept: 7, hasBias: true, attributes: clip });
      leave(g, sparse(g, 'c', b, { channels: 2, kept: 6, residual: x }));
    });
    expect(await picture(bytes)).toMatchInlineSnapshot(`
      inputs: image [1,4,48,48]
      x = prune_compile::Enter(image)
      a = prune_compile::SparseConv(x, a_values [5] {1 1 1 1 1}, a_bits uint8 [1] {1}, -) channels=4 filters=2 x_layout=internal y_layout=internal input_size=48,48 activation=Relu
      b = prune_compile::SparseConv(a, b_values [7] {1 1 1 1 1 1 1}, b_bits uint8 [1] {1}, b_bias [2] {1 1}) channels=2 pads=1,1,1,1 filters=2 group=2 x_layout=internal y_layout=internal input_size=48,48 activation=Clip alpha=-1 beta=6
      c = prune_compile::SparseConv(b, c_values [6] {1 1 1 1 1 1}, c_bits uint8 [1] {1}, -, x) channels=2 filters=4 x_layout=internal y_layout=internal input_size=48,48 activation=None
      Leave_output_0 = prune_compile::Leave(c)
      outputs: Leave_output_0
      =>
      inputs: image [1,4,48,48]
      x = prune_compile::Enter(image)
      c = prune_compile::SparseChain(x, a_values [5] {1 1 1 1 1}, a_bits uint8 [1] {1}, a_bias [2] {0 0}, b_values [7] {1 1 1 1 1 1 1}, b_bits uint8 [1] {1}, b_bias [2] {1 1}, c_values [6] {1 1 1 1 1 1}, c_bits uint8 [1] {1}, c_bias [4] {0 0 0 0}) channels=4,2,2 filters=2,2,4 group=1,2,1 sources=0,1,2 residuals=-1,-1,0 activations=Relu Clip None alphas=0,-1,0 betas=0,6,0 input_size=48,48 names=["a","b","c"]
      Leave_output_0 = prune_compile::Leave(c)
      outputs: Leave_output_0
    `);
  });

  test('a unit whose sum is of a convolution, around another node', async () => {
    const bytes = blocked((g, x) => {
      const b = sparse(g, 'b', sparse(g, 'a', x), { kernel: [1, 3] });
      const pool = g.op(
        'MaxPool',
        [x],
        { kernel_shape: [2, 2] },
        { name: 'pool', outputs: ['pool'], domain: SPARSE_DOMAIN },
      );
      const down = sparse(g, 'down', x);
      leave(g, pool);
      leave(g, sparse(g, 'sum', b, { residual: down }));
    });
    expect(await picture(bytes)).toMatchInlineSnapshot(`
      inputs: image [1,4,48,48]
      x = prune_compile::Enter(image)
      a = prune_compile::SparseConv(x, a_values [9], a_bits uint8 [1] {1}, -) channels=4 filters=4 x_layout=internal y_layout=internal input_size=48,48 activation=None
      b = prune_compile::SparseConv(a, b_values [9], b_bits uint8 [1] {1}, -) channels=4 pads=0,1,0,1 filters=4 x_layout=internal y_layout=internal input_size=48,48 activation=None
      pool = prune_compile::MaxPool(x) kernel_shape=2,2
      down = prune_compile::SparseConv(x, down_values [9], down_bits uint8 [1] {1}, -) channels=4 filters=4 x_layout=internal y_layout=internal input_size=48,48 activation=None
      Leave_output_0 = prune_compile::Leave(pool)
      sum = prune_compile::SparseConv(b, sum_values [9], sum_bits uint8 [1] {1}, -, down) channels=4 filters=4 x_layout=internal y_layout=internal input_size=48,48 activation=None
      Leave_1_output_0 = prune_compile::Leave(sum)
      outputs: Leave_output_0, Leave_1_output_0
      =>
      inputs: image [1,4,48,48]
      x = prune_compile::Enter(image)
      pool = prune_compile::MaxPool(x) kernel_shape=2,2
      Leave_output_0 = prune_compile::Leave(pool)
      sum = prune_compile::SparseChain(x, a_values [9], a_bits uint8 [1] {1}, a_bias [4] {0 0 0 0}, b_values [9], b_bits uint8 [1] {1}, b_bias [4] {0 0 0 0}, down_values [9], down_bits uint8 [1] {1}, down_bias [4] {0 0 0 0}, sum_values [9], sum_bits uint8 [1] {1}, sum_bias [4] {0 0 0 0}) channels=4,4,4,4 filters=4,4,4,4 sources=0,1,0,2 residuals=-1,-1,-1,3 activations=None None None None alphas=0,0,0,0 betas=0,0,0,0 input_size=48,48 names=["a","b","down","sum"]
      Leave_1_output_0 = prune_compile::Leave(sum)
      outputs: Leave_output_0, Leave_1_output_0
    `);
  });

  test('units that follow each other', async () => {
    const bytes = blocked((g, x) => leave(g, bottleneck(g, 'c', bottleneck(g, 'b', bottleneck(g, 'a', x)))));
    const { graph, edits } = await chained(bytes);
    const chain = graph.nodes.find(({ opType }) => opType === 'SparseChain');
    expect(chain?.ints('sources')).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(chain?.ints('residuals')).toEqual([-1, -1, 0, -1, -1, 3, -1, -1, 6]);
    expect(edits).toEqual(['chain of 9 sparse operators, a1 to c3']);
  });

  test('at most 16 steps', async () => {
    const bytes = blocked((g, x) => {
      for (const name of 'abcdef') x = bottleneck(g, name, x);
      leave(g, x);
    });
    expect((await chainsOf(bytes)).map(({ length }) => length)).toEqual([15, 3]);
  });

  test('a unit whose result is an output of the graph keeps the name', async () => {
    const bytes = blocked((g, x) => g.output(bottleneck(g, 'a', x)));
    expect(await picture(bytes)).toMatchInlineSnapshot(`
      inputs: image [1,4,48,48]
      x = prune_compile::Enter(image)
      a1 = prune_compile::SparseConv(x, a1_values [9], a1_bits uint8 [1] {1}, -) channels=4 filters=4 x_layout=internal y_layout=internal input_size=48,48 activation=None
      a2 = prune_compile::SparseConv(a1, a2_values [9], a2_bits uint8 [1] {1}, -) channels=4 pads=1,1,1,1 filters=4 x_layout=internal y_layout=internal input_size=48,48 activation=None
      a3 = prune_compile::SparseConv(a2, a3_values [9], a3_bits uint8 [1] {1}, -, x) channels=4 filters=4 x_layout=internal y_layout=internal input_size=48,48 activation=None
      outputs: a3
      =>
      inputs: image [1,4,48,48]
      x = prune_compile::Enter(image)
      a3 = prune_compile::SparseChain(x, a1_values [9], a1_bits uint8 [1] {1}, a1_bias [4] {0 0 0 0}, a2_values [9], a2_bits uint8 [1] {1}, a2_bias [4] {0 0 0 0}, a3_values [9], a3_bits uint8 [1] {1}, a3_bias [4] {0 0 0 0}) channels=4,4,4 filters=4,4,4 sources=0,1,2 residuals=-1,-1,0 activations=None None None alphas=0,0,0 betas=0,0,0 input_size=48,48 names=["a1","a2","a3"]
      outputs: a3
    `);
  });
});

describe('units stay apart', () => {
  test('where something else reads the result between them', async () => {
    const bytes = blocked((g, x) => {
      const middle = bottleneck(g, 'a', x);
      leave(g, middle);
      leave(g, bottleneck(g, 'b', middle));
    });
    expect(await chainsOf(bytes)).toEqual([
      ['a1', 'a2', 'a3'],
      ['b1', 'b2', 'b3'],
    ]);
  });

  test.each([
    [59_998, 1],
    [60_000, 2],
  ])('with %i weights together: chains: %i', async (weights, chains) => {
    const kept = weights / 2 - 18;
    const bytes = blocked((g, x) => {
      const one = (name: string, from: string) =>
        sparse(g, `${name}3`, sparse(g, `${name}2`, sparse(g, `${name}1`, from), { kept }), { residual: from });
      leave(g, one('b', one('a', x)));
    });
    expect(await chainsOf(bytes)).toHaveLength(chains);
  });

  test('a stop between two chains leaves the second one as it was', async () => {
    const bytes = blocked((g, x) => leave(g, bottleneck(g, 'b', bottleneck(g, 'a', x, { kept: 30_000 }))));
    for (const stopAfter of [0, 1, 2]) {
      const { graph, edits } = await chained(bytes, stopAfter);
      expect(graph.nodes.filter(({ opType }) => opType === 'SparseChain')).toHaveLength(stopAfter);
      expect(graph.nodes.filter(({ opType }) => opType === 'SparseConv')).toHaveLength(6 - 3 * stopAfter);
      expect(edits).toHaveLength(stopAfter);
    }
  });
});

describe('no chain', () => {
  /** A unit of three convolutions, the second of which is as told. */
  const unit = (spec: ConvSpec) =>
    blocked((g, x) => leave(g, sparse(g, 'c', sparse(g, 'b', sparse(g, 'a', x), spec), { residual: x })));

  test('but for this, there would be one', async () => {
    expect(await chainsOf(unit({ kernel: 3 }))).toEqual([['a', 'b', 'c']]);
  });

  test.each<[string, ConvSpec]>([
    ['a stride', { attributes: { strides: [2, 1] } }],
    ['a dilation', { attributes: { dilations: [1, 2] } }],
    ['pads that change the size', { kernel: 3, attributes: { pads: [1, 1, 1, 0] } }],
    ['another size', { size: [48, 50] }],
    ['a size that is unknown', { attributes: { input_size: undefined } }],
    ['a kernel of 5', { kernel: 5 }],
    ['a kernel of 3 by 5', { kernel: [3, 5] }],
    ['the plain layout of the input', { attributes: { x_layout: 'NCHW' } }],
    ['the plain layout of the result, and of a residual', { attributes: { y_layout: undefined } }],
    ['a kernel that is asked for', { attributes: { kernel: 'stream' } }],
    ['a residual from elsewhere', { residual: 'image' }],
    ['more than 120,000 weights', { kept: 120_000 }],
  ])('%s', async (_, spec) => {
    expect(await picture(unit(spec))).toContain('=> unchanged');
  });

  test.each([
    ['64 tiles', [32, 32], 0],
    ['99 tiles', [36, 43], 0],
    ['100 tiles', [38, 41], 1],
  ])('small images: %s', async (_, size, chains) => {
    const bytes = blocked((g, x) => leave(g, bottleneck(g, 'a', x, { size })));
    expect(await chainsOf(bytes)).toHaveLength(chains);
  });

  test('convolutions one after another: one image is alive between them in any case', async () => {
    const bytes = blocked((g, x) => leave(g, sparse(g, 'c', sparse(g, 'b', sparse(g, 'a', x)))));
    expect(await picture(bytes)).toContain('=> unchanged');
  });

  test.each<[string, (g: GraphBuilder, inner: string) => void]>([
    ['by another operator', leave],
    ['as an output of the graph', (g, inner) => g.output(inner)],
    [
      'inside a subgraph',
      (g, inner) => {
        const branch = () => {
          const own = graphBuilder();
          own.output(own.op('Identity', [inner]));
          return { graph: own.graph() };
        };
        g.output(g.op('If', [{ data: [true], dims: [] }], { then_branch: branch(), else_branch: branch() }));
      },
    ],
  ])('an inner result that is read %s', async (_, read) => {
    const bytes = blocked((g, x) => {
      const a = sparse(g, 'a', x);
      read(g, a);
      leave(g, sparse(g, 'c', sparse(g, 'b', a), { residual: x }));
    });
    expect(await picture(bytes)).toContain('=> unchanged');
  });

  test('X may be read by anybody', async () => {
    const bytes = blocked((g, x) => {
      leave(g, x);
      g.output(x);
      leave(g, bottleneck(g, 'a', x));
    });
    expect(await chainsOf(bytes)).toEqual([['a1', 'a2', 'a3']]);
  });

  test('a weight or bias that is computed', async () => {
    const computed = (which: number) =>
      blocked((g, x) => {
        const inputs = ['values', 'bits', 'bias'].map((name) => g.initializer(name, [4], new Float32Array(4)));
        if (which < inputs.length) inputs[which] = g.op('Identity', [inputs[which] ?? '']);
        const attributes = { channels: 4, filters: 4, kernel_shape: [1, 1], input_size: [48, 48] };
        const layouts = { x_layout: 'internal', y_layout: 'internal' };
        const first = g.op('SparseConv', [x, ...inputs], { ...attributes, ...layouts }, { domain: SPARSE_DOMAIN });
        leave(g, sparse(g, 'c', sparse(g, 'b', first), { residual: x }));
      });
    for (const which of [0, 1, 2]) expect(await chainsOf(computed(which))).toEqual([]);
    expect(await chainsOf(computed(3))).toHaveLength(1);
  });
});

/** Random graphs of convolutions and others, all of one size. */
function random(seed: number): Uint8Array {
  const draw = words(seed, 'chains');
  let drawn = 0;
  const below = (count: number) => draw(drawn++) % count;
  return blocked((g, x) => {
    const values = [x];
    const some = () => values[Math.max(0, values.length - 1 - below(4))] ?? x;
    const count = 4 + below(24);
    for (let at = 0; at < count; at++) {
      const kernel = below(3) === 0 ? 3 : 1;
      const isApart = below(8) === 0;
      const [from, residual] = [some(), some()];
      values.push(
        isApart
          ? g.op('Add', [from, residual], {}, { domain: SPARSE_DOMAIN })
          : sparse(g, `c${at}`, from, {
              kernel,
              kept: below(4) === 0 ? 30_000 : 9,
              hasBias: below(2) === 0,
              ...(below(3) === 0 && { residual }),
              ...(below(12) === 0 && { attributes: { strides: [2, 2] } }),
            }),
      );
    }
    for (const value of values.slice(1)) if (below(10) === 0) leave(g, value);
    leave(g, values.at(-1) ?? x);
  });
}

test('random graphs keep what they compute and in which order', async () => {
  let chains = 0;
  for (let seed = 1; seed <= 300; seed++) {
    const bytes = random(seed);
    const [before, after] = [await chained(bytes, 0), await chained(bytes)];
    chains += after.edits.length;
    const numbers = new Map<string, number>();
    expect(formulas(after.graph, numbers)).toEqual(formulas(before.graph, numbers));
    expect((await chained(after.written)).edits).toEqual([]);
  }
  expect(chains).toBeGreaterThan(100);
});

test('the comparison of random graphs detects a step that reads another value', async () => {
  const bytes = blocked((g, x) => leave(g, bottleneck(g, 'a', x)));
  const { graph } = await chained(bytes);
  const chain = graph.nodes.find(({ opType }) => opType === 'SparseChain');
  chain?.attributes.set('residuals', { kind: 'ints', value: [-1, -1, 1] });
  const numbers = new Map<string, number>();
  expect(formulas(graph, numbers)).not.toEqual(formulas((await chained(bytes, 0)).graph, numbers));
});
