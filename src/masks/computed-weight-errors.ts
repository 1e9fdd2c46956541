/** Weights of the model that an exporter computed from the parameter that a mask is for. */
import type { PruneCompileError } from '../errors.js';
import type { Claim } from './claim.js';
import { maskError, slotText } from './mask-error.js';
import type { WeightSlot } from './slots.js';

/** A weight that the exporter computed from the masked parameter: the mask changes the factors. */
export function foldedParametrisation(claim: Claim, slot: WeightSlot, way: string): PruneCompileError {
  return computedWeight(
    claim,
    slot,
    `the exporter computed it by ${way}, which has other results once the parameter has zeros`,
    `make the pruning permanent (prune.remove), remove ${way} (torch.nn.utils.parametrize.remove_parametrizations), export again, and compile without masks${way === 'weight_norm' ? '; or export with dynamo=False, which keeps weight_norm in the graph' : ''}`,
  );
}

/** Nothing in the file says what the exporter computed. */
export function computedConstant(claim: Claim, slot: WeightSlot): PruneCompileError {
  return computedWeight(
    claim,
    slot,
    `the exporter computed it from other tensors, as its name says (${slot.root.name}): it is not the parameter, and with zeros in that it may be another one`,
    'the whole state dict, whose values tell; else write the zeros into the weights (in PyTorch prune.remove), export again, and compile without masks',
  );
}

export function unexplainedScale(claim: Claim, slot: WeightSlot): PruneCompileError {
  return computedWeight(
    claim,
    slot,
    'its filters are those of the file, each scaled by a factor that no normalisation of the file explains: it may have been computed from the weight, and then the mask changes it',
    'the whole state dict if a normalisation was folded; else write the zeros into the weights (in PyTorch prune.remove), export again, and compile without masks',
  );
}

function computedWeight(claim: Claim, slot: WeightSlot, why: string, hint: string): PruneCompileError {
  return maskError('E-MASK-LOST', `${claim.key} of ${claim.file} cannot be applied to the weight that the model has`, [
    ['weight', slotText(slot)],
    ['why', why],
    ['try', hint],
  ]);
}
