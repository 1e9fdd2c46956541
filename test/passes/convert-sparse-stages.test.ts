/**
 * Whole stages in the blocked layout: operators between sparse layers stay in it, and the network
 * computes the same.
 */
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals, uniforms } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { SPARSE_DOMAIN } from '../../src/ir/graph.js';
import { readModel } from '../../src/onnx/read.js';
import { expectClose } from '../support/closeness.js';
import { PAYS_FROM_30_PERCENT } from '../support/pays-from-30-percent.js';
import { needsLibrary } from '../support/needs.js';

let drawn = 0;

function sparseWeights(dims: readonly number[], zeros: number) {
  const size = dims.reduce((total, extent) => total * extent, 1);
  const name = `w${drawn++}`;
  const chance = uniforms(5, `${name}#zeros`, size, 0, 1);
  const spread = Math.sqrt(2 / Math.max(1, (size / (dims[0] ?? 1)) * (1 - zeros)));
  return { data: normals(5, name, size, spread).map((value, at) => ((chance[at] ?? 0) < zeros ? 0 : value)), dims };
}

const vector = (size: number) => ({ data: normals(5, `v${drawn++}`, size, 0.3), dims: [size] });

/** A convolution with 80 % zeros, and its bias. */
function sparseConv(
  g: GraphBuilder,
  x: string,
  [out, input, kernel, stride = 1]: readonly [number, number, number, number?],
) {
  const pads = (kernel - 1) / 2;
  return g.conv(x, sparseWeights([out, input, kernel, kernel], 0.8), { pads, strides: stride, bias: vector(out) });
}

function depthwiseConv(g: GraphBuilder, x: string, channels: number, kernel = 3, stride = 1) {
  const pads = (kernel - 1) / 2;
  return g.conv(x, sparseWeights([channels, 1, kernel, kernel], 0), {
    pads,
    strides: stride,
    group: channels,
    bias: vector(channels),
  });
}

function batchNorm(g: GraphBuilder, x: string, channels: number) {
  const variance = { data: uniforms(5, `variance${drawn++}`, channels, 0.5, 1.5), dims: [channels] };
  return g.batchNorm(x, { scale: vector(channels), shift: vector(channels), mean: vector(channels), variance });
}

const swish = (g: GraphBuilder, x: string) => g.mul(x, g.op('Sigmoid', [x]));

