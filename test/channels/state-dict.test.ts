/**
 * State dicts that load_state_dict takes with strict=True: all names of the module, nothing else,
 * and the right values.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { PruneCompileError } from '../../src/errors.js';
import { compileModel, type CompileOptions } from '../../src/compile.js';
import { encodeProto } from '../../src/onnx/encode.js';
import { FORMS, residualNetwork, STATE_KEYS } from './exports.js';
import { readSafetensors, rebuild } from './rebuild.js';

const folder = mkdtempSync(join(tmpdir(), 'prune-compile-state-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function maskFile(masks: Readonly<Record<string, unknown>>): string {
  const path = join(folder, 'masks.json');
  writeFileSync(path, JSON.stringify(masks));
  return path;
}

const sorted = (keys: Iterable<string>) => [...keys].toSorted();

describe.each(FORMS)('%s', (form) => {
  const bytes = residualNetwork(form);
  const masks = () => [
    maskFile({
      'layer1.0.conv1': { remove: [1, 4, 6] },
      'layer1.0.conv2': { remove: [0, 3] },
      'layer1.0.downsample.0': { remove: [0, 3] },
    }),
  ];

  test('nothing pruned: the state dict of the module', async () => {
    const { state } = await rebuild(bytes, { align: 1 });
    expect(sorted(state.keys())).toEqual(sorted(STATE_KEYS));
  });

  test.each(['zero', 'drop'] as const)('meaning %s', async (meaning) => {
    const compiled = await compileModel(bytes, { align: 1, masks: masks(), meaning });
    const { addedBiases, unheld, weights } = compiled.channels();
    const { state } = readSafetensors(compiled.stateDict());
    expect(sorted(state.keys())).toEqual(sorted([...STATE_KEYS, ...addedBiases]));
    expect(addedBiases).toEqual([]);
    expect(unheld.length > 0).toBe(meaning === 'zero');
    expect(weights.filter(({ parameter }) => parameter === null)).toEqual([]);
    // The shifts are one tensor in the file, and two parameters that keep channels of their own.
    const kept = [1, 2, 4, 5];
    const shift = normals(11, 'layer1.0.bn2.bias', 6, 0.5);
    for (const name of ['layer1.0.bn2.bias', 'layer1.0.downsample.1.bias'])
      expect(Array.from(state.get(name)?.values ?? []), name).toEqual(kept.map((index) => shift[index]));
    expect(state.get('layer1.0.conv1.weight')?.dims).toEqual([5, 6, 3, 3]);
  });

  test('only one of two equal shifts is cut', async () => {
    const file = maskFile({ 'layer1.0.bn2.weight': [1, 1, 1, 1, 0, 1], 'layer1.0.bn2.bias': [1, 1, 1, 1, 0, 1] });
    const compiled = await compileModel(bytes, { align: 1, masks: [file] });
    const { state } = readSafetensors(compiled.stateDict());
    expect(sorted(state.keys())).toEqual(sorted(STATE_KEYS));
    const shift = normals(11, 'layer1.0.bn2.bias', 6, 0.5);
    expect(Array.from(state.get('layer1.0.downsample.1.bias')?.values ?? [])).toEqual(Array.from(shift));
    expect(state.get('layer1.0.bn2.bias')?.values[4]).toBe(0);
  });
});

/** As the TorchScript exporter writes it. */
function torchScript(build: (g: GraphBuilder, weights: typeof stored) => void): Uint8Array {
  const g = graphBuilder({ opset: 18 });
  build(g, stored);
  return encodeProto({ ...g.model(), producerName: 'pytorch' });
}

function integers(g: GraphBuilder, values: readonly number[]): string {
  return g.constant({ data: BigInt64Array.from(values, BigInt) });
}

function stored(g: GraphBuilder, name: string, dims: readonly number[], dead: readonly number[] = []): string {
  const size = dims.reduce((product, extent) => product * extent, 1);
  const row = size / (dims[0] ?? 1);
  return g.initializer(
    name,
    dims,
    normals(7, name, size).map((value, at) => (dead.includes(Math.floor(at / row)) ? 0 : value)),
  );
}

async function stateOf(bytes: Uint8Array, options: CompileOptions = {}) {
  const compiled = await compileModel(bytes, { align: 1, ...options });
  return readSafetensors(compiled.stateDict()).state;
}

