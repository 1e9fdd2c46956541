/**
 * Pieces of real networks as exporters write them, in small. Half of the filters of some layers are
 * zero; compiled, the network gives the same outputs, and the channels are gone.
 */
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import {
  graphBuilder,
  type GraphBuilder,
  int64,
  scalar,
  type TensorLiteral,
} from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { BFLOAT16, FLOAT, FLOAT16 } from '../../src/ir/tensor.js';
import { compileModel } from '../../src/compile.js';
import { createSession } from '../../src/runtime/session.js';

/** Outputs of size 10, behind sums of some dozens of products, are so many epsilons apart. */
const EPSILONS = 64;
const EPSILON = 2 ** -23;
/** A sum whose last digit is another may be rounded to the half beside. */
const EPSILON_OF_HALVES = 2 ** -10;

function tensor(name: string, dims: readonly number[], isDead: (row: number) => boolean = () => false): TensorLiteral {
  const size = dims.reduce((total, extent) => total * extent, 1);
  const inner = size / (dims[0] ?? 1);
  return { data: normals(3, name, size).map((value, at) => (isDead(Math.floor(at / inner)) ? 0 : value)), dims };
}

const isEven = (row: number) => row % 2 === 0;

interface Pattern {
  readonly name: string;
  readonly dims: readonly number[];
  readonly epsilon?: number;
  /** Channels of the whole network, before and after. */
  readonly channels: readonly [number, number];
  readonly build: (g: GraphBuilder, x: string) => string;
}

/** The hyperbolic tangent form of GELU, operator by operator. */
function gelu(g: GraphBuilder, x: string): string {
  const cubic = g.add(x, g.mul(g.op('Pow', [x, scalar(3)]), scalar(0.044715)));
  const tanh = g.op('Tanh', [g.mul(cubic, scalar(Math.sqrt(2 / Math.PI)))]);
  return g.mul(g.mul(x, scalar(0.5)), g.add(tanh, scalar(1)));
}

/** Two branches, weighted by a softmax over them that both together choose. */
function selectiveKernel(g: GraphBuilder, x: string): string {
  const branch = (name: string, size: number) =>
    g.relu(
      g.conv(x, tensor(name, [8, 4, size, size], isEven), {
        pads: (size - 1) / 2,
        bias: tensor(`${name}.bias`, [8], isEven),
      }),
    );
  const stacked = g.concat([g.unsqueeze(branch('one', 1), [1]), g.unsqueeze(branch('three', 3), [1])], 1);
  const sum = g.op('ReduceSum', [stacked, int64([1])], { keepdims: 0 });
  const squeezed = g.relu(g.conv(g.reduceMean(sum, [2, 3]), tensor('squeeze', [4, 8, 1, 1])));
  const excite = (name: string) =>
    g.unsqueeze(g.conv(squeezed, tensor(name, [8, 4, 1, 1], isEven), { bias: tensor(`${name}.bias`, [8]) }), [1]);
  const weights = g.op('Softmax', [g.concat([excite('a'), excite('b')], 1)], { axis: 1 });
  const chosen = g.op('ReduceSum', [g.mul(stacked, weights), int64([1])], { keepdims: 0 });
  return g.conv(chosen, tensor('head', [3, 8, 1, 1]));
}

/** What is convolved in float32 is handed on in float16. */
function mixedPrecision(g: GraphBuilder, x: string): string {
  const cast = (value: string, to: number) => g.op('Cast', [value], { to });
  const first = g.conv(x, tensor('first', [8, 4, 3, 3], isEven), { bias: tensor('first.bias', [8]) });
  const half = g.relu(cast(first, FLOAT16));
  return g.conv(cast(half, FLOAT), tensor('second', [3, 8, 1, 1]), { bias: tensor('second.bias', [3]) });
}

/** A gate that is open where the sum over the image is above a bound. */
function hardGate(g: GraphBuilder, x: string): string {
  const image = g.conv(x, tensor('image', [8, 4, 1, 1], isEven), { bias: tensor('image.bias', [8], isEven) });
  const isOpen = g.op('Greater', [g.op('ReduceMax', [image], { axes: [2, 3] }), scalar(-1e4)]);
  return g.conv(g.op('Where', [isOpen, image, scalar(0)]), tensor('head', [3, 8, 1, 1]));
}