const NETWORKS: Readonly<Record<string, (g: GraphBuilder, x: string) => string>> = {
  'VGG: convolutions and maxima': (g, x) => {
    let y = g.relu(sparseConv(g, g.relu(sparseConv(g, x, [16, 8, 3])), [16, 16, 3]));
    y = g.maxPool(y, [2, 2], { strides: [2, 2] });
    y = g.relu(sparseConv(g, y, [32, 16, 3]));
    return g.relu(sparseConv(g, g.maxPool(y, [3, 3], { strides: [2, 2], pads: [1, 1, 1, 1] }), [16, 32, 3]));
  },
  'SqueezeNet: a fire module between maxima': (g, x) => {
    const y = g.maxPool(g.relu(sparseConv(g, x, [16, 8, 3])), [3, 3], { strides: [2, 2], ceilMode: true });
    const squeezed = g.relu(sparseConv(g, y, [16, 16, 1]));
    const joined = g.concat([
      g.relu(sparseConv(g, squeezed, [16, 16, 1])),
      g.relu(sparseConv(g, squeezed, [16, 16, 3])),
    ]);
    return g.relu(sparseConv(g, joined, [16, 32, 1]));
  },
  'DenseNet: joined again and again, normalised before': (g, x) => {
    const features = [sparseConv(g, x, [16, 8, 3])];
    for (let layer = 0; layer < 3; layer++) {
      const channels = 16 + 8 * layer;
      const joined = layer === 0 ? (features[0] ?? '') : g.concat(features);
      const inner = sparseConv(g, g.relu(batchNorm(g, joined, channels)), [16, channels, 1]);
      features.push(sparseConv(g, g.relu(batchNorm(g, inner, 16)), [8, 16, 3]));
    }
    const reduced = sparseConv(g, g.relu(batchNorm(g, g.concat(features), 40)), [16, 40, 1]);
    return sparseConv(g, g.averagePool(reduced, [2, 2], { strides: [2, 2] }), [16, 16, 1]);
  },
  'MobileNetV2: depthwise convolutions between sparse ones': (g, x) => {
    const start = sparseConv(g, x, [8, 8, 1]);
    const wide = g.clip(sparseConv(g, start, [24, 8, 1]), 0, 6);
    const block = g.add(sparseConv(g, g.clip(depthwiseConv(g, wide, 24), 0, 6), [8, 24, 1]), start);
    const next = g.clip(sparseConv(g, block, [24, 8, 1]), 0, 6);
    return sparseConv(g, g.clip(depthwiseConv(g, next, 24, 5, 2), 0, 6), [16, 24, 1]);
  },
  'U-Net: doubled and joined with what was before': (g, x) => {
    const first = g.relu(sparseConv(g, x, [16, 8, 3]));
    const low = g.relu(sparseConv(g, g.maxPool(first, [2, 2], { strides: [2, 2] }), [16, 16, 3]));
    const scales = { data: Float32Array.of(1, 1, 2, 2), dims: [4] };
    const up = g.op('Resize', [low, '', scales], {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    });
    return g.relu(sparseConv(g, g.concat([up, first]), [16, 32, 3]));
  },
  'squeeze and excitation, swish': (g, x) => {
    const y = swish(g, depthwiseConv(g, swish(g, sparseConv(g, x, [16, 8, 1])), 16, 5));
    const squeezed = g.conv(g.globalAveragePool(y), sparseWeights([8, 16, 1, 1], 0), { bias: vector(8) });
    const excited = g.conv(g.relu(squeezed), sparseWeights([16, 8, 1, 1], 0), { bias: vector(16) });
    return sparseConv(g, g.mul(y, g.op('HardSigmoid', [excited], { alpha: 1 / 6, beta: 0.5 })), [16, 16, 1]);
  },
  'sums and products of values that are read again': (g, x) => {
    const [a, b] = [sparseConv(g, x, [16, 8, 3]), sparseConv(g, x, [16, 8, 1])];
    const sum = g.relu(g.add(a, b));
    const y = g.add(g.mul(sum, g.op('Tanh', [a])), b);
    return g.add(
      sparseConv(g, y, [16, 16, 3]),
      sparseConv(g, g.averagePool(y, [3, 3], { pads: [1, 1, 1, 1] }), [16, 16, 1]),
    );
  },
};

/**
 * The native operators between the sparse convolutions of each network. There is no Leave. The last
 * network has an Enter for a value that two layers read.
 */
const LAYOUT_OPS: Readonly<Record<string, readonly string[]>> = {
  'VGG: convolutions and maxima': ['MaxPool', 'MaxPool'],
  'SqueezeNet: a fire module between maxima': ['Concat', 'MaxPool'],
  'DenseNet: joined again and again, normalised before': [
    'AveragePool',
    'Concat',
    'Concat',
    'Concat',
    'DepthwiseConv',
    'DepthwiseConv',
    'DepthwiseConv',
    'DepthwiseConv',
  ],
  'MobileNetV2: depthwise convolutions between sparse ones': ['DepthwiseConv', 'DepthwiseConv'],
  'U-Net: doubled and joined with what was before': ['Concat', 'MaxPool', 'Upsample'],
  'squeeze and excitation, swish': ['DepthwiseConv', 'GlobalAveragePool', 'Scale'],
  'sums and products of values that are read again': ['Activate', 'Add', 'Add', 'AveragePool', 'Enter', 'Mul'],
};

/**
 * The same where height and width are open. A window without padding may then be larger than the
 * image, and its pool stays dense.
 */
const OPEN: Readonly<Record<string, { layoutOps: readonly string[]; dense: readonly string[] }>> = {
  'VGG: convolutions and maxima': { layoutOps: ['MaxPool'], dense: ['MaxPool'] },
  'SqueezeNet: a fire module between maxima': { layoutOps: ['Concat'], dense: ['MaxPool'] },
  'DenseNet: joined again and again, normalised before': {
    layoutOps: ['Concat', 'Concat', 'Concat', 'DepthwiseConv', 'DepthwiseConv', 'DepthwiseConv', 'DepthwiseConv'],
    dense: ['AveragePool'],
  },
  'U-Net: doubled and joined with what was before': { layoutOps: ['Concat', 'Leave', 'Upsample'], dense: ['MaxPool'] },
};

const SIZES = [2, 8, 12, 12];

