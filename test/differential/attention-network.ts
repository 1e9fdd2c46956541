/** One block of attention, in the forms in which exporters write it, with dead heads or channels. */
import { type GraphBuilder, graphBuilder, int64, scalar } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { readModel } from '../../src/onnx/read.js';
import { verifyModels } from '../../src/verify/verify.js';

export const HEADS = 3;
export const CHANNELS = 4;
const WIDTH = HEADS * CHANNELS;
const LENGTH = 5;

/** Channels of the queries, keys and values without weights; of the output projection, rows. */
export interface Dead {
  readonly query?: readonly number[];
  readonly key?: readonly number[];
  readonly value?: readonly number[];
  readonly output?: readonly number[];
  /** Whether dead channels hold their bias. */
  readonly keepsBias?: boolean;
}

/** From the queries, keys and values [N, S, H * d] to what the output projection reads. */
export type Form = (g: GraphBuilder, projected: Projected) => string;

export interface Projected {
  readonly x: string;
  /** Each on its own, or all three side by side. */
  readonly one: (name: 'query' | 'key' | 'value', heads?: number) => string;
  readonly packed: () => string;
}

/** All channels of these heads. */
export function heads(...dead: readonly number[]): number[] {
  return dead.flatMap((head) => Array.from({ length: CHANNELS }, (_, channel) => head * CHANNELS + channel));
}

/** These channels of every head. */
export function channels(...dead: readonly number[]): number[] {
  return Array.from({ length: HEADS }, (_, head) => dead.map((channel) => head * CHANNELS + channel)).flat();
}

const PARTS = ['query', 'key', 'value'] as const;

export function attentionNetwork(
  form: Form,
  dead: Dead,
  { opset = 17, batch = 2 }: { opset?: number; batch?: number | string } = {},
) {
  const g = graphBuilder({ opset });
  const x = g.input('x', [batch, LENGTH, WIDTH]);
  const columns = (name: (typeof PARTS)[number], width: number) => {
    const weights = normals(3, name, WIDTH * width, 0.4);
    const bias = normals(4, name, width);
    for (const channel of dead[name] ?? []) {
      for (let row = 0; row < WIDTH; row++) weights[row * width + channel] = 0;
      if (dead.keepsBias !== true) bias[channel] = 0;
    }
    return { weights, bias };
  };
  const linear = (name: string, width: number, weights: Float32Array | number[], bias: Float32Array | number[]) =>
    g.add(g.op('MatMul', [x, g.initializer(`${name}.weight`, [WIDTH, width], weights)]), { data: [...bias] });
  const one: Projected['one'] = (name, count = HEADS) => {
    const { weights, bias } = columns(name, count * CHANNELS);
    return linear(name, count * CHANNELS, weights, bias);
  };
  const packed = () => {
    const parts = PARTS.map((name) => columns(name, WIDTH));
    const rows = Array.from({ length: WIDTH }, (_, row) =>
      parts.flatMap(({ weights }) => Array.from(weights.slice(row * WIDTH, (row + 1) * WIDTH))),
    );
    return linear(
      'packed',
      3 * WIDTH,
      rows.flat(),
      parts.flatMap(({ bias }) => [...bias]),
    );
  };
  const weights = normals(5, 'output', WIDTH * WIDTH);
  for (const row of dead.output ?? []) weights.fill(0, row * WIDTH, (row + 1) * WIDTH);
  const attended = form(g, { x, one, packed });
  g.output(g.add(g.op('MatMul', [attended, g.initializer('output.weight', [WIDTH, WIDTH], weights)]), x));
  return g.bytes();
}

/** Widths of the projections, before and after; `rows` of the output projection. */
export async function compileAttention(bytes: Uint8Array, sizes: readonly (readonly number[])[] = []) {
  const compiled = await compileModel(bytes, { align: 1 });
  const output = compiled.encode();
  let equal = (await verifyModels(bytes, output, { seeds: [1, 2] })).equal;
  for (const dims of sizes)
    equal &&= (await verifyModels(bytes, output, { seeds: [3], shapes: { x: [...dims] } })).equal;
  const { report } = await compileModel(output, { align: 1 });
  const weights = readModel(output).graph.nodes.flatMap(({ opType, inputs }) => {
    const dims = opType === 'MatMul' ? inputs[1]?.initializer?.dims : undefined;
    return dims === undefined ? [] : [dims];
  });
  return {
    equal,
    changesAgain: report.changed,
    widths: weights.slice(0, -1).map(([, width]) => width),
    rows: weights.at(-1)?.[0],
    bytes: output,
  };
}

