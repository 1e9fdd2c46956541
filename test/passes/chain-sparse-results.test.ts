/**
 * Chains against the dense layers that they replace, and against the same sparse operators one by
 * one, to the bit. Skipped with a message where the native library is not built.
 */
import { describe, expect, test } from 'vitest';
import * as ort from 'onnxruntime-node';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals, words } from '../../fixtures/networks/random.js';
import { EAGER } from '../../src/cost/sparse-tables.js';
import { storedInfo, storedLayers } from '../../src/figures/sparse-figures.js';
import { inspectModel } from '../../src/inspect.js';
import { encodeProto } from '../../src/onnx/encode.js';
import { readModel } from '../../src/onnx/read.js';
import { createSession } from '../../src/runtime/session.js';
import { verifyModels } from '../../src/verify/verify.js';
import { expectClose } from '../support/closeness.js';
import { needsLibrary } from '../support/needs.js';
import { compiled, batchNorm, sparseWeights, vector } from './sparse-models.js';

const SIZES = [2, 16, 44, 46];

interface ConvSpec {
  readonly kernel?: number | readonly [number, number];
  readonly group?: number;
  readonly filters?: number;
  readonly channels?: number;
}

function conv(g: GraphBuilder, x: string, spec: ConvSpec = {}): string {
  const { kernel = 1, group = 1, filters = 16, channels = 16 } = spec;
  const shape = typeof kernel === 'number' ? [kernel, kernel] : kernel;
  const half = shape.map((extent) => (extent - 1) / 2);
  const weights = sparseWeights([filters, channels / group, ...shape], 0.7);
  return g.conv(x, weights, { pads: [...half, ...half], group, bias: vector(`${x} bias`, filters) });
}

function bottleneck(g: GraphBuilder, x: string): string {
  const inner = g.relu(conv(g, g.relu(conv(g, x, { filters: 8 })), { kernel: 3, channels: 8, filters: 8 }));
  return g.relu(g.add(batchNorm(g, conv(g, inner, { channels: 8 }), 16), x));
}

/** Layers before and after the chain, so that what it reads and writes is blocked. */
function network(build: (g: GraphBuilder, x: string) => string, dims: readonly (number | string)[] = SIZES) {
  const g = graphBuilder({ opset: 17 });
  const y = build(g, conv(g, g.input('x', dims)));
  g.output(g.op('Abs', [g.conv(y, sparseWeights([16, 16, 1, 1], 0.7), { strides: 2 })]));
  return g.bytes();
}

async function floatsOf(model: Uint8Array, dims: readonly number[], threads = 1): Promise<Float32Array[]> {
  const session = await createSession(model, { threads });
  const size = dims.reduce((total, extent) => total * extent, 1);
  const outputs = await session.run({ x: new ort.Tensor('float32', normals(7, 'x', size), dims) });
  await session.release();
  return Object.values(outputs).map(({ data }) => Float32Array.from(data as Float32Array));
}

/**
 * Equal to the masked model to rounding, and to the bit to the operators one by one, whether or not
 * images are tile-major.
 */
async function expectEqual(bytes: Uint8Array, chains: number, dims = SIZES): Promise<void> {
  const { output, natives } = await compiled(bytes, { shapes: { x: dims } });
  expect(natives.filter((name) => name === 'SparseChain')).toHaveLength(chains);
  await expectClose(bytes, output, { x: dims });
  const apart = await compiled(bytes, { shapes: { x: dims }, skip: ['chain-sparse'] });
  expect(apart.natives).not.toContain('SparseChain');
  const wanted = await floatsOf(apart.output, dims);
  expect(await floatsOf(output, dims)).toEqual(wanted);
  expect(await floatsOf(output, dims, 2)).toEqual(wanted);
  const planes = await compiled(bytes, { shapes: { x: dims }, skip: ['chain-sparse', 'mark-tile-major'] });
  expect(await floatsOf(planes.output, dims)).toEqual(wanted);
}

