/**
 * Which parts of a file hold masks, which hold weights, and which are state of a training run.
 * Every tensor of the file is in one of them: what nobody reads is accounted for as well.
 */
import { PruneCompileError } from '../errors.js';
import { isFloating } from '../ir/tensor.js';
import { type Entry, FileTensor, isList, isMap, type MaskContents } from './contents.js';
import { isBinary } from './evidence.js';
import type { StateKind } from './fates.js';
import { isJsonMask, numbersOf } from './json-claims.js';
import { parseKey, saysScore } from './names.js';

export interface Section {
  /** Where it is in the file: keys joined by dots; '' is the whole file. */
  readonly path: string;
  readonly entry: Entry;
}

export interface Sections {
  /** A state dict, or masks, or both in one dictionary. */
  readonly main: Section;
  /** Masks in a dictionary or list of their own, beside weights. */
  readonly masks: Section | undefined;
  /** What else the file has. */
  readonly outside: readonly Section[];
}

/** Keys under which trainers and tools keep what is asked for, beside other things. */
const CONTAINERS = ['masks', 'state_dict', 'model_state_dict'];
/**
 * Words that may be containers, and are as often modules: containers only where nothing else could
 * hold a mask.
 */
const WORDS = ['mask', 'model', 'net', 'network', 'module', 'weights', 'params'];
/**
 * Keys of masks that are kept apart from the weights: Distiller has masks_dict inside
 * compression_sched.
 */
export const MASK_CONTAINERS: readonly string[] = ['masks', 'mask_dict', 'masks_dict', 'maskbndict'];
/**
 * YOLO forks: one mask per BatchNormalization, which they multiply with its scale and its shift.
 */
const NORM_MASKS = 'maskbndict';

/**
 * Parts of a training checkpoint that no function depends on, by their whole names: a guess could
 * be a mask.
 */
const STATE: readonly (readonly [RegExp, StateKind])[] = [
  [/^(optim|optimizers?|optimizers?_states?|optim(izer)?_state_dict)$/i, 'optimizer'],
  [/^(lr_)?(sched|schedulers?)(_states?|_state_dict)?$/i, 'schedule'],
  [/^(grad_)?scaler(_states?|_state_dict)?$|amp_scaling_state$|^amp$/i, 'loss-scale'],
  [/^((torch|cuda|numpy|python|random|cpu)_)*rng(_states?)?(_(all|cuda|cpu))?$|^random_states?$/i, 'random-numbers'],
  [/^(callbacks|loops|hyper_parameters|hparams|args|config|cfg|metrics|history)$/i, 'training-loop'],
];

/** What a part of a training checkpoint is called; undefined where a function may depend on it. */
export function trainingState(path: string): StateKind | undefined {
  const first = path.split('.')[0] ?? '';
  return STATE.find(([name]) => name.test(first))?.[1];
}

export function isOfNorms({ path }: Section): boolean {
  return path.split('.').at(-1) === NORM_MASKS;
}

/** Throws E-MASK-AMBIGUOUS where a file has two sets of masks or weights. */
export function sectionsOf(file: MaskContents): Sections {
  const { root } = file;
  const alone = isMaskFormat(file) ? undefined : sparsifierMasks(root);
  if (alone !== undefined) return { main: { path: 'state', entry: alone }, masks: undefined, outside: [] };
  const apart = isMap(root) && !isMaskFormat(file) ? (besideSparsifier(root) ?? masksApart(root)) : undefined;
  if (apart === undefined || !isMap(root)) return { ...unwrap({ path: '', entry: root }, file), masks: undefined };
  const [top = ''] = apart.path.split('.');
  const beside = new Map([...root].filter(([key]) => key !== top));
  const rest = unwrap({ path: '', entry: beside }, file);
  // Where weights are missing, what is beside the masks is not asked for.
  const holder = root.get(top);
  const others = isMap(holder) && apart.path !== top ? [...holder] : [];
  const siblings = others
    .filter(([key]) => `${top}.${key}` !== apart.path)
    .map(([key, entry]): Section => ({ path: `${top}.${key}`, entry }));
  return { main: rest.main, masks: apart, outside: [...rest.outside, ...siblings] };
}

/**
 * What `state_dict()` of a sparsifier of torch.ao.pruning has: per parameter its mask, and the
 * groups that it was set up with.
 */
function sparsifierMasks(entry: Entry): Entry | undefined {
  if (!isMap(entry) || !isList(entry.get('groups'))) return undefined;
  const state = entry.get('state');
  if (!isMap(state) || state.size === 0) return undefined;
  const isMasked = (inner: Entry) => isMap(inner) && inner.get('mask') instanceof FileTensor;
  return [...state.values()].every(isMasked) ? state : undefined;
}

function besideSparsifier(root: ReadonlyMap<string, Entry>): Section | undefined {
  for (const [key, inner] of root) {
    const state = key.includes('.') ? undefined : sparsifierMasks(inner);
    if (state !== undefined) return { path: `${key}.state`, entry: state };
  }
  return undefined;
}

