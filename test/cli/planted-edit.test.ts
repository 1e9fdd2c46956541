/**
 * The whole command over a compiler that makes a mistake: the real check must see it, and leave
 * nothing behind.
 */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { resnet } from '../../fixtures/networks/resnet/resnet.js';
import { ENGINE } from '../../src/cli/engine.js';
import { Editor } from '../../src/ir/editor.js';
import { Tensor } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';
import { modelFolder, run } from './run-command.js';

/** One bias of the first convolution is off by a hundredth of its own size. */
function spoiled(bytes: Uint8Array): Uint8Array {
  const model = readModel(bytes);
  const editor = new Editor(model.graph);
  const bias = model.graph.nodes.find(({ opType }) => opType === 'Conv')?.inputs[2];
  const tensor = bias?.initializer;
  if (bias === undefined || tensor === undefined) throw new Error('the fixture has no bias');
  const values = Float64Array.from(tensor.numbers());
  values[0] = (values[0] ?? 0) * 1.01;
  editor.transaction('spoil', () =>
    editor.rewriteInitializer(bias, Tensor.fromNumbers(tensor.dataType, tensor.dims, values)),
  );
  return encodeModel(model);
}

const masked = () =>
  resnet('cifar_resnet20', { masks: 'zeros', batchNorm: 'folded', choice: { kind: 'inner' }, size: 32 }).bytes();

const careless = {
  ...ENGINE,
  compileModel: async (...args: Parameters<typeof ENGINE.compileModel>) => {
    const compiled = await ENGINE.compileModel(...args);
    const write = (path: string) => {
      const bytes = spoiled(compiled.encode());
      writeFileSync(path, bytes);
      return bytes.length;
    };
    return { ...compiled, write };
  },
};

test('a wrong edit is caught: exit 1, the error says so, no output is left', async () => {
  const { folder, model, at } = modelFolder();
  writeFileSync(model, masked());
  const before = readdirSync(folder);
  const { code, stderr } = await run([model, '-o', at('out.onnx')], { engine: careless });
  expect(code).toBe(1);
  expect(stderr).toContain('E-OUTPUTS-DIFFER');
  expect(existsSync(at('out.onnx'))).toBe(false);
  expect(readdirSync(folder)).toEqual(before);
});

test('the same model from the real compiler passes', async () => {
  const { model, at } = modelFolder();
  writeFileSync(model, masked());
  expect((await run([model, '-o', at('out.onnx')], { engine: ENGINE })).code).toBe(0);
  expect(existsSync(at('out.onnx'))).toBe(true);
});
