/** Networks of quantised layers, half of their filters at the zero points. */
import { describe, expect, test } from 'vitest';
import {
  CODED_FORMS,
  codedLayer,
  type CodedForm,
  type CodedLayer,
  CODING,
  decodedWeights,
  dequantize,
  fusedMatrix,
  quantize,
} from '../../fixtures/networks/coded.js';
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { readModel } from '../../src/onnx/read.js';
import { type Build, compiled } from './coded-outcome.js';

const DEAD = [1, 3, 4];
const MEANINGS = ['drop', 'zero'] as const;
/** Of the biases of `first` that of filter 3 is less than half a code: with it the filter gives 0. */
const ZERO_ALL_THE_SAME = 1;

function first(more: Partial<CodedLayer> = {}): CodedLayer {
  return { name: 'first', dims: [6, 3, 3, 3], dead: DEAD, attributes: { pads: [1, 1, 1, 1] }, ...more };
}

/** x -> 6 filters -> Relu -> a reader of 5 -> Relu -> mean -> matrix of 3. */
function images(form: CodedForm, made: Partial<CodedLayer>, reader: Partial<CodedLayer>): Build {
  return (g) => {
    const x = g.input('x', [2, 3, 6, 6]);
    const hidden = g.relu(codedLayer(g, x, form, first(made)));
    const read = g.relu(codedLayer(g, hidden, form, { name: 'reader', dims: [5, 6, 1, 1], ...reader }));
    const means = g.flatten(g.globalAveragePool(read));
    g.output(codedLayer(g, means, form, { name: 'last', dims: [5, 3] }));
  };
}

const PADDED = { dims: [5, 6, 3, 3], attributes: { pads: [1, 1, 1, 1] } };

describe.each(CODED_FORMS)('%s', (form) => {
  describe.each([false, true])('a scale per filter: %s', (isPerFilter) => {
    test.each([
      ['without padding', {}],
      ['with padding', PADDED],
    ])('dead filters without a bias go, the reader %s', async (_, reader) => {
      const made = { isPerFilter, meaning: 'drop' } as const;
      const outcome = await compiled(images(form, made, { ...reader, isPerFilter }));
      expect(outcome).toMatchObject({ equal: true, toTheBit: true, removed: DEAD.length });
    });

    test.each(MEANINGS)('depthwise filters go with what they read, meaning %s', async (meaning) => {
      const outcome = await compiled((g) => {
        const x = g.input('x', [1, 3, 6, 6]);
        const hidden = g.relu(codedLayer(g, x, form, first({ isPerFilter, meaning: 'drop' })));
        const attributes = { group: 6, pads: [1, 1, 1, 1] };
        const deep = { name: 'deep', dims: [6, 1, 3, 3], dead: DEAD, meaning, isPerFilter, attributes };
        const read = g.relu(codedLayer(g, hidden, form, deep));
        g.output(codedLayer(g, read, form, { name: 'reader', dims: [4, 6, 1, 1], meaning: 'drop' }));
      });
      expect(outcome).toMatchObject({ equal: true, toTheBit: true });
      if (meaning === 'drop') expect(outcome.removed).toBe(2 * DEAD.length);
    });

    test('of matrices dead columns go', async () => {
      const outcome = await compiled((g) => {
        const hidden = { name: 'first', dims: [8, 6], dead: DEAD, meaning: 'drop', isPerFilter } as const;
        const made = g.relu(codedLayer(g, g.input('x', [4, 8]), form, hidden));
        g.output(codedLayer(g, made, form, { name: 'last', dims: [6, 3], isPerFilter }));
      });
      expect(outcome).toMatchObject({ equal: true, toTheBit: true, removed: DEAD.length });
    });
  });

  test('constants other than 0 stay where a padded layer reads them', async () => {
    const outcome = await compiled(images(form, { meaning: 'zero' }, PADDED));
    expect(outcome).toMatchObject({ equal: true, toTheBit: true, removed: ZERO_ALL_THE_SAME });
  });

  test('channels of a residual sum go where both sides are dead', async () => {
    const outcome = await compiled((g) => {
      const x = g.input('x', [1, 3, 6, 6]);
      const a = codedLayer(g, x, form, first({ meaning: 'drop' }));
      const b = codedLayer(g, x, form, first({ name: 'second', dead: [1, 3], meaning: 'drop' }));
      const sum = g.relu(dequantize(g, quantize(g, g.add(a, b))));
      g.output(codedLayer(g, sum, form, { name: 'reader', dims: [4, 6, 1, 1] }));
    });
    expect(outcome).toMatchObject({ equal: true, toTheBit: true, removed: 4 });
  });
});

