/**
 * From what a file holds to what it claims: "this is the mask of that parameter". State dicts of torch.nn.utils.prune, bare mask
 * dictionaries, NNI's { module: { weight, bias } }, JSON with indices, Torch-Pruning's history; wrapped or not.
 */
import { parse } from 'node:path';
import { PruneCompileError } from '../errors.js';
import { type Entry, FileTensor, isList, isMap, type MaskContents } from './contents.js';
import { isJsonMask, jsonSource, misspeltWord, numbersOf, pruningHistory } from './json-claims.js';
import { type ParsedKey, parseKey, withoutMaskSuffix } from './names.js';

/** The elements of a mask, or what they follow from. */
export type MaskSource =
  | { readonly kind: 'tensor'; readonly tensor: FileTensor }
  /** Whole filters (axis 0 in PyTorch's layout) or input channels (axis 1) by index. */
  | {
      readonly kind: 'indices';
      readonly axis: number;
      readonly action: 'remove' | 'keep';
      readonly indices: readonly number[];
      readonly shape?: readonly number[];
    }
  /** Lengths of runs of kept and pruned elements in turn, beginning with kept ones; row-major. */
  | { readonly kind: 'runs'; readonly shape: readonly number[]; readonly runs: readonly number[] }
  /** Of every `of` neighbours along the input channels the `keep` largest stay. */
  | { readonly kind: 'pattern'; readonly keep: number; readonly of: number };

export interface Claim {
  /** As the file says it. */
  readonly key: string;
  readonly file: string;
  readonly name: ParsedKey;
  readonly source: MaskSource;
  /** The parameter before it was masked (`weight_orig`), which tells the initializer by its values. */
  readonly original?: FileTensor;
  /** Whether initializers are named as the model at hand names them, in ONNX's layout. */
  readonly isOnnx: boolean;
  /** A parameter beside masks: one of its own only where its zeros are (pruning made permanent for that layer). */
  readonly isBeside?: boolean;
  /** Of Torch-Pruning: what must shrink with the filters goes with them. */
  readonly isCoupled?: boolean;
}

export interface Claims {
  readonly claims: readonly Claim[];
  /** All modules that the file speaks of, pruned or not. */
  readonly modules: ReadonlySet<string>;
}

/** Keys under which trainers and tools keep what is asked for, beside other things. */
const CONTAINERS = ['masks', 'state_dict', 'model_state_dict'];
/** Words that may be containers, and are as often modules: containers only where nothing else could hold a mask. */
const WORDS = ['mask', 'model', 'net', 'network', 'module', 'weights', 'params'];

/** Throws E-MASK-EMPTY when nothing in the file can be a mask, E-MASK-FORMAT for JSON that says nothing known. */
export function claimsOf(file: MaskContents, prefix?: string): Claims {
  const history = pruningHistory(file);
  if (history.length > 0) return { claims: history, modules: new Set() };
  const found: Found[] = [];
  // A file of one array says nothing but its own name: layer1.0.conv1.npy.
  collect(unwrap(file.root, file), file.root instanceof FileTensor ? parse(file.path).name : '', found, file);
  const isOnnx = file.format === 'ONNX';
  const parsed = found.flatMap(({ key, source }) => {
    const name = parseKey(key, prefix);
    return name === undefined ? [] : [{ key, source, name }];
  });
  const originals = new Map(
    parsed.flatMap(({ key, name, source }) =>
      name.part === 'original' && source.kind === 'tensor' ? [[key.replace(/_orig$/, ''), source.tensor]] : [],
    ),
  );
  // A buffer may be called causal_mask; the mask of a parameter says its name, or stands beside what it masks.
  const hasMasks = parsed.some(
    ({ key, name }) => name.part === 'mask' && (name.isParameter || originals.has(withoutMaskSuffix(key))),
  );
  const claims = parsed
    .filter(({ name, source }) => name.part !== 'original' && !isScalar(source))
    .map(({ key, source, name }): Claim => {
      const original = originals.get(withoutMaskSuffix(key));
      const isBeside = hasMasks && name.part === 'bare' && source.kind === 'tensor' && name.isParameter;
      return {
        key,
        file: file.path,
        name,
        source,
        isOnnx,
        ...(original !== undefined && { original }),
        ...(isBeside && { isBeside }),
      };
    });
  if (claims.length === 0) throw nothingIn(file, found);
  const modules = new Set(parsed.map(({ name }) => name.module));
  return { claims, modules };
}

interface Found {
  readonly key: string;
  readonly source: MaskSource;
}