/** [N, S, H * d] -> [N, H, S, d]. */
function split(g: GraphBuilder, x: string, count = HEADS): string {
  return g.transpose(g.reshape(x, [0, 0, count, CHANNELS]), [0, 2, 1, 3]);
}

function attend(g: GraphBuilder, query: string, keyTurned: string, value: string): string {
  const mask = { data: normals(6, 'mask', LENGTH * LENGTH), dims: [1, 1, LENGTH, LENGTH] };
  const scores = g.add(g.mul(g.op('MatMul', [query, keyTurned]), scalar(0.5)), mask);
  return merge(g, g.op('MatMul', [g.op('Softmax', [scores], { axis: -1 }), value]));
}

/** [N, H, S, d] -> [N, S, H * d]. */
function merge(g: GraphBuilder, y: string): string {
  return g.reshape(g.transpose(y, [0, 2, 1, 3]), [0, 0, -1]);
}

/** The extents of a value, some of them computed as the TorchScript exporter does it. */
function computed(g: GraphBuilder, x: string, entries: readonly (number | `axis ${number}`)[]): string {
  const parts = entries.map((entry) => {
    if (typeof entry === 'number') return int64([entry]);
    const extent = g.op('Gather', [g.op('Shape', [x]), { ...int64([Number(entry.slice(5))]), dims: [] }], { axis: 0 });
    return g.op('Unsqueeze', [extent, int64([0])]);
  });
  return g.concat(parts, 0);
}

const apart: Form = (g, { one }) => {
  const [query, key, value] = PARTS.map((name) => split(g, one(name)));
  return attend(g, query ?? '', g.transpose(key ?? '', [0, 1, 3, 2]), value ?? '');
};

const computedTargets: Form = (g, { one }) => {
  const [query, key, value] = PARTS.map((name) => {
    const x = one(name);
    return g.op('Reshape', [x, computed(g, x, ['axis 0', 'axis 1', -1, CHANNELS])]);
  });
  const turned = (x = '', perm: readonly number[]) => g.transpose(x, perm);
  const y = g.op('MatMul', [
    g.op('Softmax', [g.op('MatMul', [turned(query, [0, 2, 1, 3]), turned(key, [0, 2, 3, 1])])], { axis: -1 }),
    turned(value, [0, 2, 1, 3]),
  ]);
  const last = g.transpose(y, [0, 2, 1, 3]);
  return g.op('Reshape', [last, computed(g, last, ['axis 0', 'axis 1', -1])]);
};

const packedBySplit: Form = (g, { packed }) => {
  const [query, key, value] = g.split(packed(), [WIDTH, WIDTH, WIDTH], 2).map((part) => split(g, part));
  return attend(g, query ?? '', g.transpose(key ?? '', [0, 1, 3, 2]), value ?? '');
};

/** [N, S, 3, H, d] -> [3, N, H, S, d], of which each picks one. */
const packedByGather: Form = (g, { packed }) => {
  const all = g.transpose(g.reshape(packed(), [0, 0, 3, HEADS, CHANNELS]), [2, 0, 3, 1, 4]);
  const [query, key, value] = [0, 1, 2].map((part) =>
    g.op('Gather', [all, { ...int64([part]), dims: [] }], { axis: 0 }),
  );
  return attend(g, query ?? '', g.transpose(key ?? '', [0, 1, 3, 2]), value ?? '');
};

const packedBySlice: Form = (g, { packed }) => {
  const all = g.transpose(g.reshape(packed(), [0, 0, 3, HEADS, CHANNELS]), [2, 0, 3, 1, 4]);
  const [query, key, value] = [0, 1, 2].map((part) =>
    g.squeeze(g.slice(all, { axes: [0], starts: [part], ends: [part + 1] }), [0]),
  );
  return attend(g, query ?? '', g.transpose(key ?? '', [0, 1, 3, 2]), value ?? '');
};