describe.each(['decoded', 'integer'] as const)('%s: constants', (form) => {
  test('go into the codes of a bias, to the bit', async () => {
    const outcome = await compiled(images(form, { meaning: 'zero' }, {}));
    expect(outcome).toMatchObject({ equal: true, toTheBit: true, removed: DEAD.length });
    expect(outcome.remarks).toContain('the codes of the bias take their constants over, to the bit');
    expect(outcome.remarks).not.toContain('dead output');
  });

  test('go into the bias of a matrix', async () => {
    const outcome = await compiled((g) => {
      const hidden = { name: 'first', dims: [8, 6], dead: DEAD, meaning: 'zero' } as const;
      const made = codedLayer(g, g.input('x', [4, 8]), form, hidden);
      g.output(codedLayer(g, made, form, { name: 'last', dims: [6, 3], isPerFilter: true }));
    });
    expect(outcome).toMatchObject({ equal: true, toTheBit: true, removed: DEAD.length });
  });

  test('stay in front of a matrix without a bias', async () => {
    const outcome = await compiled((g) => {
      const hidden = { name: 'first', dims: [8, 6], dead: DEAD, meaning: 'zero' } as const;
      const made = codedLayer(g, g.input('x', [4, 8]), form, hidden);
      g.output(codedLayer(g, made, form, { name: 'last', dims: [6, 3], hasBias: false }));
    });
    expect(outcome).toMatchObject({ equal: true, removed: ZERO_ALL_THE_SAME });
    expect(outcome.remarks).toContain('has no bias in the scale of its sums: nothing takes that over exactly');
  });

  test('at a tie between two codes stay unknown', async () => {
    // The bias is 1 in a scale of a quarter, the output's scale a half.
    const input = { scale: 0.5, zero: 100 };
    const outcome = await compiled((g) => {
      const x = g.input('x', [1, 3, 4, 4]);
      const [scale, zero] = [
        { data: [0.5], dims: [] },
        { data: Int8Array.of(0), dims: [] },
      ];
      const codes = Int8Array.from(normals(3, 'w', 12), (value) => Math.round(40 * value)).fill(0, 0, 3);
      const read = dequantize(g, quantize(g, x, input), input);
      const w = g.op('DequantizeLinear', [{ data: codes, dims: [4, 3, 1, 1] }, scale, zero]);
      const b = g.op('DequantizeLinear', [{ data: Int32Array.of(1, 4, -3, 8) }, { data: [0.25], dims: [] }]);
      const made = dequantize(g, quantize(g, g.op('Conv', [read, w, b]), input), input);
      g.output(codedLayer(g, made, form, { name: 'reader', dims: [2, 4, 1, 1], input }));
    });
    expect(outcome).toMatchObject({ equal: true, removed: 0 });
  });
});

