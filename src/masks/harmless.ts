/** Tensors that belong to no weight, and zeros among them: what may be there without a loss. */
import { BOOL, isFloating, type Tensor } from '../ir/tensor.js';
import { isHeldCausal, isHeldInPart, isHeldWhole, saysMuch } from './buffers.js';
import type { Claim } from './claim.js';
import type { FileTensor } from './contents.js';
import { isAllZero, isBinary, relationOf } from './evidence.js';
import { LayerModules } from './layer-modules.js';
import { parseKey, saysScore } from './names.js';
import type { WeightSlot } from './slots.js';

export class Harmless {
  readonly #slots: readonly WeightSlot[];
  readonly #constants: readonly Tensor[];
  readonly #modules: LayerModules;

  /** `constants` are all of the model, whatever reads them. */
  constructor(slots: readonly WeightSlot[], constants: readonly Tensor[]) {
    this.#slots = slots;
    this.#constants = constants;
    this.#modules = new LayerModules(slots);
  }

  /**
   * Nothing that is trained is an integer: indices, tables of attention. But a mask may be, and a
   * list of what is kept or gone, with zeros or without. Only what the graph holds, or what has a
   * name that says it, is known to be neither.
   */
  isStateOfIntegers(claim: Claim, tensor: FileTensor): boolean {
    if (tensor.dataType !== BOOL && POSITIONS.test(claim.key)) return true;
    if (LISTS.test(claim.key) || this.#modules.holds(claim)) return false;
    return this.isConstant(claim, tensor);
  }

  /**
   * Zeros of no extent: a count, a score beside the weights, or a flag or gate that is nowhere in
   * the model.
   */
  isIdleScalar(claim: Claim, { dims, dataType }: FileTensor): boolean {
    if (dims.length > 0 || claim.name.part === 'mask' || dataType === BOOL) return false;
    return isFloating(dataType) ? claim.isOutside === true : !this.#modules.holds(claim);
  }

  /**
   * Numbers without a zero that may prune all the same: indices that were written as floats, and
   * scores or thresholds of a layer that has no other mask. A tool computes its zeros from those.
   */
  mayPrune(claim: Claim, tensor: FileTensor, masked: readonly WeightSlot[]): boolean {
    const { name, isOriginal, key } = claim;
    if (isOriginal === true || name.isParameter || name.part !== 'bare' || !tensor.isCompact) return false;
    const slots = this.#modules.around(claim);
    const alike = this.#constants.filter(({ dataType }) => isSameKindOfNumber(dataType, tensor.dataType));
    // In part is not enough: what the graph has not is what may prune.
    if (slots.length === 0 || isHeldWhole(tensor, alike)) return false;
    const words = claim.isOutside === true ? key : (key.split('.').at(-1) ?? '');
    if (saysScore(words)) return !slots.some((slot) => masked.includes(slot) || slot.tensor.numbers().includes(0));
    if (tensor.dims.length !== 1) return false;
    const numbers = tensor.toTensor().numbers();
    const largest = Math.max(...slots.map((slot) => slot.tensor.size));
    if (!numbers.every((value) => Number.isInteger(value) && value >= 0 && value < largest)) return false;
    return LISTS.test(key) || (numbers.length > 1 && new Set(numbers).size === numbers.length);
  }

  /** A buffer that the graph holds. Zeros alone are no evidence but where the module is. */
  isConstant(claim: Claim, tensor: FileTensor): boolean {
    const constants = this.#constants;
    if (!tensor.isCompact) return false;
    if (isAllZero(tensor)) return isFloating(tensor.dataType) && this.#isZeroAround(claim, tensor);
    // Zeros and ones that a layer beside them could be masked with are equal to others by accident.
    if (isBinary(tensor) && this.#modules.fits(claim, tensor)) return false;
    if (isHeldCausal(tensor, constants)) return true;
    // Axes and bounds are integers as well, and few.
    if (!isFloating(tensor.dataType) && !saysMuch(tensor.toTensor().numbers())) return false;
    const alike = constants.filter(({ dataType }) => isSameKindOfNumber(dataType, tensor.dataType));
    return isHeldInPart(tensor, alike) || isHeldWhole(tensor, alike);
  }

  /**
   * Whether all that it could be is zero in the model as well: what bears the name of another
   * parameter is that one.
   */
  #isZeroAround(claim: Claim, tensor: FileTensor): boolean {
    const isNamed = (name: string) => parseKey(name)?.isParameter === true;
    const around = this.#slots.filter(
      (slot) => slot.tensor.size === tensor.size && relationOf(claim, slot) !== 'stranger' && !slot.names.some(isNamed),
    );
    return around.length > 0 && around.every((slot) => isHeldWhole(tensor, [slot.tensor]));
  }
}

/** Lists of kept or pruned indices need not have a zero. */
const LISTS = /idx|indices|index|kept|keep|mask|prun|remov|drop|alive|dead/i;

/** What transformers call positions and pairs of them. */
const POSITIONS = /(^|\.)(position_ids|token_type_ids|relative_position_index)$/;

function isSameKindOfNumber(one: number, other: number): boolean {
  return isFloating(one) === isFloating(other) && (one === BOOL) === (other === BOOL);
}