async function compiled(bytes: Uint8Array) {
  const made = await compileModel(bytes, { sparse: true, sparseTarget: PAYS_FROM_30_PERCENT, shapes: { x: SIZES } });
  const output = made.encode();
  const { nodes } = readModel(output).graph;
  const natives = nodes.filter(({ domain }) => domain === SPARSE_DOMAIN).map(({ opType }) => opType);
  return { output, natives, dense: nodes.filter(({ domain }) => domain === '').map(({ opType }) => opType) };
}

const count = (names: readonly string[], name: string) => names.filter((other) => other === name).length;

describe('stages', needsLibrary, () => {
  const cases = Object.keys(NETWORKS).flatMap((name) =>
    [SIZES, ['n', ...SIZES.slice(1)], ['n', 8, 'h', 'w']].map((dims) => ({ name, dims })),
  );
  test.each(cases)('$name, $dims', async ({ name, dims }) => {
    const g = graphBuilder();
    const y = NETWORKS[name]?.(g, g.input('x', dims)) ?? '';
    g.output(g.op('Abs', [y]));
    const bytes = g.bytes();
    const { output, natives, dense } = await compiled(bytes);
    const layoutOps = natives.filter((op) => op !== 'SparseConv').toSorted();
    const isOpen = dims[2] === 'h';
    // Open sizes change nothing else: an operator between two layers saves moves at any size.
    const open = isOpen ? OPEN[name] : undefined;
    expect(layoutOps).toEqual(open?.layoutOps ?? LAYOUT_OPS[name]);
    const otherDense = dense.filter((op) => !['Conv', 'Relu', 'HardSigmoid', 'Abs'].includes(op));
    expect(otherDense).toEqual(open?.dense ?? []);
    expect(dense.at(-1)).toBe('Abs');
    await expectClose(bytes, output, { x: SIZES });
    if (dims[0] === 'n') await expectClose(bytes, output, { x: [1, ...SIZES.slice(1)] });
    if (isOpen) await expectClose(bytes, output, { x: [1, 8, 20, 28] });
  });
});

describe('at the edge', needsLibrary, () => {
  async function ops(
    build: (g: GraphBuilder, x: string) => readonly string[],
    dims: readonly (number | string)[] = SIZES,
  ) {
    const g = graphBuilder();
    for (const y of build(g, g.input('x', dims))) g.output(y);
    const bytes = g.bytes();
    const { output, natives, dense } = await compiled(bytes);
    await expectClose(bytes, output, { x: SIZES });
    return { natives, dense };
  }

  test('a pool after the last layer: fewer elements are converted', async () => {
    const { natives } = await ops((g, x) => [
      g.op('Abs', [g.maxPool(sparseConv(g, x, [16, 8, 3]), [2, 2], { strides: [2, 2] })]),
    ]);
    expect(natives).toEqual(['SparseConv', 'MaxPool', 'Leave']);
  });

  test('an operator that saves no move stays dense', async () => {
    const { natives, dense } = await ops((g, x) => [
      g.op('Abs', [g.op('Sigmoid', [g.averagePool(sparseConv(g, x, [16, 8, 3]), [3, 3], { pads: [1, 1, 1, 1] })])]),
    ]);
    expect(natives).toEqual(['SparseConv']);
    expect(dense).toEqual(['AveragePool', 'Sigmoid', 'Abs']);
  });

  test('graph outputs and other readers get the plain layout', async () => {
    const { natives, dense } = await ops((g, x) => {
      const pooled = g.maxPool(sparseConv(g, x, [16, 8, 3]), [2, 2], { strides: [2, 2] });
      const seen = g.maxPool(sparseConv(g, pooled, [8, 16, 3]), [2, 2], { strides: [2, 2] });
      return [seen, g.op('Abs', [sparseConv(g, seen, [8, 8, 1])]), g.op('Neg', [pooled])];
    });
    expect(natives.toSorted()).toEqual([
      'Leave',
      'Leave',
      'MaxPool',
      'MaxPool',
      'SparseConv',
      'SparseConv',
      'SparseConv',
    ]);
    expect(dense.toSorted()).toEqual(['Abs', 'Neg']);
  });

  test('the output of a mean is plain', async () => {
    const { natives, dense } = await ops((g, x) => [
      g.gemm(g.flatten(g.globalAveragePool(sparseConv(g, x, [16, 8, 3]))), {
        data: normals(5, 'fc', 64),
        dims: [4, 16],
      }),
      g.op('Abs', [g.reduceMean(sparseConv(g, x, [16, 8, 1]), [2, 3], { keepDims: false })]),
    ]);
    expect(count(natives, 'GlobalAveragePool')).toBe(2);
    expect(count(natives, 'Leave')).toBe(0);
    expect(dense.toSorted()).toEqual(['Abs', 'Flatten', 'Gemm']);
  });
});