/** Masks under a name of their own, where the file holds something else that may be weights. */
function masksApart(root: ReadonlyMap<string, Entry>): Section | undefined {
  for (const [key, entry] of root) {
    const isOnly = key === 'masks' && ![...root].some(([name, other]) => name !== key && isWeights(name, other));
    if (MASK_CONTAINERS.includes(key) && holdsTensors(entry) && !isOnly) return { path: key, entry };
    if (!isMap(entry)) continue;
    const nested = [...entry].find(([name, inner]) => isNestedMasks(name) && holdsTensors(inner));
    if (nested !== undefined && !CONTAINERS.includes(key)) return { path: `${key}.${nested[0]}`, entry: nested[1] };
  }
  return undefined;
}

function isNestedMasks(name: string): boolean {
  return name !== 'masks' && MASK_CONTAINERS.includes(name);
}

function isWeights(name: string, entry: Entry): boolean {
  return isMap(entry) && (CONTAINERS.includes(name) || WORDS.includes(name)) && holdsTensors(entry);
}

function holdsTensors(entry: Entry): boolean {
  if (entry instanceof FileTensor) return true;
  if (isList(entry)) return entry.some(holdsTensors);
  return isMap(entry) && [...entry.values()].some(holdsTensors);
}

function unwrap(section: Section, file: MaskContents): Omit<Sections, 'masks'> {
  const { path, entry: root } = section;
  const whole = { main: section, outside: [] };
  if (!isMap(root)) return whole;
  const holding = [...root].filter(
    ([key, inner]) =>
      isMap(inner) &&
      (path !== '' || trainingState(key) === undefined) &&
      !saysScore(key) &&
      !isJsonMask(inner, isMaskFormat(file)) &&
      holdsParameters(inner, file),
  );
  const container =
    holding.find(([key]) => CONTAINERS.includes(key)) ?? (holding.length === 1 ? holding[0] : undefined);
  const [key, inner] = container ?? [];
  if (key === undefined || inner === undefined || (!CONTAINERS.includes(key) && !WORDS.includes(key))) return whole;
  // Names with dots are those of a whole network.
  const isContainer =
    CONTAINERS.includes(key) || (isMap(inner) && [...inner.keys()].some((name) => name.includes('.')));
  const others = [...root].filter(([name]) => name !== key);
  const beside = others.filter(([name, entry]) => isMaskEntry(name, entry, file, isContainer));
  const second = holding.find(([name]) => name !== key) ?? beside[0];
  if (second === undefined) {
    const within = unwrap({ path: join(path, key), entry: inner }, file);
    const outside = others.map(([name, entry]): Section => ({ path: join(path, name), entry }));
    return { main: within.main, outside: [...outside, ...within.outside] };
  }
  if (!isContainer) return whole;
  throw new PruneCompileError('E-MASK-AMBIGUOUS', {
    what: `${file.path} holds more than one set of masks or weights`,
    facts: [
      ['sets', `${key}, ${second[0]}`],
      ['try', oneSetHint(file, [...(path === '' ? [] : [path]), key])],
    ],
  });
}

export function oneSetHint({ format, path }: MaskContents, keys: readonly string[]): string {
  if (!format.startsWith('PyTorch')) return 'save the one that is meant in a file of its own';
  const set = keys.map((key) => `[${JSON.stringify(key)}]`).join('');
  return `the one that is meant in a file of its own, as in torch.save(torch.load(${JSON.stringify(path)})${set}, "one.pth")`;
}

export function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

/**
 * Something a mask could be, beside what may be a container. Trainers put the state of random
 * numbers and their best score beside a state dict; a tensor there must be called as a parameter or
 * its mask is.
 */
function isMaskEntry(name: string, entry: Entry, file: MaskContents, isContainer: boolean): boolean {
  if (isMap(entry)) return isJsonMask(entry, isMaskFormat(file));
  if (!(entry instanceof FileTensor)) return isMaskFormat(file) && isList(entry);
  const parsed = parseKey(name);
  return entry.dims.length > 0 && (!isContainer || parsed?.isParameter === true || parsed?.part === 'mask');
}

/**
 * Whether anything in it is called as parameters or their masks are, or says a mask in words;
 * modules alone do as well.
 */
function holdsParameters(entry: ReadonlyMap<string, Entry>, file: MaskContents): boolean {
  return [...entry].some(([key, inner]) => {
    if (isMap(inner)) return isJsonMask(inner, isMaskFormat(file)) || holdsParameters(inner, file);
    return isTensor(inner, file) && !OPTIMIZER_TENSORS.has(key) && !isIndices(inner);
  });
}

/** Whole numbers that are no mask: a set of masks or weights does not begin with them. */
function isIndices(entry: Entry): boolean {
  return entry instanceof FileTensor && !isFloating(entry.dataType) && entry.isCompact && !isBinary(entry);
}

/** What optimizers call their tensors. */
const OPTIMIZER_TENSORS = new Set([
  'exp_avg',
  'exp_avg_sq',
  'max_exp_avg_sq',
  'momentum_buffer',
  'square_avg',
  'sum',
  'step',
  'best_model_score',
]);

/** Lists of numbers are tensors where there is nothing else to write one with. */
function isTensor(entry: Entry, file: MaskContents): boolean {
  return entry instanceof FileTensor || (isMaskFormat(file) && isList(entry) && numbersOf(entry) !== undefined);
}

/**
 * Lists in checkpoints are histories, steps and metrics; in JSON they are all there is to write a
 * mask with.
 */
export function isMaskFormat({ format }: Pick<MaskContents, 'format'>): boolean {
  return format === 'JSON';
}
