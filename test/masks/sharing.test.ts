/**
 * Graphs as exporters write them where several modules share a weight, or one module's weight is
 * written down twice; and files that mix masks with weights. What PyTorch does with the same masks
 * is in the comments: each case was once compared with it.
 */
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { bind, codeOf, mask, messageOf, pruned, slotsOf, tensor } from './bound-masks.js';

const values = (name: string, count: number) => normals(9, name, count);
const nodesOf = ({ bindings }: ReturnType<typeof bind>) => bindings.map(({ slot }) => slot.node.name);

describe('one tensor, several modules', () => {
  /** Equal weights are merged: both convolutions read `a.weight`. */
  function merged(): GraphBuilder {
    const g = graphBuilder();
    const x = g.input('x', [1, 3, 6, 6]);
    g.initializer('a.weight', [4, 3, 1, 1], values('w', 12));
    g.initializer('a.bias', [4], values('b', 4));
    const conv = (name: string) =>
      g.op('Conv', [x, 'a.weight', 'a.bias'], { kernel_shape: [1, 1] }, { name: `/${name}/Conv` });
    g.output(g.concat([conv('a'), conv('b')]));
    return g;
  }

  test('a mask is for the module that it names', async () => {
    const slots = await slotsOf(merged());
    expect(nodesOf(bind(slots, { a: mask([4], [0]) }))).toEqual(['/a/Conv']);
    expect(nodesOf(bind(slots, { b: mask([4], [0]) }))).toEqual(['/b/Conv']);
    expect(nodesOf(bind(slots, { a: mask([4], [0]), b: mask([4], [1]) }))).toEqual(['/a/Conv', '/b/Conv']);
    expect(nodesOf(bind(slots, { 'b.bias_mask': mask([4], [0]) }))).toEqual(['/b/Conv']);
  });

  test('a state dict of both is no contradiction', async () => {
    const [weight, bias] = [tensor([4, 3, 1, 1], values('w', 12)), tensor([4], values('b', 4))];
    const contents = {
      'a.weight_orig': weight,
      'a.weight_mask': mask([4, 1, 1, 1], [2]),
      'a.bias': bias,
      'b.weight': weight,
      'b.bias': bias,
    };
    expect(nodesOf(bind(await slotsOf(merged()), contents))).toEqual(['/a/Conv']);
  });

  test('without names of nodes it is for the tensor; equal values alone are no evidence', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 3, 6, 6]);
    g.initializer('a.weight', [4, 3, 1, 1], values('w', 12));
    g.output(
      g.concat([g.op('Conv', [x, 'a.weight'], {}, { name: 'n0' }), g.op('Conv', [x, 'a.weight'], {}, { name: 'n1' })]),
    );
    expect(bind(await slotsOf(g), { a: mask([4], [0]) }).bindings).toHaveLength(2);
    const h = graphBuilder();
    const y = h.input('x', [1, 3, 6, 6]);
    const w = { data: values('w', 12), dims: [4, 3, 1, 1] };
    h.output(h.concat([h.conv(y, w), h.conv(y, { ...w, data: values('w', 12) })]));
    const contents = { 'a.weight_mask': mask([4], [0]), 'a.weight_orig': tensor([4, 3, 1, 1], values('w', 12)) };
    const slots = await slotsOf(h);
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-AMBIGUOUS');
  });

  test('of a parameter that is read as a layer and in the code around it, both get the mask', async () => {
    const g = graphBuilder();
    const x = g.input('x', [2, 5]);
    const weight = values('enc', 15);
    // Linear [3, 5]: transposed for the layer, as it is for `h @ enc.weight`.
    const turned = Float32Array.from({ length: 15 }, (_, at) => weight[(at % 3) * 5 + Math.floor(at / 3)] ?? 0);
    g.initializer('enc.weight', [3, 5], weight);
    g.initializer('onnx::MatMul_6', [5, 3], turned);
    const hidden = g.relu(g.op('MatMul', [x, 'onnx::MatMul_6'], {}, { name: '/enc/MatMul' }));
    g.output(g.op('MatMul', [hidden, 'enc.weight'], {}, { name: '/MatMul' }));
    expect(pruned(bind(await slotsOf(g), { 'enc.weight_mask': mask([3, 5], [1]) }))).toEqual({
      'enc.weight': [1],
      'onnx::MatMul_6': [3],
    });
  });
});