describe('what the run quantises', () => {
  test('keeps channels that hold another constant than 0: they may be the largest number', async () => {
    const outcome = await compiled(images('dynamic', { meaning: 'zero' }, {}));
    expect(outcome).toMatchObject({ equal: true, removed: ZERO_ALL_THE_SAME });
  });

  test('keeps channels that no weight reads', async () => {
    const outcome = await compiled((g) => {
      const hidden = g.relu(codedLayer(g, g.input('x', [4, 8]), 'dynamic', { name: 'first', dims: [8, 6] }));
      const [codes = '', scale = '', zero = ''] = g.ops('DynamicQuantizeLinear', [hidden], {}, { outputs: 3 });
      const weights = Int8Array.from(normals(3, 'w', 18), (value) => Math.round(40 * value)).fill(0, 0, 9);
      const sums = g.op('MatMulInteger', [codes, { data: weights, dims: [6, 3] }, zero]);
      g.output(g.mul(g.op('Cast', [sums], { to: 1 }), scale));
    });
    expect(outcome).toMatchObject({ equal: true, removed: 0 });
  });

  test('keeps channels where the codes have another reader', async () => {
    const outcome = await compiled((g) => {
      const made = { name: 'first', dims: [8, 6], dead: DEAD, meaning: 'drop' } as const;
      const hidden = codedLayer(g, g.input('x', [4, 8]), 'dynamic', made);
      const [codes = '', scale = '', zero = ''] = g.ops('DynamicQuantizeLinear', [hidden], {}, { outputs: 3 });
      const weights = { data: Int8Array.from({ length: 18 }, (_, at) => at + 1), dims: [6, 3] };
      const sums = g.op('Cast', [g.op('MatMulInteger', [codes, weights, zero])], { to: 1 });
      const total = g.op('ReduceSum', [g.op('Cast', [codes], { to: 1 }), { data: [1n] }], { keepdims: 1 });
      g.output(g.add(g.mul(sums, scale), total));
    });
    expect(outcome).toMatchObject({ equal: true, removed: 0 });
  });
});

describe.each([false, true])('matrices that scale their sums, which quantise their input: %s', (quantisesItself) => {
  const network =
    (made: Partial<CodedLayer>, act = (g: GraphBuilder, x: string) => g.relu(x)): Build =>
    (g) => {
      const hidden = { name: 'first', dims: [8, 6], dead: DEAD, isPerFilter: true, ...made };
      const read = act(g, fusedMatrix(g, g.input('x', [4, 8]), hidden, quantisesItself));
      g.output(fusedMatrix(g, read, { name: 'last', dims: [6, 3], isPerFilter: true }, quantisesItself));
    };

  test.each([
    ['zeros go', { meaning: 'drop' }, DEAD.length],
    ['zeros go without a bias', { hasBias: false }, DEAD.length],
    ['of constants the negative ones go, behind a Relu', { meaning: 'zero' }, 1],
  ] as const)('%s', async (_, made, removed) => {
    expect(await compiled(network(made))).toMatchObject({ equal: true, toTheBit: true, removed });
  });

  test('channels that no weight reads stay: they may be the largest number', async () => {
    const outcome = await compiled((g) => {
      const hidden = fusedMatrix(g, g.input('x', [4, 8]), { name: 'first', dims: [8, 6] }, quantisesItself);
      const weights = Int8Array.from(normals(3, 'w', 18), (value) => Math.round(40 * value)).fill(0, 0, 9);
      const [scale, zero] = [
        { data: [0.01], dims: [] },
        { data: Int8Array.of(0), dims: [] },
      ];
      const operands = [{ data: weights, dims: [6, 3] }, scale, zero];
      g.output(g.op('DynamicQuantizeMatMul', [g.relu(hidden), ...operands], {}, { domain: 'com.microsoft' }));
    });
    expect(outcome).toMatchObject({ equal: true, removed: 0 });
  });
});

