/**
 * Integers, booleans and numbers without extent under names that say nothing known: any of them may
 * prune.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { BOOL, FLOAT, INT64, Tensor, UINT8 } from '../../src/ir/tensor.js';
import { FileTensor } from '../../src/masks/contents.js';
import { bind, codeOf, mask, messageOf, pruned, slotsOf, tensor, values } from './bound-masks.js';

const WEIGHT = [6, 6] as const;

/** c(a(x) + gate * b(x)); the gate is a number without extent. */
async function gated() {
  const g = graphBuilder();
  const x = g.input('x', [1, 6]);
  for (const name of ['a', 'b', 'c']) g.initializer(`${name}.weight`, WEIGHT, values(name, 36));
  g.initializer('gate', [], [0.7]);
  const layer = (input: string, name: string) => g.op('Gemm', [input, `${name}.weight`], { transB: 1 });
  const branch = g.op('Mul', [layer(x, 'b'), 'gate']);
  g.output(layer(g.op('Add', [layer(x, 'a'), branch]), 'c'));
  return slotsOf(g);
}

const weights = () =>
  Object.fromEntries(['a', 'b', 'c'].map((name) => [`${name}.weight`, tensor(WEIGHT, values(name, 36))]));
const typed = (dataType: number, dims: readonly number[], elements: readonly number[]) => {
  const bytes = Tensor.fromNumbers(dataType, dims, elements).bytes();
  return FileTensor.contiguous(dataType, dims, () => bytes);
};
const masked = () => ({ ...weights(), 'b.weight_mask': mask(WEIGHT, [0]) });
const range = (size: number) => Array.from({ length: size }, (_, at) => at);
const triangle = range(36).map((at) => (at % 6 <= Math.floor(at / 6) ? 1 : 0));

describe('integers and booleans', () => {
  test.each([
    ['a.keep_indices', INT64, [4], range(4)],
    ['a.kept', INT64, [4], range(4)],
    ['a.out_idx', INT64, [4], range(4)],
    ['a.removed_filters', INT64, [2], [4, 5]],
    ['a.channels', INT64, [2], [4, 5]],
    ['channels.a', INT64, [2], [4, 5]],
    ['a.alive', BOOL, [2], [0, 1]],
    ['a.connectivity', BOOL, WEIGHT, triangle],
    ['a.connectivity', FLOAT, WEIGHT, triangle],
    ['other.table', INT64, [3], [3, 4, 5]],
    ['other.position_ids', BOOL, [2], [0, 1]],
  ] as const)('of unknown meaning are lost by name: %s, type %i', async (key, dataType, dims, elements) => {
    const slots = await gated();
    const contents = { ...masked(), [key]: typed(dataType, dims, elements) };
    // Not even where the graph happens to hold the same.
    const constants = key.startsWith('a.') ? [Tensor.fromNumbers(dataType, dims, elements)] : [];
    expect(codeOf(() => bind(slots, contents, { constants }))).toBe('E-MASK-LOST');
    expect(messageOf(() => bind(slots, contents, { constants }))).toContain(key);
    expect(bind(slots, contents, { constants, map: { [key]: null } }).unmatched).toEqual([key]);
  });

  test('that the graph holds are state, in numbers of the same kind', async () => {
    const slots = await gated();
    const contents = { ...masked(), 'other.places': typed(INT64, [1, 9], range(9)) };
    const held = (dataType: number) => ({ constants: [Tensor.fromNumbers(dataType, [9], range(9))] });
    const { fates } = bind(slots, contents, held(INT64));
    expect(fates).toContainEqual({ key: 'other.places', fate: 'state', what: 'integers' });
    expect(codeOf(() => bind(slots, contents, held(FLOAT)))).toBe('E-MASK-LOST');
    // Few numbers are equal by accident: axes, bounds.
    const few = { ...masked(), 'other.places': typed(INT64, [2], [0, 1]) };
    const axes = [Tensor.fromNumbers(INT64, [2], [0, 1])];
    expect(codeOf(() => bind(slots, few, { constants: axes }))).toBe('E-MASK-LOST');
  });

  test('among the state of training are masks where their name or their type says so', async () => {
    const slots = await gated();
    for (const callbacks of [{ kept: typed(INT64, [2], [4, 5]) }, { layer: typed(BOOL, [2], [0, 0]) }])
      expect(codeOf(() => bind(slots, { state_dict: masked(), callbacks }))).toBe('E-MASK-LOST');
    const { fates } = bind(slots, { state_dict: masked(), callbacks: { epochs: typed(INT64, [2], [4, 5]) } });
    expect(fates).toContainEqual({ key: 'callbacks.epochs', fate: 'state', what: 'training-loop' });
  });
});