async function refusalOf(bytes: Uint8Array): Promise<string> {
  const compiled = await compileModel(bytes, { align: 1 });
  expect(compiled.channels().weights.length).toBeGreaterThan(0);
  try {
    compiled.stateDict();
  } catch (error) {
    if (error instanceof PruneCompileError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'no error';
}

describe('what is no parameter, and what only looks otherwise', () => {
  test('a PReLU has one slope per channel, whatever shape its operand has', async () => {
    const bytes = torchScript((g, weights) => {
      const hidden = g.conv(g.input('x', [1, 2, 5, 5]), weights(g, 'a.weight', [4, 2, 1, 1], [1]), { name: '/a/Conv' });
      const slope = g.op('Unsqueeze', [weights(g, 'act.weight', [4]), integers(g, [1, 2])]);
      const shaped = g.op('PRelu', [hidden, slope], {}, { name: '/act/PRelu' });
      g.output(g.conv(shaped, weights(g, 'b.weight', [3, 4, 1, 1]), { name: '/b/Conv' }));
    });
    const state = await stateOf(bytes);
    expect(state.get('act.weight')?.dims).toEqual([3]);
    const slopes = normals(7, 'act.weight', 4);
    expect(Array.from(state.get('act.weight')?.values ?? [])).toEqual([0, 2, 3].map((index) => slopes[index]));
  });

  test('a normalisation without scale and shift of its own', async () => {
    const bytes = torchScript((g, weights) => {
      const hidden = g.conv(g.input('x', [1, 2, 5, 5]), weights(g, 'a.weight', [4, 2, 1, 1]), { name: '/a/Conv' });
      const [scale, shift] = [g.constant({ data: [1, 1, 1, 1] }), g.constant({ data: [0, 0, 0, 0] })];
      const mean = weights(g, 'bn.running_mean', [4]);
      const variance = g.initializer('bn.running_var', [4], [1, 2, 3, 4]);
      g.output(g.batchNorm(hidden, { scale, shift, mean, variance }, { name: '/bn/BatchNormalization' }));
    });
    expect(sorted((await stateOf(bytes)).keys())).toEqual([
      'a.weight',
      'bn.num_batches_tracked',
      'bn.running_mean',
      'bn.running_var',
    ]);
  });

  test('a weight that the layer scales is the weight before, or nothing', async () => {
    const scaled = (dead: readonly number[]) =>
      torchScript((g, weights) => {
        const scale = g.constant({ data: [0.25], dims: [] });
        const weight = g.mul(weights(g, 'a.weight', [4, 2, 1, 1], dead), scale);
        const hidden = g.relu(g.conv(g.input('x', [1, 2, 5, 5]), weight, { name: '/a/Conv', kernel: [1, 1] }));
        g.output(g.conv(hidden, weights(g, 'b.weight', [3, 4, 1, 1]), { name: '/b/Conv' }));
      });
    const state = await stateOf(scaled([]));
    expect(Array.from(state.get('a.weight')?.values ?? [])).toEqual(Array.from(normals(7, 'a.weight', 8)));
    expect(await refusalOf(scaled([2]))).toMatch(/^E-STATE-DICT.*\n.*a\.weight of \/a\/Conv: .*masked or cut/);
  });

  test('gates of an LSTM: as they were under their names, an error without', async () => {
    const recurrent = (isNamed: boolean) =>
      torchScript((g, weights) => {
        const gates = (name: string, columns: number) => {
          if (!isNamed) return weights(g, `onnx::LSTM_${columns}`, [1, 12, columns]);
          const [input, forget, cell, output] = g.ops(
            'Split',
            [weights(g, name, [12, columns])],
            { axis: 0, num_outputs: 4 },
            { outputs: 4 },
          );
          return g.op('Unsqueeze', [
            g.concat([input ?? '', output ?? '', forget ?? '', cell ?? ''], 0),
            integers(g, [0]),
          ]);
        };
        const projected = g.op(
          'MatMul',
          [g.input('x', [5, 1, 6]), weights(g, 'in.weight', [6, 4])],
          {},
          { name: '/in/MatMul' },
        );
        const operands = [projected, gates('lstm.weight_ih_l0', 4), gates('lstm.weight_hh_l0', 3)];
        g.output(g.op('LSTM', operands, { hidden_size: 3 }, { name: '/lstm/LSTM' }));
      });
    const state = await stateOf(recurrent(true));
    expect(Array.from(state.get('lstm.weight_ih_l0')?.values ?? [])).toEqual(
      Array.from(normals(7, 'lstm.weight_ih_l0', 48)),
    );
    expect(sorted(state.keys())).toEqual(['in.weight', 'lstm.weight_hh_l0', 'lstm.weight_ih_l0']);
    expect(await refusalOf(recurrent(false))).toMatch(
      /^E-STATE-DICT.*\n.*a weight of \/lstm\/LSTM: the file has no name/,
    );
  });

  test('integers and tables that are gathered stay as they are', async () => {
    const bytes = torchScript((g, weights) => {
      const ids = g.initializer('embed.position_ids', [3], BigInt64Array.of(2n, 0n, 1n));
      const table = g.op('Gather', [weights(g, 'embed.table', [3, 6]), ids]);
      const sum = g.add(g.input('x', [2, 3, 6]), table);
      g.output(g.op('MatMul', [sum, weights(g, 'onnx::MatMul_9', [6, 4])], {}, { name: '/fc/MatMul' }));
    });
    const state = await stateOf(bytes);
    expect(sorted(state.keys())).toEqual(['embed.position_ids', 'embed.table', 'fc.weight']);
    expect(Array.from(state.get('embed.position_ids')?.values ?? [])).toEqual([2, 0, 1]);
    expect(state.get('fc.weight')?.dims).toEqual([4, 6]);
  });

  test('a bias of zeros that the exporter left out', async () => {
    const g = graphBuilder({ opset: 18 });
    const x = g.input('x', [1, 2, 5, 5]);
    const hidden = g.relu(g.conv(x, stored(g, 'a.weight', [4, 2, 1, 1], [1]), { name: 'node_Conv_1' }));
    g.output(g.conv(hidden, stored(g, 'b.weight', [3, 4, 1, 1]), { name: 'node_Conv_2' }));
    const model = g.model();
    const node = model.graph?.node?.map((entry) => ({
      ...entry,
      metadataProps: [{ key: 'pkg.onnxscript.rewriter.rule_name', value: 'RemoveOptionalBiasFromConv' }],
    }));
    const value = ['a.weight', 'a.bias', 'b.weight'].map((name) => `p: PARAMETER target='${name}'`).join('\n');
    const metadataProps = [{ key: 'pkg.torch.export.ExportedProgram.graph_signature', value }];
    const graph = { ...model.graph, ...(node && { node }), metadataProps };
    const state = await stateOf(encodeProto({ ...model, graph }));
    expect(sorted(state.keys())).toEqual(['a.bias', 'a.weight', 'b.weight']);
    expect(Array.from(state.get('a.bias')?.values ?? [])).toEqual([0, 0, 0]);
  });
});
