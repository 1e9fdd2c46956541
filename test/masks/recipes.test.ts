/**
 * The recipes of docs/masks.md: for each a file of the form that its tool writes. All of them say
 * the same, and each must give the very weights that they say, in the model that the compiler then
 * works on.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import {
  type PythonObject,
  torchLegacyFile,
  torchObjectFile,
  torchZipFile,
} from '../../fixtures/mask-files/torch-file.js';
import { zipFile } from '../../fixtures/mask-files/zip-file.js';
import { compileModel } from '../../src/compile.js';
import { BOOL, FLOAT, product, Tensor } from '../../src/ir/tensor.js';
import { writeSafetensorsTensors } from '../../src/masks/formats/safetensors.js';
import { readModel } from '../../src/onnx/read.js';

const PAGE = readFileSync(fileURLToPath(new URL('../../docs/masks.md', import.meta.url)), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'prune-compile-recipes-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Weight {
  readonly dims: readonly number[];
  readonly values: Float32Array;
  /** 1 where it stays. */
  readonly keep: Uint8Array;
}

/** Whole filters of the convolutions, single weights of the classifier. */
const WEIGHTS: ReadonlyMap<string, Weight> = new Map(
  (
    [
      ['conv1', [4, 3, 3, 3], (at: number) => ![1, 3].includes(Math.floor(at / 27))],
      ['conv2', [8, 4, 3, 3], (at: number) => ![0, 5, 6].includes(Math.floor(at / 36))],
      ['fc', [10, 8], (at: number) => at % 3 !== 0],
    ] as const
  ).map(([name, dims, stays]) => [
    name,
    {
      dims,
      values: normals(1, `${name}.weight`, product(dims)),
      keep: Uint8Array.from({ length: product(dims) }, (_, at) => Number(stays(at))),
    },
  ]),
);

/**
 * The same network, with the names that PyTorch's exporter leaves; `hasNames`: or only those of its
 * nodes.
 */
function model(hasNames = true): Uint8Array {
  const g = graphBuilder();
  const weight = (module: string) => {
    const { dims, values } = weightOf(module);
    return g.initializer(hasNames ? `${module}.weight` : `onnx::Conv_${module.length + values.length}`, dims, values);
  };
  const bias = (module: string, size: number) => g.initializer(`${module}.bias`, [size], normals(2, module, size));
  const padded = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
  const x = g.input('x', [2, 3, 8, 8]);
  const first = g.op('Conv', [x, weight('conv1'), bias('conv1', 4)], padded, { name: '/conv1/Conv' });
  const second = g.op('Conv', [g.relu(first), weight('conv2')], padded, { name: '/conv2/Conv' });
  const pooled = g.flatten(g.globalAveragePool(g.relu(second)));
  g.output(g.op('Gemm', [pooled, weight('fc'), bias('fc', 10)], { transB: 1 }, { name: '/fc/Gemm' }));
  return g.bytes();
}

function weightOf(module: string): Weight {
  const weight = WEIGHTS.get(module);
  if (weight === undefined) throw new Error(`no weight ${module}`);
  return weight;
}

const float = (dims: readonly number[], values: ArrayLike<number>) => {
  const tensor = Tensor.fromNumbers(FLOAT, dims, values);
  return { dataType: FLOAT, dims, bytes: tensor.bytes() };
};
const bool = (dims: readonly number[], keep: Uint8Array) => ({ dataType: BOOL, dims, bytes: keep });
const masked = ({ values, keep }: Weight) => values.map((value, at) => value * (keep[at] ?? 0));

/** Biases, and what a normalisation would add, are in every state dict. */
const BESIDE = { 'conv1.bias': float([4], normals(2, 'conv1', 4)), 'fc.bias': float([10], normals(2, 'fc', 10)) };

function perWeight<Item>(item: (module: string, weight: Weight) => readonly (readonly [string, Item])[]) {
  return Object.fromEntries([...WEIGHTS].flatMap(([module, weight]) => item(module, weight)));
}

