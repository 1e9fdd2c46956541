/**
 * The named cases: equal by the verifier's own measure, and as much removed as the masks let go.
 */
import { describe, expect, test } from 'vitest';
import {
  allLayersMasked,
  constantsIntoPadding,
  innerFiltersMasked,
  namedCases,
  type NamedCase,
  zeroSumFilter,
} from '../../fixtures/networks/named-cases.js';
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

describe.each([...namedCases('small'), constantsIntoPadding('dynamic')])('$name', (named) => {
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

test('a filter whose weights only sum to zero stays', async () => {
  const { bytes } = zeroSumFilter();
  const { report } = await compileModel(bytes, { align: 1 });
  expect(report.layers.find(({ node }) => node === '/conv1/Conv')?.keptOutputChannels).toBe(6);
});

test('inner filters masked at full size: equal at 224 and 192 pixels', async () => {
  const named = innerFiltersMasked('full');
  await expectEqual(named, await compileModel(named.bytes));
});

test('filters of every layer masked at full size: all that the masks let go is removed', async () => {
  const named = allLayersMasked('full');
  const compiled = await compileModel(named.bytes, { align: 1 });
  expect(removedFilters(compiled)).toBeGreaterThanOrEqual(named.removableFilters);
});
