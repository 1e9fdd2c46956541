/**
 * Checkpoints with a network more than once: the trained weights and their moving average, student
 * and teacher. One set is read. The others lose nothing if they have the same zeros, or no zero
 * beside those of the set whose values the model has; else it is not known which is meant.
 */
import { PruneCompileError } from '../errors.js';
import { isFloating } from '../ir/tensor.js';
import { type Entry, FileTensor, isMap, type MaskContents } from './contents.js';
import { isBinary } from './evidence.js';
import { LAYOUTS } from './expand.js';
import type { TensorFate } from './fates.js';
import { namedShapes } from './known-layers.js';
import { parameterOf, type ParsedKey, parseKey, saysPruning, saysScore, statisticOf } from './names.js';
import { compareWeights } from './same-weights.js';
import { isMaskFormat, MASK_CONTAINERS, oneSetHint, trainingState } from './sections.js';
import type { WeightSlot } from './slots.js';

interface Item {
  readonly key: string;
  readonly name: ParsedKey;
  readonly tensor: FileTensor;
}

interface WeightSet {
  /** The first segment of its keys; '' where they have none in common. */
  readonly label: string;
  readonly items: ReadonlyMap<string, Item>;
}

export interface OneSet {
  readonly file: MaskContents;
  /** The tensors of other sets. */
  readonly settled: readonly TensorFate[];
}

/**
 * The file with one set of weights. `prefix` of the keys may name the set. Throws E-MASK-AMBIGUOUS.
 */
export function oneSet(file: MaskContents, slots: readonly WeightSlot[], prefix = ''): OneSet {
  const { root } = file;
  if (!isMap(root) || isMaskFormat(file) || file.format === 'ONNX') return { file, settled: [] };
  const sets = setsOf(root, slots);
  const [first] = sets;
  if (first === undefined || sets.length < 2) return { file, settled: [] };
  const asked = sets.find(({ label }) => label !== '' && prefix.startsWith(`${label}.`));
  const chosen = asked ?? chosenOf(sets, slots);
  if (chosen === undefined) throw severalSets(file, sets);
  const fate = asked === undefined ? 'other-set' : 'left-out';
  const others = sets.filter((set) => set !== chosen);
  const settled = others.flatMap(({ items }) => [...items.values()].map(({ key }): TensorFate => ({ key, fate })));
  return { file: { ...file, root: without(root, chosen, others) }, settled };
}

/** Sets of the same parameters; fewer than two where a file has one network. */
function setsOf(root: ReadonlyMap<string, Entry>, slots: readonly WeightSlot[]): WeightSet[] {
  const model = new Set(namedShapes(slots).flatMap(({ name }) => nameIn(name)?.parameter ?? []));
  const modules = new Set([...model].map((name) => name.split('.')[0]));
  const found: [path: string, tensor: FileTensor][] = [];
  for (const [key, entry] of root) if (trainingState(key) === undefined) collectTensors(key, entry, found);
  const bySegment = new Map<string, Map<string, Item>>();
  const base = new Map<string, Item>();
  const wrappers = new Set<string>();
  for (const [key, tensor] of found) {
    const [segment = ''] = key.split('.');
    const whole = nameIn(key);
    const inner = nameIn(key.slice(segment.length + 1));
    const isOfSet = !WRAPPERS.has(segment) && !modules.has(segment) && inner !== undefined && inner.name.module !== '';
    const into = isOfSet ? (bySegment.get(segment) ?? new Map<string, Item>()) : base;
    const named = isOfSet ? inner : whole;
    if (named === undefined) continue;
    into.set(named.id, { key, name: named.name, tensor });
    if (isOfSet) bySegment.set(segment, into);
    else wrappers.add(WRAPPERS.has(segment) ? segment : '');
  }
  const [wrapper = ''] = wrappers.size === 1 ? wrappers : [];
  const all: WeightSet[] = [
    { label: wrapper, items: base },
    ...[...bySegment].map(([label, items]): WeightSet => ({ label, items })),
  ];
  const isKnown = (one: WeightSet, other: WeightSet) =>
    [one, other].some(({ label }) => SET_WORD.test(label)) ||
    commonOf(one, other).some(([{ name }]) => model.has(parameterOf(name)));
  for (const set of all) {
    const twins = all.filter((other) => other !== set && isTwin(set, other) && isKnown(set, other));
    if (twins.length > 0) return [set, ...twins];
  }
  return [];
}

/** What wrappers put before all keys: such a set has the names of the model. */
const WRAPPERS = new Set(['model', 'module', '_orig_mod', 'nncf_module']);
/** As trainers call a second set. */
const SET_WORD =
  /(^|_)(ema|swa|average|averaged|shadow|teacher|student|best|net|network|state_dict|weights|params)($|_)/i;

function collectTensors(path: string, entry: Entry, found: [path: string, tensor: FileTensor][]): void {
  if (entry instanceof FileTensor) found.push([path, entry]);
  if (!isMap(entry)) return;
  const own = path.split('.').at(-1) ?? '';
  if (MASK_CONTAINERS.includes(own) || saysScore(own) || saysPruning(own)) return;
  for (const [key, inner] of entry) collectTensors(`${path}.${key}`, inner, found);
}

