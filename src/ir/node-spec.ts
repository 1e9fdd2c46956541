/** A node that is to be made. */
import { type AttributeValue, Node, type Origin, type Value } from './graph.js';

export interface NodeSpec {
  opType: string;
  domain?: string;
  name: string;
  inputs: readonly (Value | undefined)[];
  /** Names wished for the outputs; made fresh. */
  outputs: readonly string[];
  attributes?: Readonly<Record<string, AttributeValue>>;
  /** What the node is made for, where anybody asks. */
  origin?: Origin;
  /** Type of the first output, to be written down in value_info. */
  declared?: NonNullable<Value['declared']>;
}

export function newNode({
  opType,
  domain = '',
  name,
  origin,
  attributes = {},
}: Omit<NodeSpec, 'inputs' | 'outputs'>): Node {
  const node = new Node(opType, domain, name);
  node.origin = origin;
  for (const [key, value] of Object.entries(attributes)) node.attributes.set(key, value);
  return node;
}