describe('numbers without extent', () => {
  const zero = () => tensor([], [0]);

  test('a gate that became 0 is bound as one of extent 1 is', async () => {
    const slots = await gated();
    expect(pruned(bind(slots, { ...masked(), gate: zero() }))).toEqual({ 'b.weight': [0], gate: [0] });
    const zeros = tensor(
      WEIGHT,
      values('a', 36).map((value, at) => (at === 0 ? 0 : value)),
    );
    expect(pruned(bind(slots, { ...weights(), 'a.weight': zeros, gate: zero() }))).toEqual({
      'a.weight': [0],
      gate: [0],
    });
  });

  test('so is a mask of it, and what it was before it was masked', async () => {
    const slots = await gated();
    const gate = (orig: number, own: number) => ({ gate_orig: tensor([], [orig]), gate_mask: tensor([], [own]) });
    expect(pruned(bind(slots, { ...masked(), ...gate(0.7, 0) }))).toEqual({ 'b.weight': [0], gate: [0] });
    expect(pruned(bind(slots, { ...masked(), ...gate(0, 1) }))).toEqual({ 'b.weight': [0], gate: [0] });
    expect(pruned(bind(slots, { ...masked(), ...gate(0.7, 1) }))).toEqual({ 'b.weight': [0] });
    expect(codeOf(() => bind(slots, { ...masked(), ...gate(0.7, 0.5) }))).toBe('E-MASK-SOFT');
  });

  test.each([
    ['a gate that the model has not', { valve: zero() }],
    ['a flag of a layer', { 'a.alive': typed(UINT8, [], [0]) }],
    ['a flag', { 'other.alive': typed(BOOL, [], [0]) }],
  ])('%s is lost by name where it is 0', async (_, beside) => {
    const slots = await gated();
    const [key = ''] = Object.keys(beside);
    expect(codeOf(() => bind(slots, { ...masked(), ...beside }))).toBe('E-MASK-LOST');
    expect(messageOf(() => bind(slots, { ...masked(), ...beside }))).toContain(key);
  });

  test('a mask of a whole weight says nothing by one number but that it stays', async () => {
    const slots = await gated();
    expect(codeOf(() => bind(slots, { ...masked(), 'a.weight_mask': zero() }))).toBe('E-MASK-SHAPE');
    expect(pruned(bind(slots, { ...masked(), 'a.weight_mask': tensor([], [1]) }))).toEqual({ 'b.weight': [0] });
  });

  test('counts and scores are state', async () => {
    const contents = {
      state_dict: { ...masked(), 'other.calls': typed(INT64, [], [0]), valve: tensor([], [2]) },
      best: zero(),
      epoch: typed(INT64, [], [0]),
    };
    const { fates } = bind(await gated(), contents);
    expect(fates.filter(({ what }) => what === 'scalar')).toHaveLength(4);
  });

  test('beside masks alone they are no masks', async () => {
    const contents = { b: mask([6], [0]), epoch: typed(INT64, [], [0]) };
    expect(pruned(bind(await gated(), contents))).toEqual({ 'b.weight': [0, 1, 2, 3, 4, 5] });
  });
});