const NETWORKS: Readonly<Record<string, (g: GraphBuilder, x: string) => string>> = {
  'one bottleneck': bottleneck,
  'a stage of bottlenecks, the first with a convolution of X': (g, x) => {
    const inner = g.relu(conv(g, g.relu(conv(g, x, { filters: 8 })), { kernel: 3, channels: 8, filters: 8 }));
    const first = g.relu(g.add(conv(g, inner, { channels: 8 }), conv(g, x)));
    return bottleneck(g, bottleneck(g, first));
  },
  'basic blocks': (g, x) => {
    const block = (from: string) => g.relu(g.add(conv(g, g.relu(conv(g, from, { kernel: 3 })), { kernel: 3 }), from));
    return block(block(x));
  },
  'groups, and kernels of 1 by 3 and 3 by 1': (g, x) => {
    const a = g.relu(conv(g, x, { kernel: [1, 3], group: 4 }));
    const b = g.relu(conv(g, a, { kernel: [3, 1], group: 2 }));
    return g.add(conv(g, b, { kernel: 3, group: 8 }), x);
  },
  'a residual that is an inner result': (g, x) => {
    const a = g.relu(conv(g, x, { kernel: 3 }));
    const b = g.relu(g.add(conv(g, a, { kernel: 3 }), a));
    return g.relu(g.add(conv(g, b), x));
  },
  'steps without any weight, and without a bias': (g, x) => {
    const none = { data: new Float32Array(256), dims: [16, 16, 1, 1] };
    const a = g.conv(x, sparseWeights([16, 16, 3, 3], 0.9), { pads: 1 });
    return g.add(g.conv(g.relu(a), none, { bias: vector('only', 16) }), x);
  },
};

describe('the same function', needsLibrary, () => {
  test.each(Object.keys(NETWORKS))('%s', async (name) => {
    const bytes = network(NETWORKS[name] ?? bottleneck);
    await expectEqual(bytes, 1);
    const { output } = await compiled(bytes);
    expect(await verifyModels(bytes, output)).toMatchObject({ equal: true });
  });

  const sigmoid = (g: GraphBuilder, x: string) => g.mul(x, g.op('Sigmoid', [x]));
  const activations: Readonly<Record<string, (g: GraphBuilder, x: string) => string>> = {
    Clip: (g, x) => g.clip(x, -0.2, 0.3),
    LeakyRelu: (g, x) => g.op('LeakyRelu', [x], { alpha: 0.2 }),
    Sigmoid: (g, x) => g.op('Sigmoid', [x]),
    Silu: sigmoid,
    HardSigmoid: (g, x) => g.op('HardSigmoid', [x], { alpha: 0.3, beta: 0.4 }),
    HardSwish: (g, x) => g.op('HardSwish', [x]),
    Tanh: (g, x) => g.op('Tanh', [x]),
  };
  test.each(Object.keys(activations))('%s in every step', async (name) => {
    const act = activations[name] ?? sigmoid;
    const bytes = network((g, x) => act(g, g.add(conv(g, act(g, conv(g, x, { kernel: 3 }))), x)));
    const { output } = await compiled(bytes);
    const chain = readModel(output).graph.nodes.find(({ opType }) => opType === 'SparseChain');
    expect(chain?.string('activations', '')).toBe(`${name} ${name}`);
    await expectEqual(bytes, 1);
  });

  test('batches that are open', async () => {
    const bytes = network((g, x) => bottleneck(g, bottleneck(g, x)), ['n', 16, 44, 46]);
    for (const batch of [1, 3]) await expectEqual(bytes, 1, [batch, 16, 44, 46]);
  });

  test('the cost table says from which batch on', async () => {
    const chains = async (
      images: number | string,
      chainsFromBatch: number,
      shapes?: Readonly<Record<string, readonly number[]>>,
    ) => {
      const bytes = network(bottleneck, [images, 16, 44, 46]);
      return (
        await compiled(bytes, { sparseTarget: { ...EAGER, chainsFromBatch }, ...(shapes && { shapes }) })
      ).natives.includes('SparseChain');
    };
    expect(await chains(1, 1)).toBe(true);
    expect(await chains(1, 2)).toBe(false);
    expect(await chains(2, 2)).toBe(true);
    // Costs are counted at one image where the batch is open, unless a size is given.
    expect(await chains('n', 2)).toBe(false);
    expect(await chains('n', 2, { x: [2, 16, 44, 46] })).toBe(true);
  });

  test('sizes that are open: no chain', async () => {
    await expectEqual(network(bottleneck, [1, 16, 'h', 'w']), 0, [1, 16, 44, 46]);
  });

  test('many strips: an image of 160 x 160', async () => {
    await expectEqual(
      network((g, x) => bottleneck(g, bottleneck(g, x)), [1, 16, 160, 160]),
      1,
      [1, 16, 160, 160],
    );
  });

  test('random networks', async () => {
    let chains = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const draw = words(seed, 'chained networks');
      let drawn = 0;
      const below = (count: number) => draw(drawn++) % count;
      const bytes = network((g, x) => {
        const values = [x];
        const some = () => values[Math.max(0, values.length - 1 - below(3))] ?? x;
        for (let at = 0; at < 4 + below(6); at++) {
          const y = conv(g, some(), { kernel: below(2) === 0 ? 3 : 1, group: below(3) === 0 ? 4 : 1 });
          const sum = below(2) === 0 ? g.add(y, some()) : y;
          values.push(below(2) === 0 ? g.relu(sum) : sum);
        }
        return values.slice(1).reduce((sum, value) => (below(4) === 0 ? g.add(sum, value) : sum), values.at(-1) ?? x);
      });
      const { output, natives } = await compiled(bytes);
      chains += natives.filter((name) => name === 'SparseChain').length;
      await expectClose(bytes, output, { x: SIZES });
    }
    expect(chains).toBeGreaterThan(5);
  });

  test('the comparison detects a step that adds another residual', async () => {
    const bytes = network(bottleneck);
    const { output } = await compiled(bytes);
    const { proto } = readModel(output);
    const chain = proto.graph?.node?.find(({ opType }) => opType === 'SparseChain');
    const residuals = chain?.attribute?.find(({ name }) => name === 'residuals');
    if (residuals === undefined) throw new Error('no chain');
    residuals.ints = [-1, -1, -1];
    await expect(expectClose(bytes, encodeProto(proto), { x: SIZES })).rejects.toThrow(/of the output's scale/);
  });
});