function isScalar(source: MaskSource): boolean {
  return source.kind === 'tensor' && source.tensor.dims.length === 0;
}

function nothingIn({ path, format }: MaskContents, found: readonly Found[]): PruneCompileError {
  const keys = found.slice(0, 3).map(({ key }) => key);
  return new PruneCompileError('E-MASK-EMPTY', {
    what: `${path} holds no mask`,
    facts: [
      ['format', format],
      ['holds', found.length === 0 ? 'no tensors at all' : `${found.length} tensors: ${keys.join(', ')}, …`],
      ['try', 'save the masks: keys that end in weight_mask, or { module: mask }'],
    ],
  });
}

function unwrap(root: Entry, file: MaskContents): Entry {
  if (!isMap(root)) return root;
  const holding = [...root].filter(
    ([, inner]) => isMap(inner) && !isJsonMask(inner, isMaskFormat(file)) && holdsParameters(inner, file),
  );
  const container =
    holding.find(([key]) => CONTAINERS.includes(key)) ?? (holding.length === 1 ? holding[0] : undefined);
  const [key, inner] = container ?? [];
  if (key === undefined || inner === undefined || (!CONTAINERS.includes(key) && !WORDS.includes(key))) return root;
  // Names with dots are those of a whole network.
  const isContainer =
    CONTAINERS.includes(key) || (isMap(inner) && [...inner.keys()].some((name) => name.includes('.')));
  const beside = [...root].filter(([name, entry]) => name !== key && isMaskEntry(name, entry, file, isContainer));
  const second = holding.find(([name]) => name !== key) ?? beside[0];
  if (second === undefined) return unwrap(inner, file);
  if (!isContainer) return root;
  throw new PruneCompileError('E-MASK-AMBIGUOUS', {
    what: `${file.path} holds more than one set of masks or weights`,
    facts: [
      ['sets', `${key}, ${second[0]}`],
      ['try', 'save the one that is meant in a file of its own'],
    ],
  });
}

/**
 * Something a mask could be, beside what may be a container. Trainers put the state of random numbers and their best score beside a
 * state dict; a tensor there must be called as a parameter or its mask is.
 */
function isMaskEntry(name: string, entry: Entry, file: MaskContents, isContainer: boolean): boolean {
  if (isMap(entry)) return isJsonMask(entry, isMaskFormat(file));
  if (!(entry instanceof FileTensor)) return isMaskFormat(file) && isList(entry);
  const parsed = parseKey(name);
  return entry.dims.length > 0 && (!isContainer || parsed?.isParameter === true || parsed?.part === 'mask');
}

/** Whether anything in it is called as parameters or their masks are, or says a mask in words; modules alone do as well. */
function holdsParameters(entry: ReadonlyMap<string, Entry>, file: MaskContents): boolean {
  return [...entry].some(([key, inner]) => {
    if (isMap(inner)) return isJsonMask(inner, isMaskFormat(file)) || holdsParameters(inner, file);
    return isTensor(inner, file) && !STATE_OF_TRAINING.has(key);
  });
}

/** What optimizers call their tensors. */
const STATE_OF_TRAINING = new Set([
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

function collect(entry: Entry, key: string, found: Found[], file: MaskContents): void {
  if (entry instanceof FileTensor) found.push({ key, source: { kind: 'tensor', tensor: entry } });
  else if (isMap(entry)) {
    const where = `${file.path}, mask ${key}`;
    const misspelt = isMaskFormat(file) ? misspeltWord(entry, where) : undefined;
    if (isJsonMask(entry, isMaskFormat(file))) found.push({ key, source: jsonSource(entry, where) });
    else if (misspelt !== undefined) throw misspelt;
    else for (const [name, inner] of entry) collect(inner, key === '' ? name : `${key}.${name}`, found, file);
  } else if (isMaskFormat(file) && entry !== null) {
    const tensor = isList(entry) ? numbersOf(entry) : undefined;
    // Beside masks nothing else may stand, or a mistake would pass for it.
    if (tensor === undefined) throw notAMask(file.path, key);
    found.push({ key, source: { kind: 'tensor', tensor } });
  }
}

function notAMask(path: string, key: string): PruneCompileError {
  return new PruneCompileError('E-MASK-FORMAT', {
    what: `${path}, mask ${key}: it is neither a list of zeros and ones nor an object that says a mask`,
    facts: [['try', '"remove": [0, 3, 17], or null for a layer without a mask']],
  });
}

/** Lists in checkpoints are histories, steps and metrics; in JSON they are all there is to write a mask with. */
function isMaskFormat({ format }: MaskContents): boolean {
  return format === 'JSON';
}
