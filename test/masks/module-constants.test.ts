/**
 * Scale and shift of a normalisation as constants of a Mul and an Add, slopes of a PReLU: exporters
 * give them extents of 1 and names of their own.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { bind, codeOf, mask, messageOf, pruned, slotsOf, tensor, values } from './bound-masks.js';

const WIDE = 8;
const CONV = [WIDE, 3, 1, 1] as const;
const scale = values('scale', WIDE);
const shift = values('shift', WIDE);
const filled = (value: number, length = WIDE) => Array.from({ length }, () => value);
const ones = filled(1);
const zeros = filled(0);
const withZeros = (numbers: ArrayLike<number>, at: readonly number[]) =>
  Array.from(numbers, (value, place) => (at.includes(place) ? 0 : value));

interface Norm {
  readonly groups?: number;
  readonly scale?: ArrayLike<number>;
  readonly shift?: ArrayLike<number>;
  readonly module?: string;
}

/** Conv, GroupNorm as both exporters write it, Conv. */
async function grouped({ groups = 2, scale: ofScale = scale, shift: ofShift = shift, module = 'g' }: Norm = {}) {
  const g = graphBuilder();
  const x = g.input('x', [1, 3, 4, 4]);
  g.initializer('a.weight', CONV, values('a', WIDE * 3));
  g.initializer('c.weight', [3, WIDE, 1, 1], values('c', WIDE * 3));
  g.initializer('val_1', [groups], filled(1, groups));
  g.initializer('val_2', [groups], filled(0, groups));
  g.initializer('onnx::Mul_3', [WIDE, 1, 1], Array.from(ofScale));
  g.initializer('onnx::Add_4', [WIDE, 1, 1], Array.from(ofShift));
  const at = (name: string) => ({ name: `/${module}/${name}` });
  const conv = g.op('Conv', [x, 'a.weight'], { kernel_shape: [1, 1] }, { name: '/a/Conv' });
  const rows = g.op('Reshape', [conv, int64([1, groups, -1])], {}, at('Reshape'));
  const normal = g.op('InstanceNormalization', [rows, 'val_1', 'val_2'], {}, at('InstanceNormalization'));
  const images = g.op('Reshape', [normal, int64([1, WIDE, 4, 4])], {}, at('Reshape_1'));
  const scaled = g.op('Mul', [images, 'onnx::Mul_3'], {}, at('Mul'));
  const shifted = g.op('Add', [scaled, 'onnx::Add_4'], {}, at('Add'));
  g.output(g.op('Conv', [shifted, 'c.weight'], { kernel_shape: [1, 1] }, { name: '/c/Conv' }));
  return slotsOf(g);
}

const weights = (
  ofScale: ArrayLike<number> = scale,
  ofShift: ArrayLike<number> = shift,
  [one, other] = ['weight', 'bias'],
) => ({
  'a.weight': tensor(CONV, values('a', WIDE * 3)),
  [`g.${one}`]: tensor([WIDE], ofScale),
  [`g.${other}`]: tensor([WIDE], ofShift),
  'c.weight': tensor([3, WIDE, 1, 1], values('c', WIDE * 3)),
});
const masked = (own = weights()) => ({ ...own, 'a.weight_mask': mask(CONV, [0]) });

test('a normalisation over two axes has scale and shift of two axes', async () => {
  const dims = [2, WIDE] as const;
  const build = (bias: ArrayLike<number>) => {
    const g = graphBuilder();
    const x = g.input('x', [3, ...dims]);
    g.initializer('l.weight', dims, values('lw', 16));
    g.initializer('l.bias', dims, Array.from(bias));
    g.output(g.op('LayerNormalization', [x, 'l.weight', 'l.bias'], { axis: 1 }, { name: '/l/LayerNormalization' }));
    return slotsOf(g);
  };
  const bias = values('lb', 16);
  const slots = await build(bias);
  expect(pruned(bind(slots, { 'l.bias_mask': mask(dims, [3, 9]) }))).toEqual({ 'l.bias': [3, 9] });
  const file = (own: ArrayLike<number>) => ({
    'l.weight': tensor(dims, values('lw', 16)),
    'l.bias': tensor(dims, own),
  });
  expect(pruned(bind(slots, file(withZeros(bias, [5]))))).toEqual({ 'l.bias': [5] });
  const untrained = { ...file(filled(0, 16)), 'l.weight': tensor(dims, withZeros(values('lw', 16), [2])) };
  const { fates, bindings } = bind(await build(filled(0, 16)), untrained);
  expect(bindings.map(({ slot }) => slot.value.name)).toEqual(['l.weight']);
  expect(fates).toContainEqual({ key: 'l.bias', fate: 'parameter' });
  expect(messageOf(() => bind(slots, { 'l.bias_mask': mask([WIDE, 2], [3]) }))).toContain('[2, 8]');
});