const PRUNED = {
  ...BESIDE,
  ...perWeight((module, weight) => [
    [`${module}.weight_orig`, float(weight.dims, weight.values)],
    [`${module}.weight_mask`, float(weight.dims, Float32Array.from(weight.keep))],
  ]),
};
const REMOVED = {
  ...BESIDE,
  ...perWeight((module, weight) => [[`${module}.weight`, float(weight.dims, masked(weight))]]),
};
const MASKS = perWeight((module, { dims, keep }) => [[module, bool(dims, keep)]]);
const prefixed = (prefix: string, state: Readonly<Record<string, PythonObject>>) =>
  Object.fromEntries(Object.entries(state).map(([key, value]) => [`${prefix}${key}`, value]));

/** numpy.lib.format, version 1.0. */
function npy(descr: string, dims: readonly number[], bytes: Uint8Array): Uint8Array {
  const shape = `(${dims.join(', ')}${dims.length === 1 ? ',' : ''})`;
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const head = Buffer.from(`\x93NUMPY\x01\x00\x00\x00${padded}`, 'latin1');
  head.writeUInt16LE(padded.length, 8);
  return Buffer.concat([head, bytes]);
}

function npz(arrays: ReadonlyMap<string, { readonly dims: readonly number[]; readonly keep: Uint8Array }>): Uint8Array {
  const parts = [...arrays].map(([name, { dims, keep }]) => ({ name: `${name}.npy`, data: npy('|b1', dims, keep) }));
  return zipFile(parts, { deflate: true });
}

function safetensors(): Uint8Array {
  const tensors = [...WEIGHTS].map(
    ([module, { dims, keep }]) => [`${module}.weight_mask`, Tensor.of(BOOL, dims, keep)] as const,
  );
  return writeSafetensorsTensors(new Map(tensors), { format: 'pt' });
}

/**
 * A file of initializers and nothing else, as onnx.helper.make_graph([], 'masks', [], [], masks)
 * makes it.
 */
function onnxMasks(suffix: string): Uint8Array {
  const g = graphBuilder();
  for (const [module, { dims, keep }] of WEIGHTS) g.initializer(`${module}.weight${suffix}`, dims, keep, BOOL);
  return g.bytes();
}

/** The bold word that begins the recipe, what the tool writes, and how the file is called. */
const RECIPES: readonly (readonly [recipe: string, form: string, file: string, bytes: () => Uint8Array])[] = [
  ['PyTorch, `torch.nn.utils.prune`', 'state dict', 'a.pth', () => torchObjectFile(PRUNED)],
  ['PyTorch, `torch.nn.utils.prune`', 'state dict, zip', 'b.pth', () => torchZipFile(named(PRUNED))],
  ['PyTorch, `torch.nn.utils.prune`', 'state dict, before zip', 'c.pth', () => torchLegacyFile(named(PRUNED))],
  ['PyTorch, `torch.nn.utils.prune`', 'after prune.remove', 'd.pth', () => torchObjectFile(REMOVED)],
  ['PyTorch, masks alone', 'modules', 'e.pth', () => torchObjectFile(MASKS)],
  ['PyTorch, masks alone', 'parameters', 'f.pth', () => torchObjectFile(suffixed('.weight'))],
  [
    'PyTorch, masks alone',
    'nested',
    'g.pth',
    () => torchObjectFile(perWeight((module, { dims, keep }) => [[module, { weight: bool(dims, keep) }]])),
  ],
  ['PyTorch, masks alone', "inside {'masks'}", 'h.pth', () => torchObjectFile({ masks: MASKS })],
  ['Lightning', 'last.ckpt', 'last.ckpt', () => torchObjectFile(lightning('model.'))],
  ['Lightning', 'with DDP and torch.compile', 'i.ckpt', () => torchObjectFile(lightning('model.module._orig_mod.'))],
  ['safetensors', 'masks', 'j.safetensors', safetensors],
  ['NNI', 'masks of pruner.compress()', 'k.pth', () => torchObjectFile(nni())],
  [
    'SparseML',
    'model.pth',
    'l.pth',
    () => torchObjectFile({ epoch: 3, state_dict: REMOVED, optimizer: null, recipe: 'pruning_modifiers:\n' }),
  ],
  ['NumPy', 'npz, dots', 'm.npz', () => npz(WEIGHTS)],
  [
    'NumPy',
    'npz, slashes',
    'n.npz',
    () => npz(new Map([...WEIGHTS].map(([module, weight]) => [`net/${module}/weight`.replace('net/', ''), weight]))),
  ],
  ['ONNX', 'weight_mask', 'o.onnx', () => onnxMasks('_mask')],
  ['ONNX', 'named as the initializers', 'p.onnx', () => onnxMasks('')],
];

