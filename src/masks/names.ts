/**
 * What the keys of mask files say: `module.layer1.0.conv1.weight_mask` is the mask of the parameter
 * `weight` of the module `layer1.0.conv1`. Wrappers put prefixes before it, other tools other
 * suffixes after it.
 */

/**
 * Prefixes that wrappers add: DataParallel and DDP, torch.compile, Lightning, NNCF. They may be
 * stacked.
 */
const WRAPPER_PREFIXES = ['module.', '_orig_mod.', 'model.', 'nncf_module.'];

export interface ParsedKey {
  /** Module path without wrappers, with dots: layer1.0.conv1. */
  readonly module: string;
  /** weight, bias, … */
  readonly parameter: string;
  /**
   * What the tensor is to that parameter. A bare key may be a mask or the parameter itself: its
   * values tell.
   */
  readonly part: 'mask' | 'original' | 'bare';
  /** Whether the key says a parameter's name; else it is a module's, whose weight is meant. */
  readonly isParameter: boolean;
  /** Keras stores kernels with the filters last: [kh, kw, in, out], [in, out]. */
  readonly isKernel: boolean;
}

/** Of a normalisation: training counts its steps there, and no function depends on it. */
export const COUNTER = 'num_batches_tracked';

/** State of a module that is no parameter. */
const NOT_PARAMETERS = new Set(['running_mean', 'running_var', COUNTER]);

const PARAMETERS = new Set(['weight', 'bias', 'kernel', 'depthwise_kernel', 'pointwise_kernel', 'gamma', 'beta']);

/**
 * torch.nn.LSTM, GRU and RNN: layer and direction are in the name. torch.nn.MultiheadAttention
 * packs three matrices, and may have a row more of keys and values.
 */
const PACKED = /^((weight|bias)_(ih|hh)_l\d+(_reverse)?|in_proj_(weight|bias)|bias_[kv])$/;

/** [1, 1, embedding]: no bias of a layer, but what is appended to the keys and values. */
export function isAttentionRow(parameter: string): boolean {
  return /^bias_[kv]$/.test(parameter);
}

/**
 * torch.nn.MultiheadAttention, [3 * embedding, embedding]: the matrices of query, key and value.
 */
export const PACKED_ATTENTION = 'in_proj_weight';
/** [3 * embedding] */
export const PACKED_ATTENTION_BIAS = 'in_proj_bias';

export function isPackedAttention({ parameter }: Pick<ParsedKey, 'parameter'>): boolean {
  return parameter === PACKED_ATTENTION || parameter === PACKED_ATTENTION_BIAS;
}

/**
 * Keys of tools that name a mask in another way than `weight_mask`, and the parameter that it is
 * for.
 */
const SPELLINGS: readonly (readonly [RegExp, string])[] = [
  // NNCF: hooks before a layer. A filter mask is applied to the bias as well: see claims.ts.
  [/\.pre_ops\.\d+\.op\._?binary_filter_pruning_mask$/, '.weight_mask'],
  [/\.pre_ops\.\d+\.op\._?binary_mask$/, '.weight_mask'],
  // NVIDIA apex, ASP.
  [/\.__(\w+?)_mma_mask$/, '.$1_mask'],
  // torch.ao.pruning, and torch.nn.utils.parametrize in general.
  [/\.parametrizations\.(\w+)\.\d+\.mask$/, '.$1_mask'],
  [/\.parametrizations\.(\w+)\.original$/, '.$1_orig'],
];

/** The key as torch.nn.utils.prune would write it. */
export function usualKey(key: string): string {
  const found = SPELLINGS.find(([spelling]) => spelling.test(key));
  return found === undefined ? key : key.replace(found[0], found[1]);
}

/**
 * Whether a key is that of NNCF's filter pruning: its masks are for the weight and the bias of a
 * layer.
 */
export function isFilterMaskOfNncf(key: string): boolean {
  return /\.pre_ops\.\d+\.op\._?binary_filter_pruning_mask$/.test(key);
}

/** apex: the key of the mask that took these values away. */
export function maskBesidePruned(key: string): string | undefined {
  const found = /^(.*\.__\w+?_mma)_pruned_p$/.exec(key);
  return found === null ? undefined : `${found[1]}_mask`;
}