type Formula = (g: GraphBuilder, x: string) => string;
const scalar = (value: number) => ({ data: Float32Array.of(value), dims: [] });

describe('activations after a layer are fused into it', needsLibrary, () => {
  const erf = (g: GraphBuilder, x: string) => g.add(g.op('Erf', [g.op('Div', [x, scalar(Math.SQRT2)])]), scalar(1));
  const formulas: Readonly<Record<string, Formula>> = {
    HardSwish: (g, x) => g.op('HardSwish', [x]),
    HardSigmoid: (g, x) => g.op('HardSigmoid', [x], { alpha: 0.3, beta: 0.4 }),
    'x sigmoid(x)': swish,
    'x hard_sigmoid(x)': (g, x) => g.mul(g.op('HardSigmoid', [x], { alpha: 1 / 6, beta: 0.5 }), x),
    'x clip(x + 3) / 6': (g, x) => g.op('Div', [g.mul(x, g.clip(g.add(x, scalar(3)), 0, 6)), scalar(6)]),
    'Gelu, x (1 + erf) / 2': (g, x) => g.mul(g.mul(x, erf(g, x)), scalar(0.5)),
    'Gelu, (x / 2) (1 + erf)': (g, x) => g.mul(g.mul(scalar(0.5), x), erf(g, x)),
    'Clip with one bound': (g, x) => g.op('Clip', [x, scalar(0.1)]),
  };

  test.each(Object.keys(formulas))('%s', async (name) => {
    const g = graphBuilder({ opset: 17 });
    const y = formulas[name]?.(g, g.conv(g.input('x', SIZES), sparseWeights([16, 8, 3, 3], 0.8), { pads: 1 })) ?? '';
    g.output(g.op('Abs', [y]));
    const { output, natives, dense } = await compiled(g.bytes());
    expect([natives, dense]).toEqual([['SparseConv'], ['Abs']]);
    await expectClose(g.bytes(), output, { x: SIZES });
  });
});

test('grouped convolutions are sparse operators too', needsLibrary, async () => {
  const g = graphBuilder();
  const y = g.relu(
    g.conv(g.input('x', SIZES), sparseWeights([16, 2, 3, 3], 0.8), { pads: 1, group: 4, bias: vector(16) }),
  );
  g.output(
    g.op('Abs', [batchNorm(g, g.conv(y, sparseWeights([16, 1, 3, 3], 0.6), { pads: 1, strides: 2, group: 16 }), 16)]),
  );
  const { output, natives, dense } = await compiled(g.bytes());
  expect([natives, dense]).toEqual([['SparseConv', 'SparseConv'], ['Abs']]);
  await expectClose(g.bytes(), output, { x: SIZES });
});

test('the comparison detects a wrong result', needsLibrary, async () => {
  const g = graphBuilder();
  const shared = sparseWeights([16, 8, 3, 3], 0.8);
  const build = (stride: number, graph: GraphBuilder) => {
    const y = graph.maxPool(graph.conv(graph.input('x', SIZES), shared, { pads: 1 }), [2, 2], { strides: [stride, 1] });
    graph.output(graph.op('Abs', [graph.slice(y, { axes: [2], starts: [0], ends: [6] })]));
    return graph.bytes();
  };
  const { output } = await compiled(build(1, g));
  await expect(expectClose(build(2, graphBuilder()), output, { x: SIZES })).rejects.toThrow(/of the output's scale/);
});

test('a blocked value is converted before all of its plain readers, a residual too', needsLibrary, async () => {
  const g = graphBuilder();
  const x = g.input('x', SIZES);
  const y = g.averagePool(g.relu(sparseConv(g, x, [16, 8, 3])), [2, 2], { strides: [2, 2] });
  g.output(g.relu(g.add(y, sparseConv(g, y, [16, 16, 3]))));
  g.output(g.averagePool(y, [2, 2], { strides: [2, 2] }));
  const { output } = await compiled(g.bytes());
  await expectClose(g.bytes(), output, { x: SIZES });
});
