/**
 * Kept lists and state dicts: what they say is checked against the original weights and the
 * compiled model.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { namedCases } from '../../fixtures/networks/named-cases.js';
import { normals } from '../../fixtures/networks/random.js';
import { removeChannels } from '../../passes/remove-channels.js';
import { CostModel } from '../../src/cost/width-cost.js';
import { KeptChannels, renderChannels } from '../../src/retraining/channels.js';
import { traceWeights } from '../../src/retraining/trace.js';
import { compileModel } from '../../src/compile.js';
import { Node } from '../../src/ir/graph.js';
import { Provenance } from '../../src/ir/provenance.js';
import { readModel } from '../../src/onnx/read.js';
import { inspectGraph } from '../../src/graph-info/inspect-graph.js';
import { passContext } from '../../src/pipeline.js';
import { buildGraph } from '../../fixtures/networks/random-networks/build-graph.js';
import { problems } from '../../fixtures/networks/random-networks/random-graphs.js';
import { loadRealModel, realModelNames } from '../support/real-models.js';
import { rebuild } from './rebuild.js';

/** Normal numbers, but zeros for the rows `dead` of the first axis. */
function weights(name: string, dims: readonly number[], dead: readonly number[] = []) {
  const size = dims.reduce((total, extent) => total * extent, 1);
  const row = size / (dims[0] ?? 1);
  const data = normals(3, name, size).map((value, at) => (dead.includes(Math.floor(at / row)) ? 0 : value));
  return { name, dims, data };
}

describe('cuts of cuts', () => {
  test('provenance counts in the original indices', () => {
    const log = new Provenance();
    const node = new Node('Conv', '', 'conv');
    log.slice(node, 1, [[0, 2, 4, 5], undefined, undefined]);
    const undo = log.slice(node, 1, [[1, 3], [0]]);
    expect(log.keptOf(node, 1)).toEqual([[2, 5], [0], undefined]);
    expect(log.keptOf(node, 2)).toEqual([]);
    expect(log.isRewritten(node, 1)).toBe(false);
    undo();
    expect(log.keptOf(node, 1)).toEqual([[0, 2, 4, 5], undefined, undefined]);
  });

  test('two runs of remove-channels, the second with narrower widths', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 3, 6, 6]);
    const w1 = weights('a.weight', [16, 3, 3, 3], [0, 1, 3, 5, 7, 8, 9, 12, 14]);
    const hidden = g.relu(g.conv(x, g.initializer(w1.name, w1.dims, w1.data), { name: 'a' }));
    const w2 = weights('b.weight', [5, 16, 1, 1]);
    g.output(g.conv(hidden, g.initializer(w2.name, w2.dims, w2.data), { name: 'b' }));
    const model = readModel(g.bytes());
    const context = passContext(model, { align: 4 });
    const kept = new KeptChannels(
      model.graph,
      traceWeights(await context.graphInfo(), model.proto),
      context.editor.provenance,
    );
    const widths = () => kept.channels().weights.map((weight) => weight.kept?.map((axis) => axis?.length ?? null));
    expect((await removeChannels.run(context)).changed).toBe(true);
    expect(widths().slice(0, 1)).toEqual([[8, null, null, null]]);
    expect((await removeChannels.run({ ...context, cost: new CostModel('cpu', 1) })).changed).toBe(true);
    const live = [2, 4, 6, 10, 11, 13, 15];
    expect(kept.channels().weights.map((weight) => weight.kept)).toEqual([
      [live, null, null, null],
      [null, live, null, null],
    ]);
    const [small] = kept.smallState((await context.graphInfo()).constants).weights;
    const expected = live.flatMap((filter) => Array.from(w1.data.slice(filter * 27, filter * 27 + 27)));
    expect([...(small?.tensor.numbers() ?? [])]).toEqual(expected);
  });

  test('two runs, of which the second takes fillers out of every group', async () => {
    const model = readModel(groupedNetwork([0, 1, 5, 6, 9, 10, 12, 13], [0, 4, 8, 10]));
    const context = passContext(model, { align: 12 });
    const kept = new KeptChannels(
      model.graph,
      traceWeights(await context.graphInfo(), model.proto),
      context.editor.provenance,
    );
    const grouped = () => kept.channels().weights.find(({ parameter }) => parameter === 'grouped.weight');
    expect((await removeChannels.run(context)).changed).toBe(true);
    const lists = (...keptByGroup: readonly (readonly number[])[]) => ({ keptByGroup });
    expect(grouped()).toMatchObject(lists([0, 2, 3], [0, 1, 3], [0, 1, 3], [0, 2, 3]));
    expect((await removeChannels.run({ ...context, cost: new CostModel('cpu', 1) })).changed).toBe(true);
    expect(grouped()).toMatchObject({
      ...lists([2, 3], [0, 3], [0, 3], [2, 3]),
      kept: [[1, 2, 3, 5, 6, 7, 9, 11], null, null, null],
    });
  });

  test('inputs of all groups are counted through, so that groups may go later', () => {
    const log = new Provenance();
    const node = new Node('Conv', '', 'conv');
    log.slice(node, 1, [undefined, [1, 2, 5, 7, 8, 9, 12, 15]]);
    log.slice(node, 1, [
      [0, 1, 2, 6, 7, 8, 9, 10, 11],
      [0, 1, 4, 5, 6, 7],
    ]);
    expect(log.keptOf(node, 1)[1]).toEqual([1, 2, 8, 9, 12, 15]);
  });
});