describe('copies of a layer that were not trained yet', () => {
  /**
   * As the exporters write torch.nn.TransformerEncoder: equal tensors once, and the attention reads
   * what its child holds.
   */
  function copies(paths: readonly string[]) {
    const g = graphBuilder();
    const x = g.input('x', [2, 4]);
    g.initializer('layers.0.att.out.weight', [4, 4], values('out', 16));
    g.initializer('layers.0.att.out.bias', [4], [0.5, 1, 2, 3]);
    for (const [at, path] of paths.entries()) {
      const name = at === 0 ? 'layers.0.norm.bias' : 'layers.1.norm.bias';
      const alias = g.op('Identity', ['layers.0.att.out.bias'], {}, { outputs: [name] });
      const product = g.op('Gemm', [x, 'layers.0.att.out.weight'], {}, { name: `${path}/Gemm` });
      g.output(g.op('Add', [product, alias]));
    }
    return slotsOf(g);
  }
  const weight = () => tensor([4, 4], values('out', 16));
  const zeroed = (at: number) =>
    tensor(
      [4, 4],
      values('out', 16).map((value, index) => (index === at ? 0 : value)),
    );
  const contents = () => ({ 'layers.0.att.out.weight': weight(), 'layers.1.att.out.weight': zeroed(9) });

  test('are told apart by what the nodes right around the parameter say', async () => {
    const slots = await copies(['/layers.0/att', '/layers.1/att']);
    const bound = bind(slots, contents());
    expect(nodesOf(bound)).toEqual(['/layers.1/att/Gemm']);
    expect(Object.values(pruned(bound))).toEqual([[9]]);
  });

  test.each([
    ['nothing says it', ['/a', '/b']],
    ['both are in the same code', ['/layers.1/att', '/layers.1/att']],
    ['only code further out is named', ['/layers.1', '/b']],
  ])('are refused where %s, and --mask-map settles it by the node', async (_, [first = '', second = '']) => {
    const slots = await copies([first, second]);
    expect(codeOf(() => bind(slots, contents()))).toBe('E-MASK-AMBIGUOUS');
    const hint = `--mask-map FILE with { "layers.1.att.out.weight": "${first}/Gemm" }, or another of them`;
    expect(messageOf(() => bind(slots, contents()))).toContain(hint);
    if (first === second) return;
    const map = { 'layers.0.att.out.weight': `${first}/Gemm`, 'layers.1.att.out.weight': `${second}/Gemm` };
    expect(nodesOf(bind(slots, contents(), { map }))).toContain(`${second}/Gemm`);
  });

  test('equal tensors that are stored once are parameters of their own, under their own names', async () => {
    const slots = await copies(['/layers.0/att', '/layers.1/att']);
    const { bindings } = bind(slots, { 'layers.1.norm.bias_mask': mask([4], [2]) });
    expect(bindings.map(({ slot }) => [slot.node.opType, slot.value.name])).toEqual([['Add', 'layers.1.norm.bias']]);
  });
});