describe('figures', () => {
  const bytes = network((g, x) => bottleneck(g, bottleneck(g, x)));

  test('inspect lists every layer with its own zeros and name', async () => {
    const [whole, apart] = [await compiled(bytes), await compiled(bytes, { skip: ['chain-sparse'] })];
    const [chained, single] = [await inspectModel(whole.output), await inspectModel(apart.output)];
    const rows = ({ sparse }: typeof single) =>
      sparse?.layers.map((layer) => ({ ...layer, opType: 'any' })).toSorted((a, b) => (a.node < b.node ? -1 : 1));
    expect(rows(chained)).toEqual(rows(single));
    const steps = chained.sparse?.layers.filter(({ opType }) => opType === 'prune_compile::SparseChain');
    expect(steps).toHaveLength(6);
    expect(chained.sparse?.others.map(({ op }) => op)).not.toContain('SparseChain');
  });

  test('the report counts as without chains', async () => {
    const [{ report }, { report: apart }] = [
      (await compiled(bytes)).made,
      (await compiled(bytes, { skip: ['chain-sparse'] })).made,
    ];
    const { nodes, sizeBytes, ...figures } = report.after;
    expect(apart.after).toMatchObject(figures);
    expect(nodes).toBeLessThan(apart.after.nodes);
    expect([report.layers, report.sparse?.layers]).toEqual([apart.layers, apart.sparse?.layers]);
    expect(sizeBytes).toBeGreaterThan(0);
  });

  test('--stop-after counts layers as without chains, and chains after them', async () => {
    const edits = (await compiled(bytes)).made.report.edits;
    const apart = (await compiled(bytes, { skip: ['chain-sparse'] })).made.report.edits;
    const layers = apart.filter((label) => label.startsWith('sparse operator for ')).length;
    expect(edits.slice(0, layers)).toEqual(apart.slice(0, layers));
    expect(edits[layers]).toMatch(/^chain of 6 sparse operators, /);
    for (const [stopAfter, chains] of [
      [layers, 0],
      [layers + 1, 1],
    ] as const) {
      const { natives } = await compiled(bytes, { stopAfter });
      expect(natives.filter((name) => name === 'SparseChain')).toHaveLength(chains);
    }
  });

  test('names of steps that a file does not have, or has wrongly, are those of the chain with a number', async () => {
    const { output } = await compiled(bytes);
    const { graph } = readModel(output);
    const chain = graph.nodes.find(({ opType }) => opType === 'SparseChain');
    const labels = () =>
      storedLayers(storedInfo(graph))
        .filter(({ node }) => node === chain)
        .map(({ label }) => label);
    const numbered = Array.from({ length: 6 }, (_, step) => `${chain?.label} [${step}]`);
    for (const value of ['', '{', '{"length": 6}', '7', '[1, null]']) {
      chain?.attributes.set('names', { kind: 'string', value });
      expect(labels()).toEqual(numbered);
    }
    chain?.attributes.delete('names');
    expect(labels()).toEqual(numbered);
  });
});