/** 1x1 to 16 channels, grouped in 4 groups to 12, 1x1 to 2; zero filters of the first two. */
function groupedNetwork(deadInputs: readonly number[], deadOutputs: readonly number[]): Uint8Array {
  const g = graphBuilder();
  const conv = (name: string, from: string, dims: readonly number[], dead: readonly number[] = [], group = 1) => {
    const { data } = weights(name, dims, dead);
    return g.conv(from, g.initializer(`${name}.weight`, dims, data), { group, name: `/${name}/Conv` });
  };
  const wide = g.relu(conv('expand', g.input('x', [1, 3, 6, 6]), [16, 3, 1, 1], deadInputs));
  const hidden = g.relu(conv('grouped', wide, [12, 4, 3, 3], deadOutputs, 4));
  g.output(conv('project', hidden, [2, 12, 1, 1]));
  return g.bytes();
}

describe('layouts', () => {
  test('a matrix product holds a Linear in reverse, a Gemm with transB as it is', async () => {
    const g = graphBuilder();
    const x = g.input('x', [2, 6]);
    const first = g.initializer('onnx::MatMul_7', [6, 8], columnsZero(6, 8, [1, 4, 5]));
    const hidden = g.relu(g.op('MatMul', [x, first], {}, { name: '/fc1/MatMul' }));
    const second = weights('fc2.weight', [3, 8]);
    const w2 = g.initializer(second.name, second.dims, second.data);
    g.output(g.op('Gemm', [hidden, w2], { transB: 1 }, { name: '/fc2/Gemm' }));
    const { channels, state } = await rebuild(g.bytes(), { align: 1 });
    const live = [0, 2, 3, 6, 7];
    expect(channels.weights).toMatchObject([
      { parameter: 'fc1.weight', shape: [8, 6], transposed: true, kept: [live, null] },
      { parameter: 'fc2.weight', shape: [3, 8], transposed: false, kept: [null, live] },
    ]);
    expect(state.get('fc1.weight')?.dims).toEqual([5, 6]);
    expect(state.get('fc2.weight')?.dims).toEqual([3, 5]);
  });

  test('a depthwise convolution has as many groups as channels are left', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 3, 6, 6]);
    const conv = (name: string, from: string, dims: readonly number[], dead: readonly number[], group = 1) => {
      const { data } = weights(name, dims, dead);
      return g.conv(from, g.initializer(`${name}.weight`, dims, data), { group, name: `/${name}/Conv` });
    };
    const wide = g.relu(conv('expand', x, [8, 3, 1, 1], [0, 3, 6]));
    const deep = g.relu(conv('depth', wide, [8, 1, 3, 3], [0, 3, 6], 8));
    g.output(conv('project', deep, [4, 8, 1, 1], []));
    const { channels } = await rebuild(g.bytes(), { align: 1 });
    const live = [1, 2, 4, 5, 7];
    expect(channels.weights).toMatchObject([
      { parameter: 'expand.weight', kept: [live, null, null, null], groups: 1 },
      { parameter: 'depth.weight', kept: [live, null, null, null], groups: 5 },
      { parameter: 'project.weight', kept: [null, live, null, null], groups: 1 },
    ]);
    expect(channels.unheld).toEqual([]);
  });
});