describe('files that mix', () => {
  async function two() {
    const g = graphBuilder();
    const x = g.input('x', [1, 3, 6, 6]);
    g.initializer('c1.weight', [4, 3, 1, 1], values('c1', 12));
    g.initializer('c1.bias', [4], values('b1', 4));
    g.initializer('c2.weight', [4, 4, 1, 1], values('c2', 16));
    const first = g.op('Conv', [x, 'c1.weight', 'c1.bias'], {}, { name: '/c1/Conv' });
    g.output(g.op('Conv', [g.relu(first), 'c2.weight'], {}, { name: '/c2/Conv' }));
    return slotsOf(g);
  }
  const zeroed = (name: string, dims: readonly number[], from: number, to: number) =>
    tensor(
      dims,
      values(
        name,
        dims.reduce((total, extent) => total * extent, 1),
      ).map((value, at) => (at >= from && at < to ? 0 : value)),
    );

  test('hooks on one layer, pruning made permanent on another', async () => {
    const contents = {
      'c1.weight_orig': tensor([4, 3, 1, 1], values('c1', 12)),
      'c1.weight_mask': mask([4, 1, 1, 1], [0]),
      'c1.bias': tensor([4], values('b1', 4)),
      'c2.weight': zeroed('c2', [4, 4, 1, 1], 0, 8),
    };
    expect(pruned(bind(await two(), contents))).toEqual({
      'c1.weight': [0, 1, 2],
      'c2.weight': [0, 1, 2, 3, 4, 5, 6, 7],
    });
  });

  test('a weight and a bias that were pruned for good, the weight altogether', async () => {
    const contents = {
      'c1.weight': tensor([4, 3, 1, 1], values('c1', 12)),
      'c1.bias': zeroed('b1', [4], 1, 3),
      'c2.weight': mask(
        [4, 4, 1, 1],
        Array.from({ length: 16 }, (_, at) => at),
      ),
    };
    const found = pruned(bind(await two(), contents));
    expect(Object.keys(found).toSorted()).toEqual(['c1.bias', 'c2.weight']);
    expect(found['c1.bias']).toEqual([1, 2]);
  });

  test('masks of modules beside masks of parameters, and beside weights', async () => {
    const slots = await two();
    const both = { 'c1.weight': [0, 1, 2], 'c2.weight': [4, 5, 6, 7] };
    expect(pruned(bind(slots, { c1: mask([4], [0]), 'c2.weight_mask': mask([4], [1]) }))).toEqual(both);
    expect(pruned(bind(slots, { 'c1.weight': mask([4], [0]), 'c2.weight_mask': mask([4], [1]) }))).toEqual(both);
    expect(pruned(bind(slots, { c1: mask([4], [0]), 'c2.weight': zeroed('c2', [4, 4, 1, 1], 4, 8) }))).toEqual(both);
  });

  test('what trainers put beside a state dict is no second set', async () => {
    const state = { 'c1.weight_mask': mask([4], [0]), 'c1.weight_orig': tensor([4, 3, 1, 1], values('c1', 12)) };
    const trainer = {
      epoch: 3,
      best_acc1: tensor([], [71]),
      rng_state: tensor([3], [1, 0, 1]),
      config: { shape: [1, 3, 6, 6], lr: [0.1] },
      optimizer: { state: { 0: { exp_avg: tensor([4, 3, 1, 1], values('m', 12)) } }, param_groups: [] },
    };
    const slots = await two();
    for (const key of ['state_dict', 'model', 'net', 'masks'])
      expect(pruned(bind(slots, { ...trainer, [key]: state }))).toEqual({ 'c1.weight': [0, 1, 2] });
  });

  test('modules that are called like containers are modules', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 3, 6, 6]);
    g.initializer('model.weight', [4, 3, 1, 1], values('c1', 12));
    g.initializer('head.weight', [4, 4, 1, 1], values('c2', 16));
    g.output(g.op('Conv', [g.relu(g.op('Conv', [x, 'model.weight'])), 'head.weight']));
    const contents = { model: { weight: mask([4], [0]), bias: null }, head: { weight: mask([4], [1]), bias: null } };
    expect(pruned(bind(await slotsOf(g), contents))).toEqual({
      'model.weight': [0, 1, 2],
      'head.weight': [4, 5, 6, 7],
    });
  });

  test.each([
    [
      'two sets',
      { state_dict: { 'c1.weight_mask': mask([4], [0]) }, ema_state_dict: { 'c1.weight_mask': mask([4], [1]) } },
      'E-MASK-AMBIGUOUS',
    ],
    ['weights of another training run', { 'c1.weight': tensor([4, 3, 1, 1], values('other', 12)) }, 'E-MASK-SOFT'],
  ])('%s', async (_, contents, code) => {
    const slots = await two();
    expect(codeOf(() => bind(slots, contents))).toBe(code);
    expect(codeOf(() => bind(slots, contents, { soft: 'multiply' }))).toBe(code);
  });

  test.each([
    { c1: { remove: [0] }, c2: [1, 0, null] },
    { c1: { remove: [0] }, c2: 0 },
    { c1: { remove: [0] }, c2: 'abc' },
  ])('JSON with something that is no mask: %j', async (contents) => {
    const slots = await two();
    expect(codeOf(() => bind(slots, contents, { format: 'JSON' }))).toBe('E-MASK-FORMAT');
  });
});
