/**
 * "Not pruned" is said only where everything was looked at: what no rule reads is named by operator
 * and type, with its zeros.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder, type Input, scalar } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { inspectModel } from '../../src/inspect.js';
import { FLOAT16, Tensor, UINT8 } from '../../src/ir/tensor.js';
import { encodeProto } from '../../src/onnx/encode.js';
import { renderInspection } from '../../src/report/inspection.js';
import { nothingToDoReason } from '../../src/report/summary.js';
import { renderText } from '../../src/report/text.js';

const float = (name: string, dims: readonly number[], zeroEvery = 0): Input & object => {
  const count = dims.reduce((total, extent) => total * extent, 1);
  return {
    data: normals(8, name, count).map((value, at) => (zeroEvery > 0 && at % zeroEvery === 0 ? 0 : value)),
    dims,
  };
};
/** Every fourth element is at its zero point. */
const bytes = (dims: readonly number[], zeroPoint: number): Input & object => {
  const count = dims.reduce((total, extent) => total * extent, 1);
  const data = Uint8Array.from({ length: count }, (_, at) =>
    at % 4 === 0 ? zeroPoint : (zeroPoint + 1 + (at % 7)) % 256,
  );
  return { data, dims };
};
const byte = (value: number): Input & object => ({ data: Uint8Array.of(value), dims: [] });

/** x [2, 8] -> the operator -> MatMul -> y: one layer is known to the rules. */
function behind(build: (g: GraphBuilder, x: string) => string, width = 6, opset = 17): GraphBuilder {
  const g = graphBuilder({ opset });
  const made = build(g, g.input('x', [2, 8]));
  g.output(g.op('MatMul', [made, float('last', [width, 3])]));
  return g;
}

interface Case {
  readonly graph: GraphBuilder;
  readonly expected: readonly unknown[];
  /** Whether it is inside a subgraph, where compiling looks and inspecting does not. */
  readonly isInside?: true;
}

/** What rules read of quantised layers: `expected` are the shares of zeros, without the last layer. */
const SEARCHED: Readonly<Record<string, () => Case>> = {
  MatMulInteger: () => ({
    graph: behind((g, x) => {
      const [q, scale, point] = g.ops('DynamicQuantizeLinear', [x], {}, { outputs: 3 });
      const product = g.op('MatMulInteger', [q ?? '', bytes([8, 6], 9), point ?? '', byte(9)]);
      return g.mul(g.op('Cast', [product], { to: 1 }), scale ?? '');
    }),
    expected: [0.25],
  }),
  'MatMulInteger, a zero point per column': () => ({
    graph: behind((g, x) => {
      const [q, , point] = g.ops('DynamicQuantizeLinear', [x], {}, { outputs: 3 });
      const weights = { data: Uint8Array.from({ length: 48 }, (_, at) => (at < 12 ? at % 6 : 200)), dims: [8, 6] };
      const points = { data: Uint8Array.from([0, 1, 2, 3, 4, 5]) };
      return g.op('Cast', [g.op('MatMulInteger', [q ?? '', weights, point ?? '', points])], { to: 1 });
    }),
    expected: [0.25],
  }),
  'MatMul after DequantizeLinear': () => ({
    graph: behind((g, x) => {
      const weights = g.op('DequantizeLinear', [bytes([8, 6], 128), scalar(0.1), byte(128)]);
      return g.op('MatMul', [x, weights]);
    }),
    expected: [0.25],
  }),
  'QLinearConv and ConvInteger': () => ({
    graph: behind((g, x) => {
      const image = g.reshape(x, [2, 2, 2, 2]);
      const q = g.op('QuantizeLinear', [image, scalar(0.1), byte(0)]);
      const y = g.op('QLinearConv', [
        q,
        scalar(0.1),
        byte(0),
        bytes([3, 2, 1, 1], 5),
        scalar(0.1),
        byte(5),
        scalar(0.1),
        byte(0),
      ]);
      const z = g.op('ConvInteger', [y, bytes([4, 3, 1, 1], 0)]);
      return g.reshape(g.op('Cast', [z], { to: 1 }), [2, 16]);
    }, 16),
    expected: [2 / 6, 0.25],
  }),
};