describe('grouped convolutions', () => {
  test('each group keeps inputs of its own', async () => {
    const { channels } = await rebuild(groupedNetwork([0, 5, 9, 10, 12], [0, 4, 8, 10]), { align: 1 });
    expect(channels.weights).toMatchObject([
      { parameter: 'expand.weight', keptByGroup: null, groups: 1 },
      {
        parameter: 'grouped.weight',
        kept: [[1, 2, 3, 5, 6, 7, 9, 11], null, null, null],
        keptByGroup: [
          [1, 2, 3],
          [0, 2, 3],
          [0, 1, 3],
          [1, 2, 3],
        ],
        groups: 4,
      },
      { parameter: 'project.weight', keptByGroup: null },
    ]);
    expect(channels.unheld).toEqual([]);
  });

  test('groups that keep the same inputs, and a group that is gone', async () => {
    const { channels } = await rebuild(groupedNetwork([1, 4, 5, 6, 7, 9, 13], [3, 4, 5]), { align: 1 });
    expect(channels.weights[1]).toMatchObject({
      kept: [[0, 1, 2, 6, 7, 8, 9, 10, 11], [0, 2, 3], null, null],
      keptByGroup: null,
      groups: 3,
    });
  });
});

function columnsZero(rows: number, columns: number, dead: readonly number[]): Float32Array {
  return normals(5, 'columns', rows * columns).map((value, at) => (dead.includes(at % columns) ? 0 : value));
}

