/** An error about masks, and how it names weights. */
import { type ErrorCode, PruneCompileError } from '../errors.js';
import type { WeightSlot } from './slots.js';

export type Facts = (readonly [string, string])[];

export function maskError(code: ErrorCode, what: string, facts: Facts): PruneCompileError {
  return new PruneCompileError(code, { what, facts });
}

export function slotName({ node, value }: WeightSlot): string {
  return value.initializer === undefined ? node.label : value.name;
}

export function slotText(slot: WeightSlot): string {
  const { node, tensor } = slot;
  return `${slotName(slot)} [${tensor.dims.join(', ')}] of ${node.label} (${node.opType})`;
}