const QUANTISED: Readonly<Record<string, () => Case>> = {
  'MatMulInteger beside a zero point that is computed': () => ({
    graph: behind((g, x) => {
      const [q, , point] = g.ops('DynamicQuantizeLinear', [x], {}, { outputs: 3 });
      return g.op('Cast', [g.op('MatMulInteger', [q ?? '', bytes([8, 6], 9), '', point ?? ''])], { to: 1 });
    }),
    expected: [{ op: 'MatMulInteger', dataType: 'uint8', weights: 1, elements: 48 }],
  }),
  'MatMul after DequantizeLinear with a scale that is an input': () => ({
    graph: behind((g, x) => {
      const weights = g.op('DequantizeLinear', [bytes([8, 6], 128), g.input('scale', [1]), byte(128)]);
      return g.op('MatMul', [x, weights]);
    }),
    expected: [{ op: 'MatMul after DequantizeLinear', dataType: 'uint8', weights: 1, elements: 48, zeros: 12 }],
  }),
  MatMulNBits: () => ({
    graph: behind((g, x) => {
      const wide = g.concat([x, x], 1);
      const packed = {
        data: Uint8Array.from({ length: 48 }, (_, at) => (at % 2 === 0 ? 0x88 : 0x12)),
        dims: [6, 1, 8],
      };
      const attributes = { K: 16, N: 6, bits: 4, block_size: 16 };
      return g.op('MatMulNBits', [wide, packed, float('scales', [6])], attributes, { domain: 'com.microsoft' });
    }),
    expected: [{ op: 'com.microsoft::MatMulNBits', dataType: 'uint8', weights: 1, elements: 48, zeros: 48 }],
  }),
};

const FLOATING: Readonly<Record<string, () => Case>> = {
  LSTM: () => ({
    graph: behind((g, x) => {
      const [, last] = g.ops(
        'LSTM',
        [g.unsqueeze(x, [0]), float('w', [1, 24, 8], 3), float('r', [1, 24, 6])],
        { hidden_size: 6 },
        { outputs: 2 },
      );
      return g.squeeze(last ?? '', [0]);
    }),
    expected: [{ op: 'LSTM', dataType: 'float32', weights: 2, elements: 336, zeros: 64 }],
  }),
  'ConvTranspose beside a computed bias': () => ({
    graph: behind((g, x) => {
      const bias = g.reshape(g.slice(x, { axes: [0, 1], starts: [0, 0], ends: [1, 4] }), [4]);
      const y = g.op('ConvTranspose', [g.reshape(x, [2, 2, 2, 2]), float('w', [2, 4, 1, 1], 2), bias]);
      return g.reshape(y, [2, 16]);
    }, 16),
    expected: [{ op: 'ConvTranspose', dataType: 'float32', weights: 1, elements: 8, zeros: 4 }],
  }),
  'half precision where no rule reads': () => ({
    graph: behind((g, x) => {
      const half = g.op('Cast', [x], { to: FLOAT16 });
      const weights = { ...float('w', [8, 6], 4), dataType: FLOAT16 } as Input;
      return g.op('Cast', [g.op('Einsum', [half, weights], { equation: '...j,jk->...k' })], { to: 1 });
    }),
    expected: [{ op: 'Einsum', dataType: 'float16', weights: 1, elements: 48, zeros: 12 }],
  }),
  'inside If, of its own and from around it': () => ({
    graph: behind((g, x) => {
      g.initializer('outer', [8, 6], normals(8, 'outer', 48));
      const branch = (name: string, weights: Input) => {
        const inner = graphBuilder();
        inner.output(inner.op('MatMul', [x, weights], {}, { outputs: [name] }), [2, 6]);
        return { graph: inner.graph() };
      };
      const condition = g.op('Cast', [g.op('ReduceMax', [x], { keepdims: 0 })], { to: 9 });
      return g.op('If', [condition], {
        then_branch: branch('then', float('inner', [8, 6], 2)),
        else_branch: branch('else', 'outer'),
      });
    }),
    expected: [{ op: 'MatMul inside If', dataType: 'float32', weights: 2, elements: 96, zeros: 24 }],
    isInside: true,
  }),
};

describe('named with their zeros', () => {
  test.each(Object.entries({ ...QUANTISED, ...FLOATING }))('%s', async (_, make) => {
    const { graph, expected, isInside } = make();
    const { unreadWeights } = await inspectModel(graph.bytes());
    expect(unreadWeights).toEqual(expected);
    const { report } = await compileModel(graph.bytes());
    // The passes run inside subgraphs, too.
    expect(report.unreadWeights).toEqual(isInside === true ? undefined : expected);
  });
});

describe('searched', () => {
  test.each(Object.entries(SEARCHED))('%s', async (_, make) => {
    const { graph, expected } = make();
    const { unreadWeights, layers, figures } = await inspectModel(graph.bytes());
    expect(unreadWeights).toEqual([]);
    expect(layers.slice(0, -1).map(({ sparsity }) => sparsity)).toEqual(expected);
    expect(figures.zeros).toBeGreaterThan(0);
  });
});

test('4-bit weights are named without a count', async () => {
  const g = behind(
    (graph, x) => {
      graph.initializer('w', [8, 6], new Uint8Array(48));
      return graph.op('MatMul', [x, graph.op('DequantizeLinear', ['w', scalar(0.1)])]);
    },
    6,
    21,
  );
  const model = g.model();
  const weights = model.graph?.initializer?.find(({ name }) => name === 'w');
  Object.assign(weights ?? {}, { dataType: 21, rawData: new Uint8Array(24).fill(0x30) });
  const { unreadWeights } = await inspectModel(encodeProto(model));
  expect(unreadWeights).toEqual([{ op: 'MatMul after DequantizeLinear', dataType: 'uint4', weights: 1, elements: 48 }]);
});

