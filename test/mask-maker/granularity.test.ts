/**
 * Every granularity with every criterion, against scores computed from the weights element by
 * element.
 */
import { describe, expect, test } from 'vitest';
import { readModel } from '../../src/onnx/read.js';
import type { Criterion } from '../../src/mask-maker/choice.js';
import { makeMasks, type MadeMasks } from '../../src/mask-maker/make-masks.js';
import { failureOfAsync } from './failure.js';
import { matrixNetwork, plainNetwork } from './networks.js';

const RATIO = 0.3;

interface Element {
  readonly place: number;
  readonly value: number;
  readonly kept: boolean;
  readonly at: readonly [output: number, input: number, tap: number];
}

function elementsOf(model: Uint8Array, { masks }: MadeMasks, name: string): Element[] {
  const tensor = readModel(model).graph.values.get(name)?.initializer;
  const mask = masks.find((candidate) => candidate.name === name);
  if (tensor === undefined || mask === undefined) throw new Error(`no mask ${name}`);
  expect(mask.dims).toEqual(tensor.dims);
  const [, inputs = 1, ...spatial] = tensor.dims;
  const taps = spatial.reduce((total, dim) => total * dim, 1);
  return [...tensor.numbers()].map((value, place) => ({
    place,
    value,
    kept: mask.keep[place] === 1,
    at: [Math.floor(place / (inputs * taps)), Math.floor(place / taps) % inputs, place % taps],
  }));
}

const UNIT: Readonly<Record<string, (at: Element['at'], taps: number) => string>> = {
  filter: ([output]) => `${output}`,
  channel: ([, input]) => `${input}`,
  kernel: ([output, input]) => `${output},${input}`,
  unstructured: (at) => at.join(),
  '4x2': ([output, input, tap], taps) => `${Math.floor(output / 4)},${Math.floor((input * taps + tap) / 2)}`,
};

function unitsOf(elements: readonly Element[], granularity: string): Element[][] {
  const taps = Math.max(...elements.map(({ at: [, , tap] }) => tap)) + 1;
  const units = new Map<string, Element[]>();
  for (const element of elements) {
    const key = UNIT[granularity]?.(element.at, taps) ?? '';
    const unit = units.get(key);
    if (unit === undefined) units.set(key, [element]);
    else unit.push(element);
  }
  return [...units.values()];
}

const mean = (numbers: readonly number[]) => numbers.reduce((total, value) => total + value, 0) / numbers.length;

function score(unit: readonly Element[], all: readonly Element[][], criterion: Criterion): number {
  const values = unit.map(({ value }) => value);
  if (criterion === 'l1') return mean(values.map(Math.abs));
  if (criterion === 'l2') return mean(values.map((value) => value ** 2));
  const distance = (other: readonly Element[]) =>
    Math.hypot(...other.map(({ value }, at) => value - (values[at] ?? 0)));
  return all.reduce((total, other) => total + distance(other), 0);
}

const CASES = [
  ...Object.keys(UNIT).flatMap((granularity) => [
    [granularity, 'l1'],
    [granularity, 'l2'],
  ]),
  ['filter', 'fpgm'],
] as [string, Criterion][];

describe('the lowest go, so many as the ratio says', () => {
  test.each(CASES)('%s by %s', async (granularity, criterion) => {
    const model = plainNetwork();
    const made = await makeMasks(model, { granularity, criterion, ratio: RATIO });
    for (const layer of made.report.layers) {
      const units = unitsOf(elementsOf(model, made, layer.mask), granularity);
      const gone = units.filter((unit) => unit.every(({ kept }) => !kept));
      const stays = units.filter((unit) => unit.every(({ kept }) => kept));
      expect(gone.length + stays.length).toBe(units.length);
      expect([layer.units, layer.masked]).toEqual([units.length, gone.length]);
      expect(gone.length).toBe(Math.floor(RATIO * units.length));
      expect(layer.zeros).toBe(gone.flat().length);
      const worst = Math.max(...gone.map((unit) => score(unit, units, criterion)));
      expect(worst).toBeLessThanOrEqual(Math.min(...stays.map((unit) => score(unit, units, criterion))));
    }
  });
});

