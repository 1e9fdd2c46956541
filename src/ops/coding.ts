/** What a DequantizeLinear makes: value = scale * (code - zero point). */
import type { Node, Value } from '../ir/graph.js';
import { normalAxis } from './axes.js';
import { operatorOf } from './registry.js';

export interface Coding {
  readonly node: Node;
  readonly codes: Value;
  /** One number, or one per index of `axis`. */
  readonly scale: Value;
  /** Undefined: 0. */
  readonly zeroPoint: Value | undefined;
  readonly axis: number;
}

/** Undefined for values that are made in another way, and for scales of blocks. */
export function codingOf({ producer }: Value, rank: number): Coding | undefined {
  if (producer === undefined || !isDecoder(producer) || producer.int('block_size', 0) !== 0) return undefined;
  const [codes, scale, zeroPoint] = producer.inputs;
  if (codes === undefined || scale === undefined) return undefined;
  return { node: producer, codes, scale, zeroPoint, axis: normalAxis(producer.int('axis', 1), rank) };
}

function isDecoder(node: Node): boolean {
  return operatorOf(node)?.isDecoder === true;
}
