/** The note on layers whose zeros are 2:4 along input channels, in inspect and compile. */
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { compileModel } from '../../src/compile.js';
import { inspectModel } from '../../src/inspect.js';

/** Weights [outputs, inputs, kernel, kernel] of which `keeps` says where they are not zero. */
function weights(
  dims: readonly [number, number, number],
  keeps: (output: number, input: number, tap: number) => boolean,
) {
  const [outputs, inputs, kernel] = dims;
  const taps = kernel * kernel;
  const data = Float32Array.from({ length: outputs * inputs * taps }, (_, at) =>
    keeps(Math.floor(at / (inputs * taps)), Math.floor(at / taps) % inputs, at % taps) ? 1 : 0,
  );
  return { data, dims: [outputs, inputs, kernel, kernel] };
}

/** Which two of four are kept differs from filter to filter and from tap to tap. */
const twoOfFour = (output: number, input: number, tap: number) => (input + output + tap) % 4 < 2;

function model(build: (g: GraphBuilder, x: string) => string, channels: number) {
  const g = graphBuilder({ opset: 17 });
  g.output(g.op('Abs', [build(g, g.input('x', [1, channels, 6, 6]))]));
  return g.bytes();
}

async function notesOf(bytes: Uint8Array) {
  const isNote = ({ message }: { readonly message: string }) => message.includes('2:4');
  const [inspected, compiled] = [await inspectModel(bytes), await compileModel(bytes)];
  const notes = inspected.remarks.filter(isNote);
  expect(compiled.report.remarks.filter(isNote)).toEqual(notes);
  return notes.map(({ message, layers = [] }) => `${message}: ${layers.map(({ node }) => node).join(' ')}`);
}

const convolution = (dims: readonly [number, number, number], keeps = twoOfFour, options = {}) =>
  model((g, x) => g.conv(x, weights(dims, keeps), { pads: (dims[2] - 1) / 2, name: 'conv', ...options }), dims[1]);

describe('says', () => {
  test('which layers are large enough, and the option of TensorRT', async () => {
    const bytes = model((g, x) => {
      const large = g.conv(x, weights([260, 32, 3], twoOfFour), { pads: 1, name: 'large' });
      return g.conv(large, weights([8, 260, 1], twoOfFour), { name: 'small' });
    }, 32);
    const [note, ...others] = await notesOf(bytes);
    expect(others).toEqual([]);
    expect(note).toContain('2 layers have 2:4 zeros along the input channels, 1 of them large enough');
    expect(note).toContain('{"trt_sparsity_enable": True}');
    expect(note).toMatch(/: large$/);
  });

  test.each([
    ['256 outputs', [256, 32, 3]],
    ['256 inputs times places', [260, 256, 1]],
  ] as const)('that a layer is too small with %s', async (_, dims) => {
    expect(await notesOf(convolution(dims))).toEqual([expect.stringContaining('1 layer has 2:4 zeros')]);
    expect((await notesOf(convolution(dims)))[0]).toContain('too small');
  });

  test('the same of a product, along its inputs', async () => {
    const g = graphBuilder({ opset: 17 });
    const { data } = weights([300, 260, 1], twoOfFour);
    g.output(g.op('Gemm', [g.input('x', [2, 260]), { data, dims: [300, 260] }], { transB: 1 }));
    expect((await notesOf(g.bytes()))[0]).toContain('large enough');
  });
});

describe('says nothing of', () => {
  test.each<[string, Uint8Array]>([
    [
      'three of four in one place',
      convolution([8, 8, 3], (o, i, t) => (o === 7 && i > 4 && t === 8) || twoOfFour(o, i, t)),
    ],
    ['two of four along the outputs', convolution([8, 8, 1], (output) => output % 4 < 2)],
    ['a layer without zeros', convolution([8, 8, 1], () => true)],
    ['a layer of zeros', convolution([8, 8, 1], () => false)],
    ['inputs that are no multiple of four', convolution([8, 6, 1])],
    ['groups', model((g, x) => g.conv(x, weights([8, 4, 1], twoOfFour), { group: 2 }), 8)],
  ])('%s', async (_, bytes) => {
    expect(await notesOf(bytes)).toEqual([]);
  });

  test('sparse operators, which compute without the zeros', async () => {
    const { report } = await compileModel(convolution([260, 32, 3]), { sparse: true, sparseTarget: 'baseline' });
    expect(report.remarks.filter(({ message }) => message.includes('TensorRT'))).toEqual([]);
  });
});
