/**
 * torch.nn.MultiheadAttention keeps the matrices of query, key and value in one parameter, and
 * their biases in another. Exporters write one product where the three have one input, two where
 * key and value have one, and else three.
 */
import type { Claim } from './claim.js';
import type { FileTensor } from './contents.js';
import { closestTo, isEqualWhereBoth } from './evidence.js';
import { alignedView, LAYOUTS } from './expand.js';
import { isPackedAttention, PACKED_ATTENTION, PACKED_ATTENTION_BIAS } from './names.js';
import type { WeightSlot } from './slots.js';

/** Blocks of the parameter, counted in embeddings. */
const SPLITS: readonly (readonly number[])[] = [[3], [1, 2], [1, 1, 1]];
const EMBEDDINGS = 3;

/**
 * The parts that the model has of a packed parameter, where all of them are told by values; else
 * the claim as it is.
 */
export function attentionParts(
  claim: Claim,
  slots: readonly WeightSlot[],
  parameters: ReadonlyMap<string, FileTensor> = new Map(),
): readonly Claim[] {
  const { name, source, original } = claim;
  const isBias = name.parameter === PACKED_ATTENTION_BIAS;
  if (!isPackedAttention(name) || source.kind !== 'tensor') return [claim];
  const { tensor } = source;
  const weights = isBias ? parameters.get(`${name.module}.${PACKED_ATTENTION}`) : (original ?? tensor);
  const own = isBias ? 'bias' : 'weight';
  const parts =
    weights === undefined
      ? partsOfThree(tensor, name.module, slots, parameters)
      : partsOf(weights, tensor, name.module, slots);
  if (parts === undefined || parts.length === 1) return [claim];
  const claims = parts.map((part): Claim | undefined => {
    const block = blockOf(tensor, part);
    const before = original === undefined ? undefined : blockOf(original, part);
    const at = isBias ? biasesOf(part.slots, before ?? block, slots) : part.slots;
    return at === undefined
      ? undefined
      : {
          ...claim,
          name: { ...name, module: part.module, parameter: own },
          source: { kind: 'tensor', tensor: block },
          ...(before !== undefined && { original: before }),
          at,
        };
  });
  return claims.every((part) => part !== undefined) ? claims : [claim];
}

interface Part {
  readonly module: string;
  /** In embeddings. */
  readonly start: number;
  readonly count: number;
  readonly slots: readonly WeightSlot[];
}

function blockOf(tensor: FileTensor, { start, count }: Pick<Part, 'start' | 'count'>): FileTensor {
  return tensor.rows((start * (tensor.dims[0] ?? 0)) / EMBEDDINGS, (count * (tensor.dims[0] ?? 0)) / EMBEDDINGS);
}

/**
 * The first split of which the model has every block, each in one place: where the module is, if
 * others have the same values.
 */
function partsOf(
  weights: FileTensor,
  { dims: [extent = 0] }: FileTensor,
  module: string,
  slots: readonly WeightSlot[],
): Part[] | undefined {
  if (weights.dims.length !== 2 || weights.dims[0] !== extent || extent % EMBEDDINGS !== 0) return undefined;
  for (const split of SPLITS) {
    let start = 0;
    const parts = split.map((count, index): Part => {
      const part = { module: `${module}.in_proj_${index}`, start, count };
      start += count;
      return { ...part, slots: productsOf(blockOf(weights, part), module, slots) };
    });
    if (parts.every((part) => part.slots.length > 0)) return parts;
  }
  return undefined;
}

/**
 * Keys or values of another size than the queries: three matrices of their own, and one bias for
 * all.
 */
function partsOfThree(
  bias: FileTensor,
  module: string,
  slots: readonly WeightSlot[],
  parameters: ReadonlyMap<string, FileTensor>,
): Part[] | undefined {
  const parts = ['q', 'k', 'v'].map((of, start): Part => {
    const weights = parameters.get(`${module}.${of}_proj_weight.weight`);
    const isFit = weights?.dims.length === 2 && weights.dims[0] === (bias.dims[0] ?? 0) / EMBEDDINGS;
    return { module: `${module}.${of}_proj`, start, count: 1, slots: isFit ? productsOf(weights, module, slots) : [] };
  });
  return parts.every((part) => part.slots.length > 0) ? parts : undefined;
}

function productsOf(block: FileTensor, module: string, slots: readonly WeightSlot[]): readonly WeightSlot[] {
  return closestTo(
    module,
    slots.filter((slot) => holdsBlock(slot, block)),
  );
}

/** The block itself, without a scale: its bias is then the file's as well. */
function holdsBlock(slot: WeightSlot, block: FileTensor): boolean {
  if (slot.parameter === 'bias' || slot.tensor.size !== block.size) return false;
  return LAYOUTS.some((layout) => {
    const view = alignedView(block, { name: BLOCK }, slot, layout);
    return view !== undefined && isEqualWhereBoth(view, slot.tensor);
  });
}

const BLOCK = { module: '', parameter: 'weight', part: 'bare', isParameter: true, isKernel: false } as const;

/** What is added to the products; undefined where that is not the file's bias for one of them. */
function biasesOf(
  products: readonly WeightSlot[],
  block: FileTensor,
  slots: readonly WeightSlot[],
): readonly WeightSlot[] | undefined {
  const found = products.map(({ added }): WeightSlot | undefined => {
    const at = slots.find(({ node, index }) => node === added?.node && index === added.index) ?? added;
    if (at === undefined || at.tensor.dims.join() !== block.dims.join()) return undefined;
    // Of nothing but zeros no element is left to compare: the weights in front say whose they are.
    return isEqualWhereBoth(block, at.tensor, 0) ? at : undefined;
  });
  return found.every((slot) => slot !== undefined) ? found : undefined;
}
