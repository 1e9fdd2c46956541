/**
 * Tensors among the state of training: moments of an optimizer, random numbers, a best score. What
 * picks channels of a layer is none of these, nor is a weight with zeros of its own.
 */
import { BOOL, isFloating } from '../ir/tensor.js';
import type { MaskSource } from './claim.js';
import type { FileTensor } from './contents.js';
import { isAllZero, isBinary } from './evidence.js';
import type { StateKind } from './fates.js';
import { type KnownLayers, type Mention, segmentsOf } from './known-layers.js';
import { parseKey, saysPruning } from './names.js';
import { isQuantity } from './said-words.js';

/** What optimizers keep of each parameter, under whose name it may be. */
const MOMENT =
  /^(exp_avg(_sq|_slow|_diff)?|exp_inf|max_exp_avg_sq|(momentum|velocity)(_buffers?)?|square_avg|acc_delta|grad(ient)?s?(_avg)?|m|v|mu|nu|sum|moments?\d?|prev|previous(_\w+)?)$/i;

/**
 * Whether it is a mask by its name or its values, or may pick channels of a layer that its key
 * names. A fresh optimizer's zeros alone are none.
 */
export function mayBeMask(source: MaskSource, key: string, state: StateKind, layers?: KnownLayers): boolean {
  if (source.kind !== 'tensor') return true;
  const { tensor } = source;
  if (tensor.dims.length === 0) return false;
  if (/mask/i.test(key)) return true;
  if (state === 'random-numbers') return false;
  if (saysPruning(key) || tensor.dataType === BOOL) return tensor.holdsZero() || !isFloating(tensor.dataType);
  if (tensor.size > 1 && tensor.holdsZero() && isBinary(tensor) && tensor.toTensor().numbers().includes(1)) return true;
  const mention = layers?.find(segmentsOf(key));
  return mention !== undefined && (mayPick(tensor, mention) || isPrunedWeight(source, key));
}

/** Indices of a layer, in integers or in floats. */
function mayPick(tensor: FileTensor, { layer, before, after }: Mention): boolean {
  const word = after.at(-1) ?? before.at(-1) ?? '';
  if (tensor.dims.length !== 1 || !tensor.isCompact || isQuantity(word) || MOMENT.test(word)) return false;
  const numbers = [...tensor.toTensor().numbers()];
  if (!isFloating(tensor.dataType)) return true;
  const isIndices = numbers.every((value) => Number.isInteger(value) && value >= 0 && value < layer.channels);
  return isIndices && new Set(numbers).size === numbers.length;
}

/** Called as a parameter is, with zeros among its values. */
export function isPrunedWeight(source: MaskSource, key: string): boolean {
  const name = parseKey(key);
  if (source.kind !== 'tensor' || name?.isParameter !== true || name.part === 'mask') return false;
  const isMoment = segmentsOf(key).some((word) => MOMENT.test(word));
  return !isMoment && isFloating(source.tensor.dataType) && source.tensor.holdsZero() && !isAllZero(source.tensor);
}
