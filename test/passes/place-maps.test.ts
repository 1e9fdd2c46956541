/** Where maps of the place are put, and which readers share what they are made of. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { resnet } from '../../fixtures/networks/resnet/resnet.js';
import { compileModel } from '../../src/compile.js';
import { makesIndicators } from '../../src/ir/origin.js';
import { readModel } from '../../src/onnx/read.js';
import { createSession } from '../../src/runtime/session.js';
import { verifyModels } from '../../src/verify/verify.js';
import { weights } from './dead-pair.js';
import { changed } from './run-pass.js';

/** 1x1 to 4 channels, of which 1 and 3 hold constants, Relu, then 3x3 to 4 channels. */
function pair(g: GraphBuilder, x: string, name: string, { pads = 1, strides = 1 } = {}): string {
  const first = weights(`${name} first`, [4, 4, 1], { filters: [1, 3] });
  const hidden = g.relu(g.conv(x, first, { bias: [1, 0.7, 1, 0.3] }));
  return g.conv(hidden, weights(`${name} second`, [4, 4, 3]), { pads, strides, name });
}

describe('a residual that is added at once', () => {
  test('is added to the map', async () => {
    const g = graphBuilder();
    const x = g.relu(g.input('x', [1, 4, 'h', 'w']));
    g.output(g.relu(g.add(pair(g, x, 'reader'), x)));
    expect(await changed('remove-channels', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [1,4,h,w]
      Relu_output_0 [1,4,h,w] = Relu(x)
      Conv_output_0 [1,4,?,?] = Conv(Relu_output_0, Conv.1 [4,4,1,1], Conv.2 [4] {1 0.7 1 0.3})
      Relu_1_output_0 [1,4,?,?] = Relu(Conv_output_0)
      reader_output_0 [1,4,?,?] = Conv(Relu_1_output_0, reader.1 [4,4,3,3]) pads=1,1,1,1
      Add_output_0 [1,4,?,?] = Add(reader_output_0, Relu_output_0)
      Relu_2_output_0 [1,4,?,?] = Relu(Add_output_0)
      outputs: Relu_2_output_0
      =>
      inputs: x [1,4,h,w]
      Relu_output_0 [1,4,h,w] = Relu(x)
      Conv_output_0 [1,2,?,?] = Conv(Relu_output_0, Conv.1 [2,4,1,1] {-1.87 -0.0519 -0.356 0.236 0.678 -0.862 0.254 1.82}, Conv.2 [2] {1 1})
      Relu_1_output_0 [1,2,?,?] = Relu(Conv_output_0)
      prune_compile/ones_of_Relu_1_output_0 [1,16,?,?] = Conv(Relu_1_output_0, Relu_1_output_0_no_weight [16,2,1,1], Relu_1_output_0_ones [16])
      prune_compile/taps_of_Relu_1_output_0 [1,16,?,?] = Conv(prune_compile/ones_of_Relu_1_output_0, Relu_1_output_0_taps [16,1,3,3]) pads=1,1,1,1 group=16
      reader_output_0_constants [1,4,?,?] = Conv(prune_compile/taps_of_Relu_1_output_0, reader_output_0_constants_weight [4,16,1,1])
      reader_output_0 [1,4,?,?] = Conv(Relu_1_output_0, reader.1 [4,2,3,3]) pads=1,1,1,1
      Relu_output_0_and_constants [1,4,?,?] = Add(reader_output_0_constants, Relu_output_0)
      Add_output_0 [1,4,?,?] = Add(reader_output_0, Relu_output_0_and_constants)
      Relu_2_output_0 [1,4,?,?] = Relu(Add_output_0)
      outputs: Relu_2_output_0
    `);
  });

  test('is the other reader, which takes the sum of both maps in', async () => {
    const g = graphBuilder();
    const x = g.relu(g.input('x', [1, 4, 'h', 'w']));
    g.output(g.relu(g.add(pair(g, x, 'a'), pair(g, x, 'b'))));
    expect(await changed('remove-channels', g.bytes())).toMatchInlineSnapshot(`
      inputs: x [1,4,h,w]
      Relu_output_0 [1,4,h,w] = Relu(x)
      Conv_output_0 [1,4,?,?] = Conv(Relu_output_0, Conv.1 [4,4,1,1], Conv.2 [4] {1 0.7 1 0.3})
      Relu_1_output_0 [1,4,?,?] = Relu(Conv_output_0)
      a_output_0 [1,4,?,?] = Conv(Relu_1_output_0, a.1 [4,4,3,3]) pads=1,1,1,1
      Conv_1_output_0 [1,4,?,?] = Conv(Relu_output_0, Conv_1.1 [4,4,1,1], Conv_1.2 [4] {1 0.7 1 0.3})
      Relu_2_output_0 [1,4,?,?] = Relu(Conv_1_output_0)
      b_output_0 [1,4,?,?] = Conv(Relu_2_output_0, b.1 [4,4,3,3]) pads=1,1,1,1
      Add_output_0 [1,4,?,?] = Add(a_output_0, b_output_0)
      Relu_3_output_0 [1,4,?,?] = Relu(Add_output_0)
      outputs: Relu_3_output_0
      =>
      inputs: x [1,4,h,w]
      Relu_output_0 [1,4,h,w] = Relu(x)
      Conv_output_0 [1,2,?,?] = Conv(Relu_output_0, Conv.1 [2,4,1,1] {1.07 0.792 0.223 0.557 2.21 0.241 -1.45 0.771}, Conv.2 [2] {1 1})
      Relu_1_output_0 [1,2,?,?] = Relu(Conv_output_0)
      prune_compile/ones_of_Relu_1_output_0 [1,16,?,?] = Conv(Relu_1_output_0, Relu_1_output_0_no_weight [16,2,1,1], Relu_1_output_0_ones [16])
      prune_compile/taps_of_Relu_1_output_0 [1,16,?,?] = Conv(prune_compile/ones_of_Relu_1_output_0, Relu_1_output_0_taps [16,1,3,3]) pads=1,1,1,1 group=16
      a_output_0_constants [1,4,?,?] = Conv(prune_compile/taps_of_Relu_1_output_0, a_output_0_constants_weight [4,16,1,1])
      a_output_0 [1,4,?,?] = Conv(Relu_1_output_0, a.1 [4,2,3,3]) pads=1,1,1,1
      Conv_1_output_0 [1,2,?,?] = Conv(Relu_output_0, Conv_1.1 [2,4,1,1] {-1.08 0.245 1.13 0.0124 0.692 0.298 -0.0658 0.827}, Conv_1.2 [2] {1 1})
      Relu_2_output_0 [1,2,?,?] = Relu(Conv_1_output_0)
      prune_compile/ones_of_Relu_2_output_0 [1,16,?,?] = Conv(Relu_2_output_0, Relu_2_output_0_no_weight [16,2,1,1], Relu_2_output_0_ones [16])
      prune_compile/taps_of_Relu_2_output_0 [1,16,?,?] = Conv(prune_compile/ones_of_Relu_2_output_0, Relu_2_output_0_taps [16,1,3,3]) pads=1,1,1,1 group=16
      b_output_0_constants [1,4,?,?] = Conv(prune_compile/taps_of_Relu_2_output_0, b_output_0_constants_weight [4,16,1,1])
      b_output_0_before_Add [1,4,?,?] = Conv(Relu_2_output_0, b.1 [4,2,3,3]) pads=1,1,1,1
      b_output_0 [1,4,?,?] = Add(b_output_0_before_Add, b_output_0_constants)
      b_output_0_and_constants [1,4,?,?] = Add(a_output_0_constants, b_output_0)
      Add_output_0 [1,4,?,?] = Add(a_output_0, b_output_0_and_constants)
      Relu_3_output_0 [1,4,?,?] = Relu(Add_output_0)
      outputs: Relu_3_output_0
    `);
  });

  test.each<[string, (g: GraphBuilder, x: string, y: string) => void]>([
    ['of another shape', (g, _, y) => g.output(g.add(y, g.input('z', [1, 4, 1, 1])))],
    ['of a shape that may be another', (g, _, y) => g.output(g.add(y, g.input('z', [1, 4, 'a', 'b'])))],
    ['that is constant', (g, _, y) => g.output(g.add(y, { data: [1, 2, 3, 4], dims: [4, 1, 1] }))],
    [
      'to one of two readers of the sum',
      (g, x, y) => {
        g.output(g.add(y, x));
        g.output(g.op('Abs', [y]));
      },
    ],
  ])('is left where it is: %s', async (_, finish) => {
    const g = graphBuilder();
    const x = g.relu(g.input('x', [1, 4, 'h', 'w']));
    finish(g, x, pair(g, x, 'reader'));
    const compiled = await compileModel(g.bytes(), { align: 1 });
    const { graph } = readModel(compiled.encode());
    const [map] = graph.nodes.filter(({ origin }) => origin?.kind === 'compensation');
    const [sum] = map?.outputs[0]?.uses.map(({ node }) => node) ?? [];
    expect(sum?.inputs.map((value) => value?.producer?.name)).toEqual(['reader', map?.name]);
    expect((await verifyModels(g.bytes(), compiled.encode(), { seeds: [1] })).equal).toBe(true);
  });
});

describe('indicators', () => {
  async function count(build: (g: GraphBuilder, x: string) => void): Promise<number> {
    const g = graphBuilder();
    build(g, g.relu(g.input('x', ['n', 4, 'h', 'w'])));
    const compiled = await compileModel(g.bytes(), { align: 1 });
    expect((await verifyModels(g.bytes(), compiled.encode(), { seeds: [1] })).equal).toBe(true);
    expect((await compileModel(compiled.encode(), { align: 1 })).report.changed).toBe(false);
    return readModel(compiled.encode()).graph.nodes.filter(makesIndicators).length;
  }

  test('are shared by the readers of a stage, also behind a stride', async () => {
    const many = (g: GraphBuilder, x: string) => {
      const half = g.maxPool(pair(g, g.relu(pair(g, x, 'a')), 'b'), [2, 2], { strides: 2 });
      g.output(pair(g, g.relu(pair(g, half, 'c')), 'd'));
    };
    expect(await count(many)).toBe(2);
  });

  test('are others for another stride, other pads', async () => {
    const many = (g: GraphBuilder, x: string) => {
      const a = g.relu(pair(g, x, 'a'));
      g.output(pair(g, a, 'b', { strides: 2 }));
      g.output(pair(g, a, 'c', { pads: 2 }));
    };
    expect(await count(many)).toBe(3);
  });

  test('are others for readers of which none depends on what the other reads', async () => {
    const many = (g: GraphBuilder, x: string) => {
      g.output(pair(g, x, 'a'));
      g.output(pair(g, g.op('Abs', [g.input('z', ['n', 4, 'h', 'w'])]), 'b'));
    };
    expect(await count(many)).toBe(2);
  });
});

test('what is infinite on one branch does not reach another one', async () => {
  const g = graphBuilder();
  g.output(pair(g, g.relu(g.input('x', [1, 4, 6, 6])), 'a'));
  g.output(pair(g, g.relu(g.input('z', [1, 4, 6, 6])), 'b'));
  const compiled = await compileModel(g.bytes(), { align: 1 });
  const session = await createSession(compiled.encode());
  const filled = (value: number) => new ort.Tensor(new Float32Array(144).fill(value), [1, 4, 6, 6]);
  const results = await session.run({ x: filled(Number.POSITIVE_INFINITY), z: filled(1) });
  await session.release();
  const isFinite = session.outputNames.map((name) =>
    Array.from((results[name]?.data ?? []) as Float32Array).every(Number.isFinite),
  );
  expect(isFinite).toEqual([false, true]);
});

test.each(['dynamic', 160] as const)('ONNX Runtime sums all maps inside kernels, size %s', async (size) => {
  const network = resnet('resnet18', {
    masks: 'zeros',
    meaning: 'zero',
    batchNorm: 'kept',
    width: 32,
    choice: { kind: 'inner', fraction: 0.5 },
    size,
  });
  const compiled = await compileModel(network.bytes());
  const folder = mkdtempSync(join(tmpdir(), 'place-maps-'));
  const path = join(folder, 'optimised.onnx');
  // ONNX Runtime warns that such a file is for this machine.
  const options = { optimizedModelFilePath: path, logSeverityLevel: 4 } as const;
  await (await ort.InferenceSession.create(compiled.encode(), options)).release();
  const { graph } = readModel(readFileSync(path));
  rmSync(folder, { recursive: true });
  const left = graph.nodes.filter(({ opType }) => ['Add', 'Relu', 'BatchNormalization'].includes(opType));
  expect(left.map(({ name }) => name)).toEqual([]);
  // 20 of the network, 8 maps, and a pair of convolutions for each of 4 stages.
  expect(graph.nodes.filter(({ opType }) => ['Conv', 'FusedConv'].includes(opType))).toHaveLength(20 + 8 + 4 * 2);
});