describe('what a module cannot hold', () => {
  test('a branch that is zero is gone, with nothing instead', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 3, 6, 6]);
    const stem = weights('stem.weight', [4, 3, 1, 1]);
    const live = g.relu(g.conv(x, g.initializer(stem.name, stem.dims, stem.data), { name: '/stem/Conv' }));
    const dead = weights('branch.weight', [4, 4, 3, 3], [0, 1, 2, 3]);
    const branch = g.conv(live, g.initializer(dead.name, dead.dims, dead.data), { pads: 1, name: '/branch/Conv' });
    const head = weights('head.weight', [2, 4, 1, 1]);
    const sum = g.relu(g.add(live, branch));
    g.output(g.conv(sum, g.initializer(head.name, head.dims, head.data), { name: '/head/Conv' }));
    const { channels, state } = await rebuild(g.bytes(), { align: 1 });
    expect(channels.weights.map(({ parameter, removed, kept }) => [parameter, removed, kept === null])).toEqual([
      ['stem.weight', false, false],
      ['branch.weight', true, true],
      ['head.weight', false, false],
    ]);
    expect([...state.keys()]).toEqual(['stem.weight', 'head.weight']);
    expect(channels.unheld).toEqual([]);
  });

  test.each([
    ['in the bias that there was', 0, true],
    ['in a bias that there was not', 0, false],
    ['on a map of the place, at zero padding', 1, true],
  ])('a constant goes %s', async (_, pads, hasBias) => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 7, 7]);
    const first = weights('a.weight', [4, 2, 1, 1], [1, 3]);
    const bias = g.initializer('a.bias', [4], new Float32Array([0.5, 0.25, 0.5, 0.125]));
    const hidden = g.relu(g.conv(x, g.initializer(first.name, first.dims, first.data), { bias, name: '/a/Conv' }));
    const second = weights('b.weight', [3, 4, 3, 3]);
    const own = hasBias ? { bias: g.initializer('b.bias', [3], new Float32Array([1, 2, 3])) } : {};
    const w2 = g.initializer(second.name, second.dims, second.data);
    g.output(g.conv(hidden, w2, { pads, name: '/b/Conv', ...own }));
    const { channels, state, metadata } = await rebuild(g.bytes(), { align: 1 });
    expect(channels.weights.filter(({ rewritten }) => rewritten).map(({ parameter }) => parameter)).toEqual(
      hasBias && pads === 0 ? ['b.bias'] : [],
    );
    expect(channels.addedBiases).toEqual(hasBias ? [] : ['b.bias']);
    expect(state.get('b.bias')?.dims).toEqual([3]);
    const unheld = pads === 0 ? [] : [{ node: '/b/Conv', what: 'adds the constants of removed channels' }];
    expect(channels.unheld).toEqual(unheld);
    expect(JSON.parse(metadata['prune-compile.unheld'] ?? '')).toEqual(unheld);
  });

  test('a constant goes in a bias that there was not, of a layer that no name says', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 7, 7]);
    const first = weights('a.weight', [4, 2, 1, 1], [1, 3]);
    const bias = g.initializer('a.bias', [4], new Float32Array([0.5, 0.25, 0.5, 0.125]));
    const hidden = g.relu(g.conv(x, g.initializer(first.name, first.dims, first.data), { bias, name: '/a/Conv' }));
    const second = weights('stored', [3, 4, 1, 1]);
    g.output(g.conv(hidden, g.initializer(second.name, second.dims, second.data), { name: 'second' }));
    const { channels, metadata } = await rebuild(g.bytes(), { align: 1 });
    expect(channels.addedBiases).toEqual([]);
    const unheld = [{ node: 'second', what: 'adds the constants of removed channels' }];
    expect(channels.unheld).toEqual(unheld);
    expect(JSON.parse(metadata['prune-compile.unheld'] ?? '')).toEqual(unheld);
  });

  test('a weight that two layers share and that only one of them may cut', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 4, 5, 5]);
    const first = weights('a.weight', [4, 4, 1, 1], [1, 3]);
    const shared = weights('b.weight', [3, 4, 1, 1]);
    const w2 = g.initializer(shared.name, shared.dims, shared.data);
    const hidden = g.relu(g.conv(x, g.initializer(first.name, first.dims, first.data), { name: '/a/Conv' }));
    g.output(g.conv(hidden, w2, { name: '/b/Conv' }));
    g.output(g.conv(x, w2, { name: '/b_1/Conv' }));
    const { channels, state } = await rebuild(g.bytes(), { align: 1 });
    expect(channels.weights.map(({ parameter, kept }) => [parameter, kept?.[1]])).toEqual([
      ['a.weight', null],
      ['b.weight', [0, 2]],
      ['b.weight', null],
    ]);
    expect(state.get('b.weight')?.dims).toEqual([3, 2, 1, 1]);
    expect(channels.unheld).toEqual([
      { node: '/b_1/Conv', what: 'shared b.weight with another layer, which keeps other channels of it' },
    ]);
  });

  test('a carrier is only another column', async () => {
    const g = graphBuilder();
    const x = g.input('x', [1, 2, 7, 7]);
    const first = weights('a.weight', [8, 2, 1, 1], [1, 3, 5, 6, 7]);
    const bias = g.initializer('a.bias', [8], new Float32Array(8).fill(0.5));
    const hidden = g.relu(g.conv(x, g.initializer(first.name, first.dims, first.data), { bias, name: '/a/Conv' }));
    const second = weights('b.weight', [3, 8, 3, 3]);
    const w2 = g.initializer(second.name, second.dims, second.data);
    g.output(g.conv(hidden, w2, { pads: 1, name: '/b/Conv' }));
    const { channels } = await rebuild(g.bytes(), { align: 4 });
    expect(channels.weights.map(({ parameter, rewritten }) => [parameter, rewritten])).toEqual([
      ['a.weight', false],
      ['a.bias', false],
      ['b.weight', true],
    ]);
    expect(channels.unheld).toEqual([]);
  });
});

