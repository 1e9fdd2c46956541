/**
 * Masks as mask files have them, and back as the compiler will read them: both by one rule, or a
 * file would not bind.
 */
import { PruneCompileError } from '../errors.js';
import { UINT8 } from '../ir/tensor.js';
import { bindMasks } from '../masks/bind.js';
import type { Binding } from '../masks/binding.js';
import { claimsOf } from '../masks/claims.js';
import { type Entry, FileTensor } from '../masks/contents.js';
import type { TiedReader } from '../masking/tied-readers.js';
import type { NamedMask } from '../masks/formats/named-mask.js';
import { parameterOf, parseKey } from '../masks/names.js';
import { fromTorchLayout, type WeightSlot } from '../masks/slots.js';
import type { Layout } from '../masks/expand.js';
import type { MaskLayer } from './layers.js';

export interface LayerMask {
  readonly layer: MaskLayer;
  /** In the operand's layout. */
  readonly keep: Uint8Array;
}

export function namedMask({ layer, keep }: LayerMask, layout: Layout = layer.layout): NamedMask {
  const [slot] = layer.slots;
  const own = FileTensor.contiguous(UINT8, slot.tensor.dims, () => keep);
  const torch = own.permuted(fromTorchLayout(slot));
  // Under such a name readers expect Keras' axes: [kh, kw, in, out].
  const isKernel = parseKey(layer.key)?.isKernel === true;
  const [out = 0, input = 1, ...spatial] = torch.dims.map((_, axis) => axis);
  const view = isKernel ? torch.permuted([...spatial, input, out]) : layout === 'torch' ? torch : own;
  return { name: layer.key, dims: view.dims, keep: view.toTensor().bytes() };
}

/** The parameter that a key names. */
export function statedBy(key: string): string[] {
  const name = parseKey(key);
  return name === undefined ? [] : [parameterOf(name)];
}

/**
 * Masks of ones: whoever reads the file is to know that the mask of one parameter is not for
 * another one with the same values.
 */
export function keptWhole(readers: readonly TiedReader[]): NamedMask[] {
  const found = new Map<string, NamedMask>();
  for (const { name, slot } of readers) {
    if (slot === undefined) continue;
    const dims = fromTorchLayout(slot).map((axis) => slot.tensor.dims[axis] ?? 1);
    found.set(name, { name, dims, keep: new Uint8Array(slot.tensor.size).fill(1) });
  }
  return [...found.values()];
}

export interface BoundNamed {
  readonly bindings: readonly Binding[];
  /**
   * Layers whose masks would be bound to nothing, to something else or turned: the names in the
   * model do not tell them apart.
   */
  readonly lost: readonly MaskLayer[];
}

/** What the compiler makes of a file with these masks. */
export function bindNamed(masks: readonly LayerMask[], slots: readonly WeightSlot[]): BoundNamed {
  try {
    const bindings = bindAll(masks, slots);
    return { bindings, lost: masks.filter((mask) => !isBound(mask, bindings)).map(({ layer }) => layer) };
  } catch (error) {
    const lost = masks.filter((mask) => !isBoundAlone(mask, slots)).map(({ layer }) => layer);
    if (lost.length === 0 || !(error instanceof PruneCompileError)) throw error;
    return { bindings: [], lost };
  }
}

function bindAll(masks: readonly LayerMask[], slots: readonly WeightSlot[]): readonly Binding[] {
  const root = new Map<string, Entry>(
    masks.map((mask) => {
      const { name, dims, keep } = namedMask(mask);
      return [name, FileTensor.contiguous(UINT8, dims, () => keep)];
    }),
  );
  return bindRoot(root, slots);
}

function isBound({ layer, keep }: LayerMask, bindings: readonly Binding[]): boolean {
  return layer.slots.every((slot) => bindings.some((binding) => binding.slot === slot && isSame(binding, keep)));
}

function isBoundAlone(mask: LayerMask, slots: readonly WeightSlot[]): boolean {
  try {
    return isBound(mask, bindAll([mask], slots));
  } catch (error) {
    if (error instanceof PruneCompileError) return false;
    throw error;
  }
}

function bindRoot(root: Entry, slots: readonly WeightSlot[]): readonly Binding[] {
  return bindMasks(claimsOf({ path: 'the masks', format: 'made', root }).claims, slots).bindings;
}

function isSame({ mask }: Binding, keep: Uint8Array): boolean {
  return mask.factors.length === keep.length && mask.factors.every((factor, at) => factor === keep[at]);
}