/** Undefined for keys that hold neither masks nor parameters. */
export function parseKey(key: string, prefix = ''): ParsedKey | undefined {
  const unwrapped = withoutWrappers(dotted(usualKey(key.startsWith(prefix) ? key.slice(prefix.length) : key)));
  const segments = unwrapped.replace(/:\d+$/, '').split('.');
  let last = segments.at(-1) ?? '';
  if (NOT_PARAMETERS.has(last)) return undefined;
  let part: ParsedKey['part'] = 'bare';
  if (last === 'mask' && segments.length > 1) {
    segments.pop();
    part = 'mask';
    last = segments.at(-1) ?? '';
  } else if (/.[_.]mask$/.test(last)) {
    part = 'mask';
    last = last.slice(0, -'_mask'.length);
  } else if (last.endsWith('_orig')) {
    part = 'original';
    last = last.slice(0, -'_orig'.length);
  }
  // A mask of a running statistic: the statistic is read by no more than this name.
  if (NOT_PARAMETERS.has(last)) return statistic(segments.slice(0, -1).join('.'), last, part);
  const isParameter = isParameterName(last);
  const isKernel = last.endsWith('kernel');
  // Keras' separable layers are two convolutions, which ONNX has as two nodes.
  const [, half] = /^(depthwise|pointwise)_kernel$/.exec(last) ?? [];
  const path = isParameter ? segments.slice(0, -1) : [...segments.slice(0, -1), last];
  const modulePath = (half === undefined ? path : [...path, half]).join('.');
  return { module: modulePath, parameter: isParameter && !isKernel ? last : 'weight', part, isParameter, isKernel };
}

/**
 * A running statistic of a normalisation, as if it were a parameter; undefined for all other keys.
 */
export function statisticOf(key: string, prefix = ''): ParsedKey | undefined {
  const segments = withoutWrappers(dotted(key.startsWith(prefix) ? key.slice(prefix.length) : key)).split('.');
  const parameter = segments.pop() ?? '';
  if (!NOT_PARAMETERS.has(parameter)) return undefined;
  return statistic(segments.join('.'), parameter, 'bare');
}

function statistic(module: string, parameter: string, part: ParsedKey['part']): ParsedKey {
  return { module, parameter, part, isParameter: true, isKernel: false };
}

function isParameterName(name: string): boolean {
  return PARAMETERS.has(name) || PACKED.test(name);
}

function withoutWrappers(name: string): string {
  let rest = name;
  for (;;) {
    const prefix = WRAPPER_PREFIXES.find((candidate) => rest.startsWith(candidate));
    const inner = prefix === undefined ? '' : rest.slice(prefix.length);
    // `model.weight` is the weight of a module called so.
    if (inner === '' || isParameterName(inner.replace(/_(orig|mask)$/, ''))) return rest;
    rest = inner;
  }
}

/** The module of a path that a node states, as keys of masks have it. */
export function statedModule(path: string): string {
  return withoutWrappers(path.replaceAll('/', '.'));
}

/** The key of what a mask is for: conv1.weight_mask, conv1.mask -> conv1.weight, conv1. */
export function withoutMaskSuffix(key: string): string {
  return usualKey(key).replace(/[._]mask$/, '');
}

/** npz writers and Keras separate by slashes. */
function dotted(name: string): string {
  return name.replace(/^\/+/, '').replaceAll('/', '.');
}

/**
 * Whether a parameter may be what the slot holds: packed and recurrent weights have names of their
 * own.
 */
export function isSameKind(slot: string, parameter: string): boolean {
  const isNamedByReader = parameter === PACKED_ATTENTION || isAttentionRow(parameter);
  return slot === parameter || (slot === 'weight' && isNamedByReader) || bothRecurrent(slot, parameter);
}

function bothRecurrent(slot: string, parameter: string): boolean {
  return slot.replace(/_l\d+(_reverse)?$/, '') === parameter.replace(/_l\d+(_reverse)?$/, '');
}

/**
 * Whether a key has a word for what was pruned or is left, as lists of indices and flags are
 * called.
 */
export function saysPruning(key: string): boolean {
  return wordsOf(key).some((word) => PRUNING_WORD.test(word));
}

/** `keptChannels_2` -> kept, Channels, 2 */
export function wordsOf(key: string): string[] {
  return key.replace(/([a-z\d])([A-Z])/g, '$1_$2').split(/[^A-Za-z\d]+/);
}

const PRUNING_WORD =
  /^((bit)?masks?|masked|prune(s|d|rs?)?|prunings?|kept|keep|removed?|removals?|deleted|dropped|zeroed|killed|alive|dead|remain(s|ing)?|surviv(ors?|ing))$/i;

/**
 * Whether a key is that of numbers from which a tool computes what it prunes: movement pruning, edge
 * pop-up, soft thresholds, gates of L0 and DARTS.
 */
export function saysScore(key: string): boolean {
  const words = key.replace(/([a-z\d])([A-Z])/g, '$1_$2').split(/[.:/()[\]\s,]+/);
  return words.some((word) =>
    /(^|_)(scores?|thresholds?|importances?|saliency|gates?|alphas?|q?z?_?loga)$/i.test(word),
  );
}

/** layer1.0.conv1.weight */
export function parameterOf({ module, parameter }: Pick<ParsedKey, 'module' | 'parameter'>): string {
  return `${module}.${parameter}`;
}

/** Whether a stored tensor has the parameter's name. */
export function isNameOf(stored: string, parameter: Pick<ParsedKey, 'module' | 'parameter'>): boolean {
  const own = parseKey(stored);
  return own !== undefined && parameterOf(own) === parameterOf(parameter);
}
