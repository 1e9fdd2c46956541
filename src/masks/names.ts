/**
 * What the keys of mask files say: `module.layer1.0.conv1.weight_mask` is the mask of the parameter `weight` of the module
 * `layer1.0.conv1`. Wrappers put prefixes before it, other tools other suffixes behind it.
 */

/** Prefixes that wrappers add: DataParallel and DDP, torch.compile, Lightning. They may be stacked. */
const WRAPPER_PREFIXES = ['module.', '_orig_mod.', 'model.'];

export interface ParsedKey {
  /** Module path without wrappers, with dots: layer1.0.conv1. */
  readonly module: string;
  /** weight, bias, … */
  readonly parameter: string;
  /** What the tensor is to that parameter. A bare key may be a mask or the parameter itself: its values tell. */
  readonly part: 'mask' | 'original' | 'bare';
  /** Whether the key says a parameter's name; else it is a module's, whose weight is meant. */
  readonly isParameter: boolean;
  /** Keras stores kernels with the filters last: [kh, kw, in, out], [in, out]. */
  readonly isKernel: boolean;
}

/** State of a module that is no parameter: never a mask. */
const NOT_PARAMETERS = new Set(['running_mean', 'running_var', 'num_batches_tracked']);

const PARAMETERS = new Set(['weight', 'bias', 'kernel', 'depthwise_kernel', 'pointwise_kernel', 'gamma', 'beta']);

/** Undefined for keys that hold neither masks nor parameters. */
export function parseKey(key: string, prefix = ''): ParsedKey | undefined {
  const unwrapped = withoutWrappers(dotted(key.startsWith(prefix) ? key.slice(prefix.length) : key));
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
  const isParameter = PARAMETERS.has(last);
  const isKernel = last.endsWith('kernel');
  // Keras' separable layers are two convolutions, which ONNX has as two nodes.
  const [, half] = /^(depthwise|pointwise)_kernel$/.exec(last) ?? [];
  const path = isParameter ? segments.slice(0, -1) : [...segments.slice(0, -1), last];
  const modulePath = (half === undefined ? path : [...path, half]).join('.');
  return { module: modulePath, parameter: isParameter && !isKernel ? last : 'weight', part, isParameter, isKernel };
}

function withoutWrappers(name: string): string {
  let rest = name;
  for (;;) {
    const prefix = WRAPPER_PREFIXES.find((candidate) => rest.startsWith(candidate));
    const inner = prefix === undefined ? '' : rest.slice(prefix.length);
    // `model.weight` is the weight of a module called so.
    if (inner === '' || PARAMETERS.has(inner.replace(/_(orig|mask)$/, ''))) return rest;
    rest = inner;
  }
}

/** The module of a path that a node states, as keys of masks have it. */
export function statedModule(path: string): string {
  return withoutWrappers(path.replaceAll('/', '.'));
}

/** The key of what a mask is for: conv1.weight_mask, conv1.mask -> conv1.weight, conv1. */
export function withoutMaskSuffix(key: string): string {
  return key.replace(/[._]mask$/, '');
}

/** npz writers and Keras separate by slashes. */
function dotted(name: string): string {
  return name.replace(/^\/+/, '').replaceAll('/', '.');
}