function named(state: Readonly<Record<string, ReturnType<typeof float>>>) {
  return Object.entries(state).map(([name, array]) => ({ name, ...array }));
}

function suffixed(suffix: string): Record<string, PythonObject> {
  return perWeight((module, { dims, keep }) => [[module + suffix, bool(dims, keep)]]);
}

/** pytorch_lightning's checkpoint: the module is an attribute of the LightningModule. */
function lightning(prefix: string): Record<string, PythonObject> {
  const optimizer = { state: {}, param_groups: [{ lr: 0.1, momentum: 0.5, params: [0, 1] }] };
  return {
    epoch: 1,
    global_step: 8,
    'pytorch-lightning_version': '2.6.6',
    state_dict: prefixed(prefix, PRUNED),
    loops: { fit_loop: { state_dict: {}, epoch_progress: { current: { completed: 1 } } } },
    callbacks: { ModelPruning: {} },
    optimizer_states: [optimizer],
    lr_schedulers: [],
  };
}

/** Modules without a bias have None there; a bias that stays is all ones. */
function nni(): Record<string, PythonObject> {
  const ones = (size: number) => float([size], new Float32Array(size).fill(1));
  return perWeight((module, { dims, keep }) => {
    const bias = module === 'conv2' ? null : ones(dims[0] ?? 0);
    return [[module, { weight: float(dims, Float32Array.from(keep)), bias }] as const];
  });
}

/** The values of all weights, zeros and all, in the order of the layers. */
function weightsIn(bytes: Uint8Array): number[][] {
  const layers = readModel(bytes).graph.nodes.filter(({ opType }) => ['Conv', 'Gemm', 'MatMul'].includes(opType));
  return layers.map(({ inputs: [, weight] }) => Array.from(weight?.initializer?.numbers() ?? []));
}

async function maskedBy(bytes: Uint8Array, file: string, contents: Uint8Array) {
  const path = join(folder, file);
  writeFileSync(path, contents);
  const compiled = await compileModel(bytes, { masks: [path], align: 1 });
  const { masks } = compiled.report;
  return { weights: weightsIn(compiled.masked() as Uint8Array), masks, compiled };
}

/** A product with a mask may be -0. */
const EXPECTED = [...WEIGHTS.values()].map((weight) => Array.from(masked(weight), (value) => value + 0));

describe.each([
  ['a model with names', true],
  ['a model that lost them', false],
])('%s', (_, hasNames) => {
  test.each(RECIPES.filter(([, form]) => hasNames || form !== 'named as the initializers'))(
    '%s: %s',
    async (recipe, form, file, contents) => {
      expect(PAGE).toContain(`**${recipe}**`);
      const { weights, masks } = await maskedBy(model(hasNames), file, contents());
      expect(weights, form).toEqual(EXPECTED);
      // Biases that stay have masks of ones.
      expect(masks?.masks.map(({ zeros }) => zeros).filter((zeros) => zeros > 0)).toEqual([54, 108, 27]);
    },
  );
});

test('masks of filters alone, as the second line of the recipe makes them', async () => {
  const filters = perWeight((module, { dims, keep }) => {
    const row = product(dims.slice(1));
    const any = Uint8Array.from({ length: dims[0] ?? 0 }, (_, at) =>
      Number(keep.subarray(at * row, (at + 1) * row).includes(1)),
    );
    return [[module, bool([dims[0] ?? 0], any)] as const];
  });
  const { weights } = await maskedBy(model(), 'filters.pth', torchObjectFile(filters));
  expect(weights.slice(0, 2)).toEqual(EXPECTED.slice(0, 2));
  expect(weights[2]).toEqual(Array.from(weightOf('fc').values));
});

test('NumPy: a single npy file is named after its layer', async () => {
  const { dims, keep } = weightOf('conv2');
  const { weights } = await maskedBy(model(), 'conv2.npy', npy('|b1', dims, keep));
  expect(weights[1]).toEqual(EXPECTED[1]);
});