describe('floats without a zero', () => {
  const scores = (dims: readonly number[]) =>
    tensor(
      dims,
      values(
        'scores',
        dims.reduce((size, extent) => size * extent, 1),
      ),
    );

  test.each<[string, FileTensor]>([
    ['a.kept', tensor([4], [2, 3, 4, 5])],
    ['a.index', tensor([1], [3])],
    ['a.which', tensor([4], [2, 3, 4, 5])],
    ['a.mask_scores', scores(WEIGHT)],
    ['a.scores', scores(WEIGHT)],
    ['a.weight_threshold', tensor([], [0.3])],
    ['a.sparseThreshold', tensor([1, 1], [0.3])],
    ['a.importance', scores([6])],
    ['a.gates', scores([6])],
    ['a.qz_loga', scores([6])],
    ['a.alpha', scores([6])],
  ])('that may prune are lost by name: %s', async (key, value) => {
    const slots = await gated();
    // Not even where the graph has as much as a part of it.
    const constants = [
      Tensor.fromNumbers(FLOAT, [6], values('b', 6)),
      Tensor.fromNumbers(FLOAT, [1], [0.5]),
      Tensor.fromNumbers(FLOAT, [3, 3], values('c', 9)),
    ];
    for (const contents of [
      { ...masked(), [key]: value },
      { state_dict: { ...masked(), [key]: value }, epoch: 3 },
    ]) {
      expect(codeOf(() => bind(slots, contents, { constants }))).toBe('E-MASK-LOST');
      expect(messageOf(() => bind(slots, contents, { constants }))).toContain(`${key} [`);
      expect(bind(slots, contents, { constants, map: { [key]: null } }).unmatched).toEqual([key]);
    }
  });

  test('beside the state dict they are lost as well', async () => {
    const slots = await gated();
    const contents = { state_dict: masked(), importance: { a: scores([6]) } };
    expect(messageOf(() => bind(slots, contents))).toContain('importance.a [6]');
  });

  test('of a layer that has its mask or its zeros are no loss', async () => {
    const slots = await gated();
    const ofMasked = { ...masked(), 'b.mask_scores': scores(WEIGHT), 'b.threshold': tensor([], [0.3]) };
    expect(pruned(bind(slots, ofMasked))).toEqual({ 'b.weight': [0] });
    const zeros = values('a', 36).map((value, at) => (at === 0 ? 0 : value));
    const ofZeros = { ...weights(), 'a.weight': tensor(WEIGHT, zeros), 'a.mask_scores': scores(WEIGHT) };
    expect(pruned(bind(slots, ofZeros))).toEqual({ 'a.weight': [0] });
  });

  test('of no layer, or that the graph holds, are none either', async () => {
    const slots = await gated();
    const contents = {
      state_dict: { ...masked(), 'head.strides': tensor([3], [8, 16, 32]), 'a.places': tensor([4], [2, 3, 4, 5]) },
      best_score: tensor([], [0.9]),
      threshold: tensor([], [0.5]),
      scores: tensor([3], [0.9, 0.8, 0.7]),
    };
    const constants = [Tensor.fromNumbers(FLOAT, [4, 1], [2, 3, 4, 5])];
    expect(pruned(bind(slots, contents, { constants }))).toEqual({ 'b.weight': [0] });
  });

  test('indices are said in a second file, as the error says', async () => {
    const slots = await gated();
    const contents = { ...masked(), 'a.kept': tensor([4], [2, 3, 4, 5]) };
    expect(messageOf(() => bind(slots, contents))).toContain('--masks more.json with { "LAYER": { "keep": [0, 3] } }');
    expect(pruned(bind(slots, contents, { map: { 'a.kept': null } }))).toEqual({ 'b.weight': [0] });
    expect(pruned(bind(slots, { a: { keep: [2, 3, 4, 5] } }, { format: 'JSON' }))['a.weight']).toHaveLength(12);
  });
});