function dying(g: GraphBuilder, x: string): string {
  return g.relu(g.conv(x, tensor('dying', [8, 4, 3, 3], isEven), { bias: tensor('dying.bias', [8], isEven), pads: 1 }));
}

function reader(g: GraphBuilder, [x = '']: readonly string[]): string {
  return g.conv(x, tensor('reader', [3, 8, 1, 1]));
}

const PATTERNS: readonly Pattern[] = [
  {
    name: 'a feed-forward block with the GELU of GPT-2',
    dims: [2, 5, 8],
    channels: [72, 40],
    build: (g, x) => {
      const wide = g.add(g.op('MatMul', [x, { ...transposed(tensor('wide', [64, 8], isEven)) }]), tensor('b', [64]));
      return g.op('MatMul', [gelu(g, wide), tensor('narrow', [64, 8])]);
    },
  },
  {
    name: 'branches of selective kernels',
    dims: [2, 4, 6, 6],
    channels: [39, 23],
    build: selectiveKernel,
  },
  {
    name: 'mixed precision',
    dims: [2, 4, 6, 6],
    channels: [11, 7],
    epsilon: EPSILON_OF_HALVES / EPSILONS,
    build: mixedPrecision,
  },
  {
    name: 'weights stored as bfloat16, turned and cast on the way',
    dims: [2, 5, 24],
    channels: [36, 20],
    build: (g, x) => {
      const stored = (name: string, dims: readonly number[], isDead?: (row: number) => boolean) =>
        g.initializer(name, dims, Float32Array.from(tensor(name, dims, isDead).data, Number), BFLOAT16);
      const cast = (value: string) => g.op('Cast', [value], { to: FLOAT });
      const wide = g.relu(g.op('MatMul', [x, cast(g.transpose(stored('wide', [32, 24], isEven), [1, 0]))]));
      return g.op('MatMul', [wide, g.transpose(cast(stored('narrow', [4, 32])), [1, 0])]);
    },
  },
  {
    name: 'a dropout whose mask has a name',
    dims: [2, 4, 6, 6],
    channels: [11, 7],
    build: (g, x) => reader(g, g.ops('Dropout', [dying(g, x)], {}, { outputs: 2 })),
  },
  {
    name: 'a dropout whose mask is read',
    dims: [2, 4, 6, 6],
    channels: [11, 11],
    build: (g, x) => {
      const [kept = '', mask = ''] = g.ops('Dropout', [dying(g, x)], {}, { outputs: 2 });
      return reader(g, [g.mul(kept, g.op('Cast', [mask], { to: FLOAT }))]);
    },
  },
  { name: 'a gate that compares', dims: [2, 4, 6, 6], channels: [11, 7], build: hardGate },
];

/** [rows, columns] as [columns, rows]. */
function transposed({ data, dims: [rows = 0, columns = 0] = [] }: TensorLiteral): TensorLiteral {
  const values = Array.from({ length: rows * columns }, (_, at) =>
    Number(data[(at % rows) * columns + Math.floor(at / rows)]),
  );
  return { data: values, dims: [columns, rows] };
}

async function run(bytes: Uint8Array, dims: readonly number[]) {
  const session = await createSession(bytes, { optimize: false });
  const count = dims.reduce((total, extent) => total * extent, 1);
  const [result] = Object.values(await session.run({ x: new ort.Tensor(normals(9, 'x', count), [...dims]) }));
  await session.release();
  return result?.data as Float32Array;
}

describe('patterns', () => {
  test.each(PATTERNS)('$name', async ({ dims, channels, build, epsilon = EPSILON }) => {
    const g = graphBuilder();
    g.output(build(g, g.input('x', dims)));
    const bytes = g.bytes();
    const compiled = await compileModel(bytes, { align: 1 });
    const [before, after] = [await run(bytes, dims), await run(compiled.encode(), dims)];
    const scale = before.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const [at, value] of before.entries())
      expect(Math.abs(value - (after[at] ?? Number.NaN))).toBeLessThanOrEqual(EPSILONS * epsilon * scale);
    expect([compiled.report.before.channels, compiled.report.after.channels]).toEqual(channels);
  });
});