test('Torch-Pruning: the history says where pruning began, and what shrinks with it is found', async () => {
  expect(PAGE).toContain('**Torch-Pruning**');
  const history = [
    ['conv1', true, [1, 3]],
    ['conv2', true, [0, 5, 6]],
  ];
  const { compiled } = await maskedBy(model(), 'history.pth', torchObjectFile(history));
  expect(weightsIn(compiled.encode()).map(({ length }) => length)).toEqual([2 * 27, 5 * 2 * 9, 10 * 5]);
});

describe('Keras', () => {
  const [HIDDEN, CLASSES] = [12, 4];
  /**
   * As tf2onnx writes it: each Dense is a MatMul, and an Add of the bias that is called BiasAdd.
   */
  function keras(): GraphBuilder {
    const g = graphBuilder();
    const path = (layer: string) => `StatefulPartitionedCall/sequential/${layer}`;
    const weight = (name: string, dims: readonly number[]) =>
      g.initializer(`${name}/ReadVariableOp:0`, dims, normals(4, name, product(dims)));
    const image = g.transpose(g.input('x', [1, 6, 6, 3]), [0, 3, 1, 2]);
    const kernel = weight(`${path('conv2d')}/Conv2D`, [8, 3, 3, 3]);
    const shift = weight(`${path('conv2d')}/BiasAdd`, [8]);
    const conv = g.op('Conv', [image, kernel, shift], { kernel_shape: [3, 3] }, { name: `${path('conv2d')}/BiasAdd` });
    const flat = g.reshape(g.transpose(g.relu(conv), [0, 2, 3, 1]), [-1, 128]);
    const dense = (data: string, layer: string, inputs: number, outputs: number) => {
      const sum = g.op(
        'MatMul',
        [data, weight(`${path(layer)}/MatMul`, [inputs, outputs])],
        {},
        { name: `${path(layer)}/MatMul` },
      );
      return g.op('Add', [sum, weight(`${path(layer)}/BiasAdd`, [outputs])], {}, { name: `${path(layer)}/BiasAdd` });
    };
    g.output(dense(g.relu(dense(flat, 'dense', 128, HIDDEN)), 'dense_1', HIDDEN, CLASSES));
    return g;
  }

  /** Axes of Keras: filters last. */
  const kernels = new Map([
    ['conv2d/kernel', { dims: [3, 3, 3, 8], keep: Uint8Array.from({ length: 216 }, (_, at) => Number(at % 8 !== 2)) }],
    [
      'dense/kernel',
      { dims: [128, HIDDEN], keep: Uint8Array.from({ length: 128 * HIDDEN }, (_, at) => Number(at % HIDDEN > 4)) },
    ],
    ['dense_1/kernel', { dims: [HIDDEN, CLASSES], keep: new Uint8Array(HIDDEN * CLASSES).fill(1) }],
  ]);

  test.each([
    ['all layers', [...kernels.keys()]],
    ['only those that were pruned', ['conv2d/kernel', 'dense/kernel']],
  ])('kernels by name, %s: a Dense with a bias, and a numbered one beside it', async (_, names) => {
    expect(PAGE).toContain('**Keras, TensorFlow Model Optimization**');
    const file = npz(new Map([...kernels].filter(([name]) => names.includes(name))));
    const { masks, weights } = await maskedBy(keras().bytes(), 'keras.npz', file);
    const bound = masks?.masks.map(({ key, node, zeros }) => [key, node.split('/').at(2), zeros]);
    expect(bound?.slice(0, 2)).toEqual([
      ['conv2d/kernel', 'conv2d', 27],
      ['dense/kernel', 'dense', 5 * 128],
    ]);
    expect(weights[0]?.every((value, at) => (value === 0) === (Math.floor(at / 27) === 2))).toBe(true);
    expect(weights[1]?.every((value, at) => (value === 0) === at % HIDDEN <= 4)).toBe(true);
  });

  test("a mask that fits neither is an error, not the neighbour's", async () => {
    const wrong = npz(new Map([['dense/kernel', { dims: [HIDDEN, CLASSES], keep: new Uint8Array(HIDDEN * CLASSES) }]]));
    await expect(maskedBy(keras().bytes(), 'wrong.npz', wrong)).rejects.toThrow(/could belong to|does not fit/);
  });
});
