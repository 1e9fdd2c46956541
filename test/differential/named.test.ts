/** The named cases: equal by the verifier's own measure, and as much removed as the masks let go. */
import { describe, expect, test } from 'vitest';
import {
  namedCases,
  type NamedCase,
  t1InnerZero,
  t2AllZero,
  t5ZeroSumFilter,
  t12BorderMap,
} from '../../fixtures/named-cases.js';
import { type Compiled, compileModel } from '../../src/compile.js';
import { verifyModels } from '../../src/verify/verify.js';

async function expectEqual({ bytes, inputName, inputDims }: NamedCase, compiled: Compiled): Promise<void> {
  for (const dims of inputDims) {
    const verification = await verifyModels(bytes, compiled.encode(), { shapes: { [inputName]: dims } });
    expect(verification, `at ${dims.join('x')}`).toMatchObject({ equal: true });
  }
}

/** Filters of the layers that have masks, and of those that only constants reach. */
function removedFilters({ report }: Compiled): number {
  const convolutions = report.layers.filter(({ opType }) => opType === 'Conv');
  return convolutions.reduce((total, layer) => total + layer.outputChannels - (layer.keptOutputChannels ?? 0), 0);
}

describe.each([...namedCases('small'), t12BorderMap('dynamic')])('$name', (named) => {
  test('is equal and loses what its masks let go', async () => {
    const compiled = await compileModel(named.bytes, { align: 1 });
    expect(removedFilters(compiled)).toBeGreaterThanOrEqual(named.removableFilters);
    await expectEqual(named, compiled);
    expect((await compileModel(compiled.encode(), { align: 1 })).report.changed).toBe(false);
  });

  test('is equal with widths for speed', async () => {
    await expectEqual(named, await compileModel(named.bytes));
  });
});

test('T5: the filter that only sums to zero stays', async () => {
  const { bytes } = t5ZeroSumFilter();
  const { report } = await compileModel(bytes, { align: 1 });
  expect(report.layers.find(({ node }) => node === '/conv1/Conv')?.keptOutputChannels).toBe(6);
});

test('T1 at full size is equal at 224 and 192 pixels', async () => {
  const named = t1InnerZero('full');
  await expectEqual(named, await compileModel(named.bytes));
});

test('T2 at full size loses all that its masks let go', async () => {
  const named = t2AllZero('full');
  const compiled = await compileModel(named.bytes, { align: 1 });
  expect(removedFilters(compiled)).toBeGreaterThanOrEqual(named.removableFilters);
});