describe('whole networks', () => {
  test.each(namedCases().map((entry) => [entry.name, entry.bytes] as const))('%s', async (_, bytes) => {
    const { channels } = await rebuild(bytes, { align: 1 });
    expect(channels.weights.length).toBeGreaterThan(0);
  });

  test('random graphs', async () => {
    let cut = 0;
    const property = fc.asyncProperty(problems(), fc.constantFrom(1, 'auto' as const), async (problem, align) => {
      const { bytes } = buildGraph(problem);
      // Problems that do not load say nothing.
      const loads = await compileModel(bytes).catch(() => undefined);
      if (loads === undefined) return;
      const { channels } = await rebuild(bytes, { align });
      if (channels.weights.some(({ kept }) => kept?.some((axis) => axis !== null))) cut++;
    });
    await fc.assert(property, { seed: 7, numRuns: 60 });
    expect(cut).toBeGreaterThan(15);
  });

  test.each([['quantised'], ['recurrent'], ['nested']] as const)('random graphs with steps: %s', async (kind) => {
    let cut = 0;
    const property = fc.asyncProperty(problems(['conv', kind]), async (problem) => {
      const { bytes } = buildGraph(problem);
      const loads = await compileModel(bytes).catch(() => undefined);
      if (loads === undefined || !problem.steps.some((step) => step.kind === kind)) return;
      const { channels } = await rebuild(bytes, { align: 1 });
      if (channels.weights.some(({ kept }) => kept?.some((axis) => axis !== null))) cut++;
    });
    await fc.assert(property, { seed: 11, numRuns: 40 });
    expect(cut).toBeGreaterThan(10);
  });

  test('as a file: one weight per line, and JSON', async () => {
    const [entry] = namedCases();
    const { channels } = await rebuild(entry?.bytes ?? new Uint8Array());
    const text = renderChannels(channels);
    expect(JSON.parse(text)).toEqual(channels);
    expect(text.split('\n').filter((line) => line.includes('"parameter"'))).toHaveLength(channels.weights.length);
  });
});

describe('real exports', () => {
  const small = realModelNames(/^s_(resnet18|resnet20|resnet10|mobilenet)\.(ln|plain|rand)/);

  test.each(small)('%s', async (name) => {
    const { channels, state } = await rebuild(await loadRealModel(name), { align: 1 });
    const unnamed = channels.weights.filter(({ parameter }) => parameter === null);
    expect(unnamed).toEqual([]);
    const left = channels.weights.filter(({ removed }) => !removed).flatMap(({ parameter }) => parameter ?? []);
    expect([...new Set(left)].filter((parameter) => !state.has(parameter))).toEqual([]);
  });

  const layersOf = async (name: string) => {
    const { state } = await rebuild(await loadRealModel(name));
    return [...state.keys()].filter((key) => /conv\d?\.weight|downsample\.0\.weight|fc\.weight/.test(key));
  };

  test('folded exports give the names of the one that kept its normalisations', async () => {
    const names = await layersOf('s_resnet18.ln0_removed.legacy_bn');
    expect(names).toContain('layer2.0.downsample.0.weight');
    for (const other of ['removed.legacy', 'removed.dynamo', 'hooks.dynamo', 'hooks.legacy_nofold'])
      expect(await layersOf(`s_resnet18.ln0_${other}`), other).toEqual(names);
  });

  test.each(realModelNames(/^(mobilenet_v2\.dynamo_noopt|swin_t\.dynamo|hf_vit_l4\.\w+|bert_l4\.\w+)$/))(
    '%s: no two tensors under one name',
    async (name) => {
      const model = readModel(await loadRealModel(name));
      const { weights: traced } = traceWeights(await inspectGraph(model), model.proto);
      const initializers = new Map<string, string>();
      for (const { parameter, initializer } of traced) {
        if (parameter === undefined) continue;
        expect(initializers.get(parameter) ?? initializer, parameter).toBe(initializer);
        initializers.set(parameter, initializer);
      }
      expect([...initializers.keys()].filter((parameter) => !/\.\w+$|^\w+_(token|embed\w*)$/.test(parameter))).toEqual(
        [],
      );
    },
  );

  test('normalisations have all that load_state_dict asks for', async () => {
    const { state } = await rebuild(await loadRealModel('s_resnet18.ln0_removed.legacy_bn'));
    for (const key of ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'])
      expect([...state.keys()]).toContain(`layer1.0.bn1.${key}`);
    expect(state.get('layer1.0.bn1.num_batches_tracked')?.dims).toEqual([]);
  });
});