describe('a group normalisation', () => {
  test.each<[string, Norm]>([
    ['trained', {}],
    ['untrained', { scale: ones, shift: zeros }],
    ['of one channel in a group', { groups: WIDE, scale: ones, shift: zeros }],
    ['whose scale is its shift', { scale: ones, shift: ones }],
  ])('with its whole state dict, %s', async (_, norm) => {
    const slots = await grouped(norm);
    const bound = bind(slots, masked(weights(norm.scale, norm.shift)));
    expect(pruned(bound)).toEqual({ 'a.weight': [0] });
    expect(bound.fates.filter(({ fate }) => fate === 'parameter')).toHaveLength(3);
  });

  test.each<[string, Norm]>([
    ['trained', {}],
    ['untrained', { scale: ones, shift: ones }],
    ['of one channel in a group', { groups: WIDE, scale: ones, shift: ones }],
  ])('has masks and zeros of its own, %s', async (_, norm) => {
    const slots = await grouped(norm);
    const whole = masked(weights(norm.scale, norm.shift));
    const own = { 'a.weight': [0], 'onnx::Mul_3': [1], 'onnx::Add_4': [2, 3] };
    const masks = { 'g.weight_mask': mask([WIDE], [1]), 'g.bias_mask': mask([WIDE], [2, 3]) };
    expect(pruned(bind(slots, { ...whole, ...masks }))).toEqual(own);
    expect(pruned(bind(slots, { 'a.weight_mask': mask(CONV, [0]), ...masks }))).toEqual(own);
    const pair = weights(withZeros(norm.scale ?? scale, [1]), withZeros(norm.shift ?? shift, [2, 3]));
    expect(pruned(bind(slots, masked(pair)))).toEqual(own);
    const named = masked(
      weights(withZeros(norm.scale ?? scale, [1]), withZeros(norm.shift ?? shift, [2, 3]), ['gamma', 'beta']),
    );
    expect(pruned(bind(slots, named))).toEqual(own);
  });

  test('that was trained on is a note, and its zeros are lost by name', async () => {
    const slots = await grouped();
    const other = values('other', WIDE);
    const differs = bind(slots, masked(weights(other, other))).fates.filter(({ fate }) => fate === 'differs');
    expect(differs.map(({ key }) => key)).toEqual(['g.weight', 'g.bias']);
    const lost = () => bind(slots, masked(weights(withZeros(other, [1]), shift)));
    expect(codeOf(lost)).toBe('E-MASK-LOST');
    expect(messageOf(lost)).toContain('g.weight [8]');
  });

  test('of which a parameter was computed has none of its masks', async () => {
    // As in x * (1 + weight), which exporters compute in advance.
    const slots = await grouped({ scale: Array.from(scale, (value) => 1 + value) });
    const masks = { 'g.weight_mask': mask([WIDE], [1]) };
    expect(codeOf(() => bind(slots, { ...masked(), ...masks }))).toBe('E-MASK-NO-MATCH');
    expect(codeOf(() => bind(slots, masked(weights(withZeros(scale, [1])))))).toBe('E-MASK-LOST');
  });

  test('is mapped by the names of its constants', async () => {
    const slots = await grouped({ module: 'other' });
    const map = { 'g.weight_mask': 'onnx::Mul_3', 'g.bias': 'onnx::Add_4' };
    const contents = { ...masked(weights(scale, withZeros(shift, [2]))), 'g.weight_mask': mask([WIDE], [1]) };
    expect(pruned(bind(slots, contents, { map }))).toEqual({ 'a.weight': [0], 'onnx::Mul_3': [1], 'onnx::Add_4': [2] });
  });
});

/** A constant of one operator behind a Conv; its own name is an exporter's. */
async function behind(opType: string, dims: readonly number[], elements: ArrayLike<number>, name = 'onnx::Op_3') {
  const g = graphBuilder();
  const x = g.input('x', [1, 3, 4, 4]);
  g.initializer('a.weight', CONV, values('a', WIDE * 3));
  g.initializer(name, dims, Array.from(elements));
  const conv = g.op('Conv', [x, 'a.weight'], { kernel_shape: [1, 1] }, { name: '/a/Conv' });
  g.output(g.op(opType, [conv, name], {}, { name: `/p/${opType}` }));
  return slotsOf(g);
}

