/** Attributes of native operators. */
import type { AttributeValue } from '../../src/ir/graph.js';

export const int = (value: number): AttributeValue => ({ kind: 'int', value });
export const ints = (value: readonly number[]): AttributeValue => ({ kind: 'ints', value });
export const float = (value: number): AttributeValue => ({ kind: 'float', value });
export const floats = (value: readonly number[]): AttributeValue => ({ kind: 'floats', value });
export const text = (value: string): AttributeValue => ({ kind: 'string', value });
