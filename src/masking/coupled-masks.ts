/**
 * Torch-Pruning writes down only the layer it began with: what had to shrink with it (residual
 * branches, depthwise layers, the columns of readers) it found from its graph, as the classes of
 * positions do here. Indices count what earlier steps left.
 */
import type { Binding } from '../masks/binding.js';
import { maskFactors } from '../masks/expand.js';
import { historyMisfit, historyUnknown } from '../masks/mask-errors.js';
import type { WeightSlot } from '../masks/slots.js';
import type { Facts } from '../channels/facts.js';
import { isOperand, type Axis } from '../channels/positions.js';

interface SlotAxis {
  readonly slot: WeightSlot;
  readonly axis: Axis;
}

/**
 * One binding per weight that shrinks; each names the first step that reached it as its evidence.
 */
export function coupledMasks(steps: readonly Binding[], slots: readonly WeightSlot[], facts: Facts): Binding[] {
  const axes = slots.flatMap((slot) => axesOf(slot, facts).map((axis): SlotAxis => ({ slot, axis })));
  const gone = new Set<number>();
  const reasons = new Map<WeightSlot, Binding>();
  for (const step of steps) {
    const { source } = step.claim;
    const own = axes.find(({ slot, axis }) => slot === step.slot && axis.axis === wantedAxis(step));
    if (source.kind !== 'indices') continue;
    if (own === undefined) throw historyUnknown(step.claim, step.slot);
    const left = indicesOf(own.axis).filter((index) => !gone.has(facts.positions.classOf(own.axis.base + index)));
    for (const index of source.indices) {
      const original = left[index];
      if (original === undefined) throw historyMisfit(step.claim, step.slot, left.length);
      gone.add(facts.positions.classOf(own.axis.base + original));
    }
    for (const { slot, axis } of axes) {
      const isReached = indicesOf(axis).some((index) => gone.has(facts.positions.classOf(axis.base + index)));
      if (isReached && slot.isLayer && !reasons.has(slot)) reasons.set(slot, step);
    }
  }
  return [...reasons].map(([slot, step]): Binding => {
    const removed = axes
      .filter((entry) => entry.slot === slot)
      .map(({ axis }) => ({
        axis: axis.axis,
        indices: indicesOf(axis).filter((index) => gone.has(facts.positions.classOf(axis.base + index))),
      }));
    return { ...step, slot, mask: maskFactors(slot.tensor.dims, removed) };
  });
}

function wantedAxis({ claim: { source }, slot }: Binding): number | undefined {
  return source.kind === 'indices' && source.axis === 1 ? slot.inAxis : slot.outAxis;
}

function axesOf({ node, index }: WeightSlot, facts: Facts): Axis[] {
  const slot = facts.nodeOf.get(node)?.inSlots[index];
  if (slot === undefined || !isOperand(slot)) return [];
  return facts.positions.axesOf(slot).flatMap((axis) => (axis === undefined ? [] : [axis]));
}

function indicesOf({ extent }: Axis): number[] {
  return Array.from({ length: extent }, (_, index) => index);
}