function nameIn(key: string): { id: string; name: ParsedKey; parameter: string } | undefined {
  const name = parseKey(key) ?? statisticOf(key);
  if (name === undefined) return undefined;
  const parameter = parameterOf(name);
  return { id: `${name.part} ${name.isParameter} ${parameter}`, name, parameter };
}

function commonOf(one: WeightSet, other: WeightSet): (readonly [Item, Item])[] {
  return [...one.items].flatMap(([name, item]) => {
    const twin = other.items.get(name);
    return twin === undefined ? [] : [[item, twin] as const];
  });
}

/** Of one network: most names are in both, with equal shapes, and not one of them has masks alone. */
function isTwin(one: WeightSet, other: WeightSet): boolean {
  const common = commonOf(one, other);
  if (common.length === 0 || common.length * 2 < Math.max(one.items.size, other.items.size)) return false;
  if (common.some(([a, b]) => a.tensor.dims.join() !== b.tensor.dims.join())) return false;
  return isOfMasks(common.map(([a]) => a)) === isOfMasks(common.map(([, b]) => b));
}

function isOfMasks(items: readonly Item[]): boolean {
  return items
    .filter(({ tensor }) => tensor.dims.length > 1)
    .every(({ tensor }) => tensor.isCompact && isBinary(tensor));
}

function chosenOf(sets: readonly WeightSet[], slots: readonly WeightSlot[]): WeightSet | undefined {
  const matching = sets.filter((set) => isOfModel(set, slots));
  const [only] = matching;
  const isSame = sets.every((one) => sets.every((other) => hasZerosOf(one, other)));
  if (isSame) return only ?? sets[0];
  if (only === undefined || matching.length > 1) return undefined;
  return sets.every((other) => hasZerosOf(only, other)) ? only : undefined;
}

/** Whether the first has all zeros of the second. */
function hasZerosOf(one: WeightSet, other: WeightSet): boolean {
  return [...other.items].every(([name, { tensor }]) => {
    if (!tensor.holdsZero() || (!isFloating(tensor.dataType) && tensor.dims.length === 0)) return true;
    const own = one.items.get(name)?.tensor;
    if (own?.size !== tensor.size || !own.isCompact || !tensor.isCompact) return false;
    const numbers = own.toTensor().numbers();
    return tensor
      .toTensor()
      .numbers()
      .every((value, at) => value !== 0 || numbers[at] === 0);
  });
}

/** Whether most of its matrices and kernels are weights of the model, by their values. */
function isOfModel({ items }: WeightSet, slots: readonly WeightSlot[]): boolean {
  let compared = 0;
  let same = 0;
  for (const { name, tensor } of items.values()) {
    if (tensor.dims.length < 2 || !isFloating(tensor.dataType) || isBinary(tensor)) continue;
    const sized = slots.filter((slot) => slot.tensor.size === tensor.size);
    if (sized.length === 0) continue;
    compared++;
    if (sized.some((slot) => LAYOUTS.some((layout) => compareWeights(tensor, { name }, slot, layout) === 'same')))
      same++;
  }
  return compared > 0 && same * 2 > compared;
}

/** Everything but the other sets; the chosen one as what usual checkpoints call it. */
function without(
  root: ReadonlyMap<string, Entry>,
  { label, items }: WeightSet,
  others: readonly WeightSet[],
): ReadonlyMap<string, Entry> {
  const dropped = new Set(others.flatMap((set) => [...set.items.values()].map(({ key }) => key)));
  const rest = new Map<string, Entry>();
  for (const [key, entry] of root) {
    const left = withoutKeys(key, entry, dropped);
    if (left !== undefined) rest.set(key, left);
  }
  if (label === '' || WRAPPERS.has(label)) return rest;
  const set = rest.get(label);
  rest.delete(label);
  for (const key of rest.keys()) if (key.startsWith(`${label}.`)) rest.delete(key);
  const flat = new Map([...items.values()].map(({ key, tensor }) => [key.slice(label.length + 1), tensor]));
  return new Map<string, Entry>([...rest, ['state_dict', isMap(set) ? set : flat]]);
}

function withoutKeys(path: string, entry: Entry, dropped: ReadonlySet<string>): Entry | undefined {
  if (!isMap(entry)) return dropped.has(path) ? undefined : entry;
  const left = new Map<string, Entry>();
  for (const [key, inner] of entry) {
    const kept = withoutKeys(`${path}.${key}`, inner, dropped);
    if (kept !== undefined) left.set(key, kept);
  }
  return left.size === 0 && entry.size > 0 ? undefined : left;
}

function severalSets(file: MaskContents, sets: readonly WeightSet[]): PruneCompileError {
  const labels = sets.map(({ label }) => label);
  const named = labels.filter((label) => label !== '');
  const [first = ''] = named;
  return new PruneCompileError('E-MASK-AMBIGUOUS', {
    what: `${file.path} holds more than one set of masks or weights`,
    facts: [
      ['sets', labels.map((label) => (label === '' ? 'the keys without a prefix' : label)).join(', ')],
      ['why', 'their zeros differ, and the values of the model do not say which set is meant'],
      ['try', `--mask-prefix ${named.map((label) => `${label}.`).join(' or ')}, or ${oneSetHint(file, [first])}`],
    ],
  });
}