test.each(['filter', 'channel', 'kernel', 'unstructured', '4x2', '1:2'])(
  '%s by random: by seed alone, other weights go by another',
  async (granularity) => {
    const model = plainNetwork();
    const keepOf = async (seed: number) => {
      const { masks, report } = await makeMasks(model, { granularity, criterion: 'random', seed });
      for (const { masked, units, shape } of report.layers) {
        // Of an odd number of input channels the last is in no group of two.
        const isOdd = granularity === '1:2' && (shape[1] ?? 0) % 2 === 1;
        expect(masked).toBe(isOdd ? units / 3 : Math.floor(units / 2));
      }
      return Buffer.concat(masks.map(({ keep }) => keep)).toString('hex');
    };
    expect(await keepOf(1)).toBe(await keepOf(1));
    expect(await keepOf(1)).not.toBe(await keepOf(2));
  },
);

test('bn-scale: the smallest |gamma| go', async () => {
  const model = plainNetwork({ hasNorm: true });
  const made = await makeMasks(model, { criterion: 'bn-scale', ratio: RATIO });
  const norms = readModel(model).graph.nodes.filter(({ opType }) => opType === 'BatchNormalization');
  expect(made.report.layers.map(({ mask }) => mask)).toEqual(['a.weight', 'b.weight']);
  for (const [index, { mask }] of made.report.layers.entries()) {
    const gamma = [...(norms[index]?.inputs[1]?.initializer?.numbers() ?? [])].map(Math.abs);
    const kept = unitsOf(elementsOf(model, made, mask), 'filter').map(([first]) => first?.kept === true);
    const gone = gamma.filter((_, filter) => kept[filter] !== true);
    expect(gone).toEqual(
      gamma
        .toSorted((a, b) => a - b)
        .slice(0, gone.length)
        .toSorted((a, b) => gamma.indexOf(a) - gamma.indexOf(b)),
    );
    expect(gone).toHaveLength(Math.floor(RATIO * gamma.length));
  }
});

test('bn-scale names the layers without a normalisation', async () => {
  expect(await failureOfAsync(makeMasks(plainNetwork(), { criterion: 'bn-scale' }))).toMatchObject({
    code: 'E-USAGE',
    what: 'bn-scale needs a BatchNormalization directly after every layer, and 2 of 2 have none',
    facts: [['layers', '/a/Conv, /b/Conv'], expect.anything(), expect.anything()],
  });
});

test('global: the share is of all units together, and every layer keeps one', async () => {
  const model = plainNetwork();
  const { report } = await makeMasks(model, { ratio: 0.9, scope: 'global' });
  expect(report.layers.reduce((total, { masked }) => total + masked, 0)).toBe(Math.floor(0.9 * 22));
  expect(report.layers.every(({ masked, units }) => masked < units)).toBe(true);
  const most = await makeMasks(model, { ratio: 0.99, scope: 'global' });
  expect(most.report.layers.map(({ masked, units }) => units - masked)).toEqual([1, 1]);
});

test('matrices [in, out]: filters are columns', async () => {
  const model = matrixNetwork();
  const { masks, report } = await makeMasks(model, { ratio: 0.5 });
  expect(report.skipped.map(({ node }) => node)).toEqual(['/last/MatMul']);
  for (const { dims, keep } of masks) {
    const [inputs = 0, outputs = 0] = dims;
    const columns = Array.from({ length: outputs }, (_, output) =>
      Array.from({ length: inputs }, (__, input) => keep[input * outputs + output] ?? 0).reduce((a, b) => a + b, 0),
    );
    expect(columns.filter((kept) => kept === 0)).toHaveLength(outputs / 2);
    expect(columns.filter((kept) => kept === inputs)).toHaveLength(outputs / 2);
  }
});

test('where --exclude leaves no layer, it is named, not the granularity', async () => {
  const all = await failureOfAsync(makeMasks(plainNetwork(), { exclude: ['*'] }));
  expect(all.message).toMatch(/--exclude leaves no layer: it takes all \d+/);
  expect(all.message).not.toContain('granularity');
  const { report } = await makeMasks(plainNetwork());
  const some = report.layers.map(({ mask }) => mask);
  const rest = await failureOfAsync(makeMasks(plainNetwork(), { exclude: some }));
  expect(rest.message).toMatch(/--exclude leaves.*fewer layers in --exclude/s);
});