describe('decoded weights', () => {
  const reader = (g: GraphBuilder, x: string, w: string) => g.conv(x, w, { kernel: [1, 1] });

  test.each([10, 13, 19, 21, 23])('of float layers, opset %d', async (opset) => {
    const outcome = await compiled((g) => {
      const isPerFilter = opset >= 13;
      const w = decodedWeights(g, { name: 'first', dims: [6, 3, 3, 3], dead: DEAD, isPerFilter });
      const hidden = g.relu(g.conv(g.input('x', [1, 3, 6, 6]), w, { kernel: [3, 3] }));
      g.output(reader(g, hidden, decodedWeights(g, { name: 'reader', dims: [4, 6, 1, 1], isPerFilter })));
    }, opset);
    expect(outcome).toMatchObject({ equal: true, removed: DEAD.length });
  });

  test('that two layers read are cut for both', async () => {
    const outcome = await compiled((g) => {
      const w = decodedWeights(g, { name: 'w', dims: [4, 3, 1, 1], dead: [1] });
      const made = ['x', 'z'].map((name) => g.op('Tanh', [reader(g, g.input(name, [1, 3, 6, 6]), w)]));
      for (const [at, value] of made.entries())
        g.output(g.conv(value, { data: normals(at, 'r', 8), dims: [2, 4, 1, 1] }));
    });
    expect(outcome).toMatchObject({ equal: true, removed: 2 });
  });

  test('of float weights that are coded first', async () => {
    const outcome = await compiled((g) => {
      const data = normals(5, 'w', 18).fill(0, 3, 6);
      const coding = { scale: 0.02, zero: 0, isSigned: true };
      const w = dequantize(g, quantize(g, g.initializer('w', [6, 3, 1, 1], data), coding), coding);
      const hidden = g.relu(reader(g, g.input('x', [1, 3, 6, 6]), w));
      g.output(g.conv(hidden, { data: normals(3, 'r', 12), dims: [2, 6, 1, 1] }));
    });
    expect(outcome).toMatchObject({ equal: true, removed: 1 });
    // What is left is still coded when the model runs.
    expect(readModel(outcome.bytes).graph.nodes.map(({ opType }) => opType)).toContain('QuantizeLinear');
  });

  test('of groups of several channels stay whole', async () => {
    const outcome = await compiled((g) => {
      const w = decodedWeights(g, { name: 'first', dims: [4, 3, 1, 1], dead: [0, 2] });
      const hidden = g.relu(reader(g, g.input('x', [1, 3, 6, 6]), w));
      const grouped = decodedWeights(g, { name: 'grouped', dims: [4, 2, 1, 1], dead: [0, 2] });
      const made = g.relu(g.conv(hidden, grouped, { group: 2, kernel: [1, 1] }));
      g.output(g.conv(made, { data: normals(3, 'r', 8), dims: [2, 4, 1, 1] }));
    });
    expect(outcome).toMatchObject({ equal: true, removed: 0 });
  });

  test('with a scale that is an input stay whole', async () => {
    const outcome = await compiled((g) => {
      const codes = { data: new Int8Array(12).fill(0, 0, 3).fill(5, 3), dims: [4, 3, 1, 1] };
      const w = g.op('DequantizeLinear', [codes, g.input('s', [1])]);
      const hidden = g.relu(reader(g, g.input('x', [1, 3, 6, 6]), w));
      g.output(g.conv(hidden, { data: normals(3, 'r', 8), dims: [2, 4, 1, 1] }));
    });
    expect(outcome).toMatchObject({ equal: true, removed: 0 });
  });
});

test('no layer of codes becomes a sparse operator', async () => {
  const g = graphBuilder();
  const w = decodedWeights(g, { name: 'w', dims: [16, 16, 3, 3], dead: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] });
  g.output(g.conv(g.input('x', [1, 16, 8, 8]), w, { kernel: [3, 3] }));
  const { report } = await compileModel(g.bytes(), { sparse: true });
  expect(report.sparse?.layers ?? 0).toBe(0);
  expect(report.remarks.map(({ message }) => message).join('\n')).toContain('its weights are quantised');
});

test('a branch of constants stays in a sum of codes', async () => {
  const outcome = await compiled((g) => {
    const x = g.input('x', [1, 3, 6, 6]);
    const alive = codedLayer(g, x, 'decoded', { name: 'alive', dims: [4, 3, 1, 1] });
    const dead = codedLayer(g, x, 'decoded', { name: 'dead', dims: [4, 3, 1, 1], dead: [0, 1, 2, 3], meaning: 'drop' });
    const sum = dequantize(g, quantize(g, g.add(alive, dead), CODING), CODING);
    g.output(codedLayer(g, sum, 'decoded', { name: 'reader', dims: [2, 4, 1, 1] }));
  });
  expect(outcome).toMatchObject({ equal: true, toTheBit: true, removed: 0 });
});