const convs = () => ({
  'a.weight': tensor(CONV, values('a', WIDE * 3)),
  'a.weight_mask': mask(CONV, [0]),
  'unused.weight': tensor([2, 2], [1, 2, 3, 4]),
});

describe('extents of 1 do not matter', () => {
  test.each<[string, string, readonly number[], readonly number[]]>([
    ['PRelu', 'weight', [WIDE, 1, 1], [WIDE]],
    ['PRelu', 'weight', [1, WIDE, 1, 1], [WIDE]],
    ['Mul', 'gamma', [WIDE, 1, 1], [WIDE]],
    ['Mul', 'weight', [1, WIDE, 1, 1], [WIDE]],
    ['Add', 'bias', [WIDE, 1, 1], [WIDE]],
    ['Mul', 'weight', [WIDE, 1, 1], [1, WIDE, 1, 1]],
  ])('%s, %s stored as %o, in the file %o', async (opType, parameter, stored, dims) => {
    const slots = await behind(opType, stored, scale);
    const own = { 'a.weight': [0], 'onnx::Op_3': [1] };
    const key = `p.${parameter}`;
    const before = { [key]: tensor(dims, scale) };
    const ofMask = { [`${key}_mask`]: mask(dims, [1]) };
    const ofZeros = { [key]: tensor(dims, withZeros(scale, [1])) };
    expect(pruned(bind(slots, { ...convs(), ...before }))).toEqual({ 'a.weight': [0] });
    for (const contents of [{ ...before, ...ofMask }, ofMask, ofZeros])
      expect(pruned(bind(slots, { ...convs(), ...contents }))).toEqual(own);
    for (const contents of [ofMask, ofZeros]) {
      const map = Object.fromEntries(Object.keys(contents).map((name) => [name, 'onnx::Op_3']));
      expect(pruned(bind(slots, { ...convs(), ...contents }, { map }))).toEqual(own);
    }
  });

  test.each([[[1]], [[1, 1, 1]], [[1, 1, 1, 1]], [[]]])('a single slope, stored as %o', async (stored) => {
    const slots = await behind('PRelu', stored, [0.25]);
    for (const dims of [[1], []]) {
      const own = { 'a.weight': [0], 'onnx::Op_3': [0] };
      const before = { ...convs(), 'p.weight': tensor(dims, [0.25]) };
      expect(pruned(bind(slots, before))).toEqual({ 'a.weight': [0] });
      expect(pruned(bind(slots, { ...before, 'p.weight_mask': mask(dims, [0]) }))).toEqual(own);
      expect(pruned(bind(slots, { ...convs(), 'p.weight': tensor(dims, [0]) }))).toEqual(own);
      const map = { 'p.weight': 'onnx::Op_3' };
      expect(pruned(bind(slots, { ...convs(), 'p.weight': tensor(dims, [0]) }, { map }))).toEqual(own);
    }
  });

  test('a parameter without a module is told by its values', async () => {
    const slots = await behind('Mul', [WIDE, 1, 1], scale, 'val_7');
    const contents = { ...convs(), scale_orig: tensor([WIDE], scale), scale_mask: mask([WIDE], [1]) };
    expect(pruned(bind(slots, contents))).toEqual({ 'a.weight': [0], val_7: [1] });
    const pair = { ...convs(), scale: tensor([WIDE], withZeros(scale, [1])) };
    expect(codeOf(() => bind(slots, pair))).toBe('E-MASK-LOST');
    expect(pruned(bind(slots, pair, { map: { scale: 'val_7' } }))).toEqual({ 'a.weight': [0], val_7: [1] });
  });

  test('but the order of the others does', async () => {
    const slots = await behind('Mul', [WIDE, 4, 1], values('scale', WIDE * 4));
    const contents = { ...convs(), 'p.weight_mask': mask([4, WIDE], [1]) };
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-NO-MATCH');
  });

  test('one number is no mask of a whole layer, whatever its rank', async () => {
    const slots = await behind('Mul', [WIDE, 1, 1], scale);
    for (const dims of [[], [1], [1, 1, 1, 1]]) {
      const contents = { ...convs(), 'a.weight_mask': mask(dims, [0]) };
      expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-SHAPE');
    }
  });
});
