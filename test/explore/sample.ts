/** An exploration with made-up points. */
import type { Exploration, Point } from '../../src/exploration/exploration.js';
import { MACHINE } from '../report/sample.js';

/** Its interval reaches 0.1 to both sides. */
export function point(granularity: string, ratio: number, speedup: number): Point {
  return {
    granularity,
    criterion: 'l1',
    ratio,
    way: granularity === 'filter' ? 'structured' : 'sparse',
    cpu: MACHINE.cpu,
    seconds: 1,
    zeros: ratio,
    parameters: 50,
    macs: Math.round(1000 * (1 - ratio)),
    sizeBytes: 2000,
    equal: true,
    difference: 1e-7,
    timing: {
      denseMs: 2,
      ms: 2 / speedup,
      rounds: 31,
      spread: 0.02,
      speedup,
      interval: [Number((speedup - 0.1).toFixed(3)), Number((speedup + 0.1).toFixed(3))],
      p: 0.001,
      verdict: speedup > 1.1 ? 'faster' : speedup < 0.9 ? 'slower' : 'no significant difference',
    },
  };
}

export function exploration(points: readonly Point[]): Exploration {
  const values = <T>(of: (one: Point) => T) => [...new Set(points.map(of))];
  return {
    format: 'prune-compile exploration',
    schema: 1,
    tool: { name: 'prune-compile', version: '0.1.0' },
    date: '2026-11-30T12:34:56.789Z',
    machine: MACHINE,
    model: { name: 'model.onnx', sha256: 'a'.repeat(64) },
    settings: {
      scope: 'layer',
      groups: 'none',
      widthMultiple: 1,
      exclude: [],
      seed: 1,
      meaning: 'zero',
      align: 'auto',
      sparseTarget: null,
      tune: false,
      shapes: {},
      threads: 1,
      batch: null,
      rounds: null,
      evaluate: null,
    },
    grid: {
      granularities: values(({ granularity }) => granularity),
      ratios: values(({ ratio }) => ratio).toSorted((a, b) => a - b),
      criteria: ['l1'],
    },
    dense: { parameters: 100, macs: 1000, sizeBytes: 4000 },
    points,
    notes: [],
    conclusions: { payoffs: [], fastest: [], front: [] },
  };
}
