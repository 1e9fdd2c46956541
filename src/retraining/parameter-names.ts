/**
 * What a model says of a constant operand: which parameter it is, with which axes, or that it is
 * computed from others.
 */
import type { GraphInfo } from '../graph-info/graph-info.js';
import type { Dim, Node, Value } from '../ir/graph.js';
import { isFloating, type Tensor } from '../ir/tensor.js';
import { moduleOfParameter } from '../onnx/module-path.js';
import { aliasedBy, isStored, storedAs } from '../ops/aliases.js';
import { axesBefore, factorsOf, readsExtents } from '../ops/parameters.js';

/**
 * Per axis of the parameter the operand's axis; undefined where the operand has no such axis, which
 * is then of extent 1.
 */
export type Axes = readonly (number | undefined)[];

export type Origin =
  /** The parameter of this name, maybe masked, maybe with its axes in another order. */
  | { readonly kind: 'stated'; readonly name: string; readonly axes: Axes }
  /** Stored numbers under a name that the exporter made up. */
  | { readonly kind: 'unnamed' }
  /**
   * Other numbers than those of the parameters that they are computed from, or in another shape.
   */
  | { readonly kind: 'computed'; readonly from: readonly string[] }
  /** Written by the exporter: no weight is stored for it. */
  | { readonly kind: 'made up' };

/** What the file as a whole says of its parameters. */
export interface ParameterList {
  /** All of them, where the exporter lists them. */
  readonly listed: ReadonlySet<string> | undefined;
  /**
   * Whether each initializer that has a name of its own is a parameter or buffer: so the
   * TorchScript exporter writes them.
   */
  readonly isTorchScript: boolean;
}

/**
 * `conv1.weight_orig` -> `conv1.weight`; `conv1.weight_bias` is what folding a normalisation gives
 * the convolution.
 */
export function parameterName(name: string): string {
  return name.replace(/_orig$/, '').replace(/\.weight_bias$/, '.bias');
}

/**
 * The name is the nearest on the way from the operand to what is stored: exporters store equal
 * parameters once, read through an Identity.
 */
export function originOf(value: Value, graphInfo: GraphInfo, list: ParameterList): Origin {
  let at = value;
  let axes: Axes | undefined = dimsOf(at, graphInfo)?.map((_, axis) => axis);
  let name: string | undefined;
  for (;;) {
    if (name === undefined && isNameOfParameter(at, list)) name = parameterName(at.name);
    const { producer } = at;
    if (storedTensor(at, graphInfo) !== undefined || producer === undefined) break;
    const next = unmasked(producer, graphInfo);
    if (next === undefined) break;
    const [before, after] = [dimsOf(next, graphInfo), dimsOf(at, graphInfo)];
    axes = before && after && axes && axesBefore(producer, before, after, axes);
    at = next;
  }
  const stored = storedTensor(at, graphInfo);
  if (name !== undefined && stored !== undefined && axes !== undefined) return { kind: 'stated', name, axes };
  const leaves = storedBehind(at, graphInfo);
  const from = leaves.filter((leaf) => isNameOfParameter(leaf, list)).map((leaf) => parameterName(leaf.name));
  if (from.length > 0) return { kind: 'computed', from: [...new Set(from)] };
  return leaves.some(({ initializer }) => initializer !== undefined && isFloating(initializer.dataType))
    ? { kind: 'unnamed' }
    : { kind: 'made up' };
}

/** Initializers and Constant nodes that a constant depends on with its numbers. */
export function storedBehind(value: Value, graphInfo: GraphInfo): readonly Value[] {
  const seen = new Set([value]);
  for (const { producer } of seen) {
    if (producer === undefined || readsExtents(producer)) continue;
    for (const input of producer.inputs) if (input !== undefined) seen.add(input);
  }
  return [...seen].filter((at) => storedTensor(at, graphInfo) !== undefined);
}

function storedTensor(value: Value, { constants }: GraphInfo): Tensor | undefined {
  return isStored(value) ? constants.tensor(value) : undefined;
}

/** What a node hands on: its data, or of a product with a mask the weight. */
function unmasked(node: Node, graphInfo: GraphInfo): Value | undefined {
  const factors = factorsOf(node);
  if (factors === undefined) return aliasedBy(node);
  const [left, right] = factors;
  const [isLeft, isRight] = [isMaskByName(left), isMaskByName(right)];
  if (isLeft !== isRight) return isLeft ? right : left;
  if (isBinary(right, graphInfo)) return left;
  return isBinary(left, graphInfo) ? right : undefined;
}

/** Behind casts and whatever else hands it on. */
function isMaskByName(value: Value): boolean {
  for (let at: Value | undefined = value; at !== undefined; at = at.producer && aliasedBy(at.producer))
    if (at.name.endsWith('_mask')) return true;
  return false;
}

function isBinary(value: Value, graphInfo: GraphInfo): boolean {
  const stored = storedBehind(value, graphInfo);
  const [only] = stored;
  const tensor = only && storedTensor(only, graphInfo);
  return stored.length === 1 && tensor?.numbers().every((number) => number === 0 || number === 1) === true;
}

function dimsOf(value: Value | undefined, { constants, shapes }: GraphInfo): readonly Dim[] | undefined {
  return value === undefined ? undefined : (constants.tensor(value)?.dims ?? shapes.of(value));
}

/** A stored tensor under a name of its own, or what an alias of one is called. */
export function isNameOfParameter(value: Value, { listed, isTorchScript }: ParameterList): boolean {
  const { name, initializer } = value;
  if (listed?.has(parameterName(name)) === true) return true;
  if (name.endsWith('_mask') || isAutomatic(value)) return false;
  if (initializer !== undefined) return true;
  // Other exporters keep weights in Constant nodes.
  if (isStored(value)) return listed === undefined && !isTorchScript;
  return moduleOfParameter(name) !== undefined || (storedAs(value) !== value && name.includes('.'));
}

/** Names that exporters and optimisers make up: numbers, paths of nodes, ATen operators. */
const AUTOMATIC = new RegExp(
  [
    '^onnx::|^/|^\\d+$|_folded$|^const_fold_opt__|^ortshared_|^reorder(_token_\\d+)?$',
    `^(${[
      'val mul add sub div t permute transpose view reshape const constant scalar scalar_tensor expand squeeze unsqueeze',
      'index slice select cat stack where arange full zeros ones clone _to_copy roll repeat masked_fill linspace',
    ]
      .join(' ')
      .replaceAll(' ', '|')})(_default)?(_\\d+)*(_bias)?$`,
  ].join('|'),
  'i',
);

/** Parts of a quantised tensor. */
const QUANTISED = /_(quantized|scale|zero_point)$/;

function isAutomatic({ name, uses }: Value): boolean {
  if (AUTOMATIC.test(name)) return true;
  return QUANTISED.test(name) && uses.some(({ node }) => /Quantize|Integer|QLinear/.test(node.opType));
}