/** Heads are merged with the batch to be turned. */
const mergedWithBatch: Form = (g, { one }) => {
  const [query, key, value] = PARTS.map((name) => split(g, one(name)));
  const flat = g.transpose(g.reshape(key ?? '', [-1, LENGTH, CHANNELS]), [0, 2, 1]);
  return attend(g, query ?? '', g.reshape(flat, [-1, HEADS, CHANNELS, LENGTH]), value ?? '');
};

const asOperator: Form = (g, { one }) => {
  const [query, key, value] = PARTS.map((name) => split(g, one(name)));
  return merge(g, g.op('Attention', [query ?? '', key ?? '', value ?? '']));
};

/** With heads behind the length. */
const byEinsum: Form = (g, { one }) => {
  const [query = '', key = '', value = ''] = PARTS.map((name) => g.reshape(one(name), [0, 0, HEADS, CHANNELS]));
  const scores = g.op('Einsum', [query, key], { equation: 'bqhd,bkhd->bhqk' });
  const y = g.op('Einsum', [g.op('Softmax', [scores], { axis: -1 }), value], { equation: 'bhqk, bkhd -> bqhd' });
  return g.reshape(y, [0, 0, -1]);
};

const byEinsumOfTurned: Form = (g, { one }) => {
  const [query = '', key = '', value = ''] = PARTS.map((name) => split(g, one(name)));
  const scores = g.op('Einsum', [query, key], { equation: 'bhqd,bhkd->bhqk' });
  return merge(g, g.op('Einsum', [g.op('Softmax', [scores], { axis: -1 }), value], { equation: 'abij,abjk->abik' }));
};

/** [heads, length, length], of which the batch knows nothing. */
const masked: Form = (g, { one }) => {
  const [query = '', key = '', value = ''] = PARTS.map((name) => split(g, one(name)));
  const mask = { data: normals(6, 'mask', HEADS * LENGTH * LENGTH), dims: [HEADS, LENGTH, LENGTH] };
  return merge(g, g.op('Attention', [query, key, value, mask]));
};

const sideBySide: Form = (g, { one }) =>
  g.op(
    'Attention',
    PARTS.map((name) => one(name)),
    { q_num_heads: HEADS, kv_num_heads: HEADS },
  );

const multiHead: Form = (g, { one }) =>
  g.op(
    'MultiHeadAttention',
    PARTS.map((name) => one(name)),
    { num_heads: HEADS },
    { domain: 'com.microsoft' },
  );

/** By form: the opset, and how wide the projections are. */
export const FORMS: Readonly<Record<string, { form: Form; opset?: number; isPacked?: boolean }>> = {
  'three projections': { form: apart },
  'computed targets': { form: computedTargets },
  'one projection, Split': { form: packedBySplit, isPacked: true },
  'one projection, Gather': { form: packedByGather, isPacked: true },
  'one projection, Slice': { form: packedBySlice, isPacked: true },
  'heads merged with the batch': { form: mergedWithBatch },
  'Attention, opset 23': { form: asOperator, opset: 23 },
  'Attention, opset 24': { form: asOperator, opset: 24 },
  Einsum: { form: byEinsum },
  'Einsum of turned operands': { form: byEinsumOfTurned },
  'Attention with a mask for each head': { form: masked, opset: 23 },
  'Attention without an axis of heads, opset 23': { form: sideBySide, opset: 23 },
  'Attention without an axis of heads, opset 24': { form: sideBySide, opset: 24 },
  MultiHeadAttention: { form: multiHead },
};

/** One head of keys and values for all heads of the queries. */
export const shared: Form = (g, { one }) => {
  const query = split(g, one('query'));
  const [key, value] = (['key', 'value'] as const).map((name) => split(g, one(name, 1), 1));
  return attend(g, query, g.transpose(key ?? '', [0, 1, 3, 2]), value ?? '');
};

/** Of 3 heads of queries all share the only head of keys and values. */
export const sharedAsOperator: Form = (g, { one }) => {
  const [key, value] = (['key', 'value'] as const).map((name) => split(g, one(name, 1), 1));
  return merge(g, g.op('Attention', [split(g, one('query')), key ?? '', value ?? ''], { is_causal: 1 }));
};
