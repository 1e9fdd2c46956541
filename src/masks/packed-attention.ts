/** torch.nn.MultiheadAttention keeps the matrices of query, key and value in one parameter. */
import type { Claim } from './claims.js';
import type { FileTensor } from './contents.js';
import { expandMask, LAYOUTS } from './expand.js';
import { PACKED_ATTENTION } from './names.js';
import type { WeightSlot } from './slots.js';

const ATTENTION_PARTS = ['q', 'k', 'v'] as const;

/** Where the inputs of attention differ, exporters write a product for each: three matrices, which only their values tell apart. */
export function attentionParts(claim: Claim, slots: readonly WeightSlot[]): readonly Claim[] {
  const { name, source, original } = claim;
  if (name.parameter !== PACKED_ATTENTION || source.kind !== 'tensor') return [claim];
  const { tensor } = source;
  const isWhole = slots.some((slot) => LAYOUTS.some((layout) => expandMask(claim, slot, layout) !== undefined));
  if (isWhole || tensor.dims.length !== 2 || (tensor.dims[0] ?? 0) % ATTENTION_PARTS.length !== 0) return [claim];
  const blockOf = (whole: FileTensor, part: number) => whole.block(part, ATTENTION_PARTS.length);
  return ATTENTION_PARTS.map((letter, part) => ({
    ...claim,
    name: { ...name, module: `${name.module}.in_proj_${letter}`, parameter: 'weight' },
    source: { kind: 'tensor', tensor: blockOf(tensor, part) },
    ...(original !== undefined && { original: blockOf(original, part) }),
  }));
}
