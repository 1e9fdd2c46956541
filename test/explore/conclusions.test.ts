/** From where on a way pays, by points with made-up times. */
import { describe, expect, test } from 'vitest';
import { withConclusions } from '../../src/exploration/conclusions.js';
import { placesOf, shardOf, sortedPlaces } from '../../src/exploration/grid.js';
import { payoffText } from '../../src/report/exploration.js';
import { exploration, point } from './sample.js';

const ofFilter = (...speeds: readonly number[]) =>
  withConclusions(exploration(speeds.map((speed, at) => point('filter', (at + 1) / 10, speed)))).conclusions;

describe('from where on', () => {
  test('all that follow are faster', () => {
    expect(ofFilter(0.9, 1.2, 1.5, 2).payoffs).toEqual([
      {
        granularity: 'filter',
        criterion: 'l1',
        measured: [0.1, 0.2, 0.3, 0.4],
        from: { ratio: 0.2, speedup: 1.2, interval: [1.1, 1.3] },
        best: { ratio: 0.4, speedup: 2, interval: [1.9, 2.1] },
        scattered: [],
      },
    ]);
  });

  test('a point that is not faster breaks the row', () => {
    expect(ofFilter(1.3, 1, 1.5).payoffs[0]).toMatchObject({ from: { ratio: 0.3 }, scattered: [0.1] });
    expect(ofFilter(1.3, 1).payoffs[0]).toMatchObject({ scattered: [0.1] });
    expect(ofFilter(1.3, 1).payoffs[0]?.from).toBeUndefined();
  });

  test('nothing is faster', () => {
    const [payoff] = ofFilter(0.9, 1).payoffs;
    expect(payoff).toEqual({ granularity: 'filter', criterion: 'l1', measured: [0.1, 0.2], scattered: [] });
    expect(payoff && payoffText(payoff, exploration([]))).toBe(
      'filter does not pay on this machine: no point from 10 % to 20 % is significantly faster than the dense model',
    );
  });

  test('faster than dense int8 where the intervals are apart', () => {
    const timing = {
      ...point('filter', 0.5, 1.5).timing,
      denseMs: 1,
      ms: 1,
      rounds: 7,
      spread: 0.02,
      p: 0,
      verdict: 'faster' as const,
    };
    const int8 = { timing: { ...timing, speedup: 1.5, interval: [1.4, 1.6] as const }, sizeBytes: 1, cpu: 'c' };
    const points = [1.2, 1.65, 1.8].map((speed, at) => point('filter', (at + 1) / 10, speed));
    const { payoffs } = withConclusions({ ...exploration(points), int8 }).conclusions;
    expect(payoffs[0]?.aboveInt8).toBe(0.3);
  });
});

test('the fastest at each ratio, and the points that nothing beats in both', () => {
  const points = [
    { ...point('filter', 0.5, 1.5), accuracy: 90 },
    { ...point('filter', 0.9, 3), accuracy: 40 },
    { ...point('unstructured', 0.5, 1), accuracy: 93 },
    { ...point('unstructured', 0.9, 2), accuracy: 92 },
  ];
  const found = exploration(points);
  const { dense = { parameters: 1, macs: 1, sizeBytes: 1 } } = found;
  const { fastest, front } = withConclusions({ ...found, dense: { ...dense, accuracy: 94 } }).conclusions;
  expect(fastest.map(({ ratio, granularity }) => [ratio, granularity])).toEqual([
    [0.5, 'filter'],
    [0.9, 'filter'],
  ]);
  // Unstructured at 0.9 is faster and better than the filters at 0.5.
  expect(front.map(({ place, speedup, accuracy }) => [place?.granularity, speedup, accuracy])).toEqual([
    [undefined, 1, 94],
    ['unstructured', 2, 92],
    ['filter', 3, 40],
  ]);
});

describe('the grid', () => {
  const grid = { granularities: ['filter', '2:4'], ratios: [0.1, 0.2, 0.3, 0.4], criteria: ['l1', 'l2'] as const };

  test('every beginning covers the range; a pattern says its ratio itself', () => {
    const places = placesOf(grid);
    expect(places.filter(({ granularity }) => granularity === '2:4').map(({ ratio }) => ratio)).toEqual([0.5, 0.5]);
    const ratios = [...new Set(places.filter(({ granularity }) => granularity === 'filter').map(({ ratio }) => ratio))];
    expect(ratios).toEqual([0.3, 0.2, 0.4, 0.1]);
    expect(places).toHaveLength(10);
  });

  test('shards have every point once', () => {
    const places = placesOf(grid);
    const all = [1, 2, 3].flatMap((index) => shardOf(places, { index, count: 3 }));
    expect(sortedPlaces(all, grid)).toEqual(sortedPlaces(places, grid));
    expect(new Set(all).size).toBe(places.length);
  });
});
