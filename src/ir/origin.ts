/**
 * What the compiler made a node for. Passes say it in a field; nobody tells it from the node's
 * name, which a model may have taken.
 */
import type { Node, Origin } from './graph.js';

/** Kinds that a file can hold: of native operators their domain tells. */
export type StoredKind = Exclude<Origin['kind'], 'native'>;

export function isStoredKind(text: string): text is StoredKind {
  return text === 'compensation' || text === 'indicators' || text === 'ones';
}

/** What a file says of the node: a native operator is what the node in its place was. */
export function storedKindOf({ origin }: Node): StoredKind | undefined {
  if (origin?.kind !== 'native') return origin?.kind;
  const [first] = origin.of;
  return first && storedKindOf(first);
}

/**
 * Whether the compiler added it, so that it is no layer of the network; also as a native operator.
 */
export function isCompensation(node: Node): boolean {
  return storedKindOf(node) !== undefined;
}

/** Whether it makes the ones that compensations read. */
export function makesOnes(node: Node | undefined): boolean {
  return node?.origin?.kind === 'ones';
}

/** Whether it says, place by place, which taps of a kernel lie inside the image. */
export function makesIndicators(node: Node | undefined): boolean {
  return node?.origin?.kind === 'indicators';
}
