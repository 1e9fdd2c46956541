/**
 * From what a file holds to what it claims: "this is the mask of that parameter". State dicts of torch.nn.utils.prune, bare mask
 * dictionaries, NNI's { module: { weight, bias } }, JSON with indices, Torch-Pruning's history; wrapped or not.
 */
import { parse } from 'node:path';
import { PruneCompileError } from '../errors.js';
import { type Entry, FileTensor, isList, isMap, type MaskContents } from './contents.js';
import { isJsonMask, jsonSource, misspeltWord, numbersOf, pruningHistory } from './json-claims.js';
import { type ParsedKey, parseKey } from './names.js';

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
  /** Of Torch-Pruning: what must shrink with the filters goes with them. */
  readonly isCoupled?: boolean;
}

export interface Claims {
  readonly claims: readonly Claim[];
  /** Tensors of the file that were taken for something else than masks. */
  readonly others: number;
}

/** Keys under which trainers keep what is asked for; first match wins, and may be nested. */
const WRAPPERS = ['masks', 'mask', 'state_dict', 'model_state_dict', 'model', 'net', 'network', 'module'];

/** Throws E-MASK-EMPTY when nothing in the file can be a mask, E-MASK-FORMAT for JSON that says nothing known. */
export function claimsOf(file: MaskContents, prefix?: string): Claims {
  const history = pruningHistory(file);
  if (history.length > 0) return { claims: history, others: 0 };
  const found: Found[] = [];
  // A file of one array says nothing but its own name: layer1.0.conv1.npy.
  collect(unwrap(file.root), file.root instanceof FileTensor ? parse(file.path).name : '', found, file);
  const isOnnx = file.format === 'ONNX';
  const parsed = found.flatMap(({ key, source }) => {
    const name = parseKey(key, prefix);
    return name === undefined ? [] : [{ key, source, name }];
  });
  const hasMasks = parsed.some(({ name }) => name.part === 'mask');
  const originals = new Map(
    parsed.flatMap(({ name, source }) =>
      name.part === 'original' && source.kind === 'tensor' ? [[parameterName(name), source.tensor]] : [],
    ),
  );
  const claims = parsed
    .filter(({ name, source }) => (hasMasks ? name.part === 'mask' : name.part === 'bare' && !isScalar(source)))
    .map(({ key, source, name }): Claim => {
      const original = originals.get(parameterName(name));
      return { key, file: file.path, name, source, isOnnx, ...(original !== undefined && { original }) };
    });
  if (claims.length === 0) throw nothingIn(file, found);
  return { claims, others: found.length - claims.length };
}

interface Found {
  readonly key: string;
  readonly source: MaskSource;
}

function parameterName({ module: modulePath, parameter }: ParsedKey): string {
  return `${modulePath}.${parameter}`;
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

function unwrap(root: Entry): Entry {
  if (!isMap(root)) return root;
  for (const key of WRAPPERS) {
    const inner = root.get(key);
    if (isMap(inner) && holdsClaims(inner)) return unwrap(inner);
  }
  return root;
}

function holdsClaims(entry: Entry): boolean {
  if (entry instanceof FileTensor) return true;
  if (isList(entry)) return entry.length > 0 && numbersOf(entry) !== undefined;
  if (!isMap(entry)) return false;
  return isJsonMask(entry) || [...entry.values()].some(holdsClaims);
}

function collect(entry: Entry, key: string, found: Found[], file: MaskContents): void {
  if (entry instanceof FileTensor) found.push({ key, source: { kind: 'tensor', tensor: entry } });
  else if (isMap(entry)) {
    const where = `${file.path}, mask ${key}`;
    const misspelt = isMaskFormat(file) ? misspeltWord(entry, where) : undefined;
    if (isJsonMask(entry)) found.push({ key, source: jsonSource(entry, where) });
    else if (misspelt !== undefined) throw misspelt;
    else for (const [name, inner] of entry) collect(inner, key === '' ? name : `${key}.${name}`, found, file);
  } else if (isList(entry) && isMaskFormat(file)) {
    const tensor = numbersOf(entry);
    if (tensor !== undefined) found.push({ key, source: { kind: 'tensor', tensor } });
  }
}

/** Lists in checkpoints are histories, steps and metrics; in JSON they are all there is to write a mask with. */
function isMaskFormat({ format }: MaskContents): boolean {
  return format === 'JSON';
}
