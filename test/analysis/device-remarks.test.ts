/** Widths that follow a rule instead of a measurement are called that. */
import { expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { compileModel, type CompileOptions } from '../../src/compile.js';

const MODEL = (() => {
  const g = graphBuilder({ opset: 17 });
  const weights = { data: Float32Array.from({ length: 64 }, (_, at) => (at < 8 ? 0 : 1)), dims: [8, 8, 1, 1] };
  g.output(g.op('Abs', [g.conv(g.input('x', [1, 8, 6, 6]), weights)]));
  return g.bytes();
})();

async function notes(options: CompileOptions): Promise<string[]> {
  const { report } = await compileModel(MODEL, options);
  return report.remarks.map(({ message }) => message).filter((message) => message.includes('no device has measured'));
}

test.each(['cuda', 'tensorrt'] as const)('%s: multiples of 8, for tensor cores', async (target) => {
  expect(await notes({ target })).toEqual([expect.stringMatching(/^widths are multiples of 8 .* 16 bytes/)]);
});

test('webgpu: multiples of 4', async () => {
  expect(await notes({ target: 'webgpu' })).toEqual([expect.stringMatching(/^widths are multiples of 4 /)]);
});

test('nothing where widths are measured, or given', async () => {
  expect(await notes({ target: 'cpu' })).toEqual([]);
  expect(await notes({ target: 'cuda', align: 4 })).toEqual([]);
});
