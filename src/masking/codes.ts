/** Masks of weights that are stored as codes. */
import type { Use, Value } from '../ir/graph.js';
import type { Factors } from '../masks/apply.js';
import type { Codes } from '../masks/slots.js';
import { storedTensor } from '../ops/aliases.js';
import { codingOf } from '../ops/coding.js';

/**
 * How a decoder stores what it reads at `use`. Undefined: no codes are read there. null: codes, but
 * what stands for 0 in them is computed, or is for blocks of them.
 */
export function codesAt({ node, index }: Use, rank: number): Codes | null | undefined {
  const [decoded] = node.outputs;
  const coding = decoded && codingOf(decoded, rank);
  if (coding === undefined || index !== 0) return undefined;
  const { zeroPoint, axis } = coding;
  const zeroPoints = zeroPoint && storedTensor(zeroPoint);
  if (zeroPoint !== undefined && (zeroPoints === undefined || zeroPoints.dims.length > 1)) return null;
  const stored = storedTensor(coding.codes);
  return stored === undefined ? null : { stored, zeroPoints, axis };
}

/** The stored codes that the value is decoded from, where nothing else is. */
export function ownCodes(value: Value | undefined, rank: number): Use | undefined {
  const coding = value?.hasSingleUse === true ? codingOf(value, rank) : undefined;
  return coding?.codes.initializer === undefined ? undefined : { node: coding.node, index: 0 };
}

/** Codes are whole numbers: a share of one is none. */
export function isBinary(factors: Factors): boolean {
  return factors instanceof Uint8Array || factors.every((factor) => factor === 0 || factor === 1);
}
