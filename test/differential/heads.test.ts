/** Dead heads of attention, and dead channels that all heads have. */
import { describe, expect, test } from 'vitest';
import {
  attentionNetwork,
  channels,
  compileAttention,
  FORMS,
  heads,
  shared,
  sharedAsOperator,
} from './attention-network.js';

const cases = Object.entries(FORMS).map(([name, form]) => ({ name, ...form }));
const BATCHES = [2, 'batch'] as const;

describe.each(cases)('$name', ({ form, opset = 17, isPacked = false }) => {
  const widths = (query: number, value = query) => (isPacked ? [2 * query + value] : [query, query, value]);

  test.each(BATCHES)('heads go whose values, or whose outputs, are dead (batch %s)', async (batch) => {
    for (const dead of [{ value: heads(0) }, { value: heads(1), output: heads(2) }, { output: heads(2) }]) {
      const outcome = await compileAttention(attentionNetwork(form, dead, { opset, batch }));
      const left = 12 - 4 * Object.keys(dead).length;
      expect(outcome).toMatchObject({ equal: true, changesAgain: false, widths: widths(left), rows: left });
    }
  });

  test('the whole branch goes where all heads are dead', async () => {
    const outcome = await compileAttention(attentionNetwork(form, { value: heads(0, 1, 2) }, { opset }));
    expect(outcome).toMatchObject({ equal: true, widths: [], rows: undefined });
  });

  test('heads stay that only have no queries, no keys, or values that are their bias', async () => {
    for (const dead of [{ query: heads(1) }, { key: heads(0) }, { value: heads(2), keepsBias: true }]) {
      const outcome = await compileAttention(attentionNetwork(form, dead, { opset }));
      expect(outcome).toMatchObject({ equal: true, widths: widths(12), rows: 12 });
    }
  });

  test('channels stay that one head needs', async () => {
    for (const dead of [{ query: [0, 4] }, { value: [0, 4] }, { output: [3, 7] }]) {
      const outcome = await compileAttention(attentionNetwork(form, dead, { opset }));
      expect(outcome).toMatchObject({ equal: true, widths: widths(12), rows: 12 });
    }
  });
});

/** Of queries, keys and values side by side [., S, 3, H, d] channels go together: none goes alone. */
const independent = cases.filter(({ name }) => !name.endsWith('Gather') && !name.endsWith('Slice'));

test.each(independent)(
  '$name: channels go that are dead in every head',
  async ({ form, opset = 17, isPacked = false }) => {
    const widths = (query: number, value: number) => (isPacked ? [2 * query + value] : [query, query, value]);
    const ofQueries = await compileAttention(attentionNetwork(form, { query: channels(1, 3) }, { opset }));
    expect(ofQueries).toMatchObject({ equal: true, changesAgain: false, widths: widths(6, 12), rows: 12 });
    const ofKeys = await compileAttention(attentionNetwork(form, { key: channels(0) }, { opset }));
    expect(ofKeys).toMatchObject({ equal: true, changesAgain: false, widths: widths(9, 12), rows: 12 });
    const ofValues = await compileAttention(attentionNetwork(form, { value: channels(2) }, { opset }));
    expect(ofValues).toMatchObject({ equal: true, changesAgain: false, widths: widths(12, 9), rows: 9 });
  },
);

test('first heads go, then channels of those that stay', async () => {
  const { form } = FORMS['three projections'] ?? {};
  if (form === undefined) throw new Error('no such form');
  const dead = { query: channels(0, 1, 2), value: [...heads(1), ...channels(3)] };
  const outcome = await compileAttention(attentionNetwork(form, dead));
  expect(outcome).toMatchObject({ equal: true, changesAgain: false, widths: [2, 2, 6], rows: 6 });
});

test('a packed projection keeps the channels of queries that values need', async () => {
  const { form } = FORMS['one projection, Gather'] ?? {};
  if (form === undefined) throw new Error('no such form');
  const alone = await compileAttention(attentionNetwork(form, { query: channels(1) }));
  expect(alone).toMatchObject({ equal: true, widths: [36], rows: 12 });
  const dead = { query: channels(1), value: channels(1) };
  expect(await compileAttention(attentionNetwork(form, dead))).toMatchObject({ equal: true, widths: [27], rows: 9 });
});

describe.each([
  { name: 'one head of keys and values', form: shared, opset: 17 },
  { name: 'one head of keys and values, as an operator', form: sharedAsOperator, opset: 23 },
])('$name', ({ form, opset }) => {
  test('heads of the queries go whose outputs are dead', async () => {
    const { widths, ...outcome } = await compileAttention(attentionNetwork(form, { output: heads(1) }, { opset }));
    const isOperator = opset === 23;
    // The operator counts on as many heads for each of the keys; a product broadcasts.
    expect(widths.map(Number).toSorted((a, b) => a - b)).toEqual(isOperator ? [4, 4, 12] : [4, 4, 8]);
    expect(outcome).toMatchObject({ equal: true, rows: isOperator ? 12 : 8 });
  });

  test('channels go as elsewhere', async () => {
    const dead = { query: channels(2), value: [1] };
    const { widths, ...outcome } = await compileAttention(attentionNetwork(form, dead, { opset }));
    expect(widths.map(Number).toSorted((a, b) => a - b)).toEqual([3, 3, 9]);
    expect(outcome).toMatchObject({ equal: true, changesAgain: false, rows: 9 });
  });
});
