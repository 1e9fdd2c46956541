/** What a compiled model says of the options that it was compiled with. */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../fixtures/networks/graph-builder.js';
import { compileModel } from '../src/compile.js';
import { recordedOptions } from '../src/compile/options.js';
import { decodeModel } from '../src/onnx/read.js';

const DEFAULTS = { structured: true, sparse: false, align: 'auto', target: 'cpu', meaning: 'zero' };

describe('recorded options', () => {
  test('defaults are written down, what was left out is not', () => {
    expect(recordedOptions({})).toEqual(DEFAULTS);
    expect(recordedOptions({ sparse: true })).toEqual({ ...DEFAULTS, structured: false, sparse: true });
  });

  test('all that changes the result is there, as plain data', () => {
    const given = {
      align: 4,
      shapes: { x: [1, 3, 8, 8] },
      maskMap: { 'a.weight_mask': 'w', b: null },
      maskPrefix: 'net.',
      maskSoft: 'multiply',
      maskLayout: 'torch',
      allowUnmatched: true,
      skip: ['fold-shapes'],
      stopAfter: 3,
    } as const;
    const recorded = recordedOptions({ ...given, masks: ['m.npz'], signal: new AbortController().signal });
    expect(recorded).toEqual({ ...DEFAULTS, ...given });
    expect(JSON.parse(JSON.stringify(recorded))).toEqual({ ...DEFAULTS, ...given });
  });

  test('a clock and a table are recorded by what they are', () => {
    const tune = () => Promise.reject(new Error('not measured'));
    expect(recordedOptions({ sparse: true, tune })['tune']).toBe(true);
    expect(recordedOptions({ sparse: true, sparseTarget: 'avx2' })['sparseTarget']).toBe('avx2');
  });

  test('the file holds them', async () => {
    const g = graphBuilder();
    const x = g.input('x', ['n', 3, 4, 4]);
    const weights = Float32Array.from({ length: 8 * 3 }, (_, at) => (at < 12 ? 0 : 1));
    g.output(
      g.conv(g.relu(g.conv(x, { dims: [8, 3, 1, 1], data: weights })), {
        dims: [2, 8, 1, 1],
        data: new Float32Array(16).fill(1),
      }),
    );
    const shapes = { x: [2, 3, 4, 4] };
    const compiled = await compileModel(g.bytes(), { align: 1, shapes });
    expect(compiled.report.changed).toBe(true);
    const { metadataProps = [] } = decodeModel(compiled.encode(), 'compiled');
    const recorded = metadataProps.find(({ key }) => key === 'prune-compile.options')?.value ?? '{}';
    expect(JSON.parse(recorded)).toEqual({ ...DEFAULTS, align: 1, shapes });
  });
});
