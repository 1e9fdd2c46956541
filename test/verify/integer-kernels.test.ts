/** Quantised models are also compared as they run: in integer kernels, to the bit. */
import { describe, expect, test } from 'vitest';
import { codedLayer } from '../../fixtures/networks/coded.js';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { Editor } from '../../src/ir/editor.js';
import { Tensor } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';
import { withIntegerKernels } from '../../src/verify/integer-kernels.js';
import { runReference } from '../../src/verify/reference.js';
import type { Verification } from '../../src/verify/verification.js';
import { verifyModels } from '../../src/verify/verify.js';

const TO_THE_BIT = "equal to the bit in ONNX Runtime's integer kernels, whose sums are exact";

function network(): Uint8Array {
  const g = graphBuilder();
  const hidden = g.relu(codedLayer(g, g.input('x', [4, 8]), 'decoded', { name: 'first', dims: [8, 6] }));
  g.output(codedLayer(g, hidden, 'decoded', { name: 'last', dims: [6, 3] }));
  return g.bytes();
}

/** One code of the first layer's weights is another one. */
function altered(bytes: Uint8Array): Uint8Array {
  const model = readModel(bytes);
  const value = model.graph.values.get('first.weight_quantized');
  if (value?.initializer === undefined) throw new Error('the weights are not there');
  const { dataType, dims } = value.initializer;
  const codes = [...value.initializer.numbers()];
  codes[3] = codes[3] === 100 ? 50 : 100;
  const editor = new Editor(model.graph);
  editor.transaction('alter', () => editor.rewriteInitializer(value, Tensor.fromNumbers(dataType, dims, codes)));
  return encodeModel(model);
}

/** What a comparison of floats says where rounding moved a code. */
const REFUSED: Verification = {
  equal: false,
  difference: 0.01,
  bound: 2e-6,
  noise: 0,
  boundReason: 'rounding',
  cases: [{ shapes: { x: [4, 8] }, seed: 1, difference: 0.01 }],
  outputs: [{ name: 'y', difference: 0.01, bound: 2e-6, noise: 0 }],
  worstOutput: 'y',
  reason: 'output "y" differs by 1.0e-2 of its scale, 2.0e-6 was allowed',
  notes: [],
};

describe('integer kernels', () => {
  test('say of equal models that they are equal to the bit', async () => {
    expect(await verifyModels(network(), network())).toMatchObject({ equal: true, difference: 0 });
    expect((await verifyModels(network(), network())).notes).toContain(TO_THE_BIT);
  });

  test('show a code that differs', async () => {
    const { equal, notes } = await verifyModels(network(), altered(network()));
    expect(equal).toBe(false);
    expect(notes.join('\n')).toContain("in ONNX Runtime's integer kernels");
    expect(notes).not.toContain(TO_THE_BIT);
  });

  test('decide where rounding alone moved a code, and the report says what was found without them', async () => {
    const known = await runReference(network(), {});
    const { notes, ...found } = await withIntegerKernels(REFUSED, [network(), network()], known, undefined);
    expect(found).toMatchObject({ equal: true, difference: 0, bound: 0, outputs: [{ difference: 0, bound: 0 }] });
    expect(found.reason).toBeUndefined();
    expect(notes).toContain(TO_THE_BIT);
    expect(notes.join('\n')).toContain(
      'without graph optimisations rounding moves codes: output "y" differs by 1.0e-2',
    );
  });

  test('leave refused what differs there too', async () => {
    const known = await runReference(network(), {});
    const found = await withIntegerKernels(REFUSED, [network(), altered(network())], known, undefined);
    expect(found).toMatchObject({ equal: false, reason: REFUSED.reason });
  });

  test('have no part in models without codes', async () => {
    const g = graphBuilder();
    g.output(g.relu(g.input('x', [4, 8])));
    const { notes } = await verifyModels(g.bytes(), g.bytes());
    expect(notes.join('\n')).not.toContain('integer kernels');
  });
});