test('what a rule reads anywhere is looked at, and lists, shapes and masks are no weights', async () => {
  const g = graphBuilder();
  const x = g.input('x', [2, 4, 8]);
  const w = g.initializer('w', [8, 8], normals(8, 'w', 64));
  const gamma = float('gamma', [8]);
  const normal = g.op('LayerNormalization', [g.op('MatMul', [x, w]), gamma], { axis: -1 });
  const other = g.op('Einsum', [normal, w], { equation: 'abi,ij->abj' });
  const tiled = g.op('Tile', [float('t', [2, 4, 1]), { data: [1n, 1n, 8n] }]);
  g.output(g.add(g.reshape(other, [2, 4, 8]), tiled));
  expect((await inspectModel(g.bytes())).unreadWeights).toEqual([]);
  const { report } = await compileModel(g.bytes());
  expect(report).not.toHaveProperty('unreadWeights');
  expect(nothingToDoReason(report)).toContain('the model is not pruned');
});

describe('in words', () => {
  test('the reason why nothing was done, once', async () => {
    const graph = QUANTISED['MatMulNBits']?.().graph;
    const { report } = await compileModel(graph?.bytes() ?? new Uint8Array());
    const said = 'not searched for zeros: 1 weight of com.microsoft::MatMulNBits (uint8), 100.0 % at its zero point';
    expect(nothingToDoReason(report)).toBe(`no weight that was searched is zero; ${said}`);
    const text = renderText(report).replaceAll(/\s+/g, ' ');
    expect(text.split('not searched for zeros').length - 1).toBe(1);
    expect(report.remarks).toContainEqual({ pass: 'pipeline', kind: 'note', message: said });
  });

  test('a note where something else was done, and a line of inspect', async () => {
    const g = behind((graph, x) => {
      const columns = normals(8, 'a', 40).map((value, at) => (at % 5 === 1 ? 0 : value));
      const hidden = graph.relu(graph.op('MatMul', [x, { data: columns, dims: [8, 5] }]));
      const known = graph.op('MatMul', [hidden, float('b', [5, 8])]);
      return graph.op('Einsum', [known, float('w', [8, 6], 4)], { equation: '...j,jk->...k' });
    });
    const { report } = await compileModel(g.bytes(), { align: 1 });
    const line = 'not searched for zeros: 1 weight of Einsum (float32), 25.0 % zero';
    expect(report.after.channels).toBe(report.before.channels - 1);
    expect(renderText(report)).toContain(`note: ${line}`);
    expect(renderInspection(await inspectModel(g.bytes()))).toContain(line);
  });
});

test('weights with a scale per block are read, and their zeros counted', async () => {
  const g = behind(
    (graph, x) => {
      const points = Tensor.fromNumbers(UINT8, [4, 6], new Uint8Array(24).fill(9)).bytes();
      const weights = graph.op(
        'DequantizeLinear',
        [bytes([8, 6], 9), float('s', [4, 6]), { data: points, dims: [4, 6] }],
        { axis: 0, block_size: 2 },
      );
      return graph.op('MatMul', [x, weights]);
    },
    6,
    21,
  );
  const { unreadWeights, layers } = await inspectModel(g.bytes());
  expect(unreadWeights).toEqual([]);
  expect(layers[0]?.sparsity).toBe(0.25);
});

test('weights of an operator without a rule that have masks were looked at', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'prune-compile-unread-'));
  try {
    const g = graphBuilder();
    g.initializer('rnn.w', [1, 16, 3], normals(8, 'w', 48));
    g.initializer('rnn.r', [1, 16, 4], normals(8, 'r', 64));
    const hidden = g.op('LSTM', [g.input('x', [5, 1, 3]), 'rnn.w', 'rnn.r'], { hidden_size: 4 }, { name: '/rnn/LSTM' });
    g.output(hidden);
    const file = join(folder, 'masks.json');
    const runs = (columns: number) => ({ shape: [16, columns], runs: [columns, columns, 14 * columns] });
    const unreadWith = async (masks: Readonly<Record<string, unknown>>) => {
      writeFileSync(file, JSON.stringify(masks));
      const { unreadWeights } = await inspectModel(g.bytes(), { masks: [file] });
      const { report } = await compileModel(g.bytes(), { masks: [file] });
      expect(report.unreadWeights ?? []).toEqual(unreadWeights);
      return unreadWeights.map(({ op, weights }) => [op, weights]);
    };
    expect(await unreadWith({ 'rnn.weight_hh_l0': runs(4) })).toEqual([['LSTM', 1]]);
    expect(await unreadWith({ 'rnn.weight_hh_l0': runs(4), 'rnn.weight_ih_l0': runs(3) })).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
