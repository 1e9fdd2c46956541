/**
 * Values that are another value over again, under another name, in another layout or type: of a
 * stored tensor such an alias is no parameter of its own. Zeros stay where they are, so what is cut
 * out of one can be cut out of what it is an alias of.
 */
import type { Dim, Node, Use, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { operatorOf } from './registry.js';

/** What the output of the node is an alias of; undefined for all other operators. */
export function aliasedBy(node: Node): Value | undefined {
  return operatorOf(node)?.alias === undefined ? undefined : node.inputs[0];
}

/**
 * The value that no node makes an alias: an initializer, the output of a Constant node, or what is
 * computed otherwise.
 */
export function rootOf(value: Value): Value {
  let root = value;
  for (let next = up(root); next !== undefined; next = up(root)) root = next;
  return root;
}

/** The same through copies alone: what has the same contents, bit for bit. */
export function storedAs(value: Value): Value {
  let root = value;
  for (;;) {
    const { producer } = root;
    const next = producer !== undefined && isCopy(producer) ? producer.inputs[0] : undefined;
    if (next === undefined) break;
    root = next;
  }
  return root;
}

/** Whether the node only gives a value another name. */
export function isCopy(node: Node): boolean {
  return operatorOf(node)?.isCopy === true;
}

/** Through copies, and casts to the type that it has already, as the dynamo exporter writes them. */
export function isSameElements(value: Value, stored: Value): boolean {
  const root = storedAs(value);
  if (root === stored) return true;
  const { producer } = root;
  const source = producer?.opType === 'Cast' && producer.domain === '' ? producer.inputs[0] : undefined;
  const type = stored.initializer?.dataType;
  return (
    source !== undefined && type !== undefined && producer?.int('to', -1) === type && isSameElements(source, stored)
  );
}

/** What is added to the value by its only reader: the operand of an Add. */
export function addedTo({ uses: [sum, ...others], isSeenOutside }: Value): Use | undefined {
  if (sum === undefined || others.length > 0 || isSeenOutside) return undefined;
  const { node, index } = sum;
  return node.opType === 'Add' && node.domain === '' ? { node, index: 1 - index } : undefined;
}

/**
 * Whether the reader asks for extents or the type alone: it has no part in what the elements are.
 */
export function readsNoElements({ node, index }: Use): boolean {
  return operatorOf(node)?.ignoresElementsOf?.includes(index) === true;
}

/** Whether a file holds the value's contents as they are. */
export function isStored({ initializer, producer }: Value): boolean {
  return initializer !== undefined || (producer !== undefined && operatorOf(producer)?.stored !== undefined);
}

/**
 * The tensor of an initializer, or of a node that holds one; undefined for strings, and for what is
 * computed.
 */
export function storedTensor({ initializer, producer }: Value): Tensor | undefined {
  return initializer ?? (producer === undefined ? undefined : nodeTensor(producer));
}

/** The tensor that the node itself holds. */
export function nodeTensor(node: Node): Tensor | undefined {
  return operatorOf(node)?.stored?.(node);
}

function up({ initializer, producer }: Value): Value | undefined {
  return initializer === undefined && producer !== undefined ? aliasedBy(producer) : undefined;
}

/**
 * Who reads the value or an alias of it, aliases themselves not counted unless `isReader` says so;
 * undefined where somebody else sees one.
 */
export function readersOf(value: Value, isReader: (use: Use) => boolean = () => false): readonly Use[] | undefined {
  if (value.isSeenOutside) return undefined;
  const readers: Use[] = [];
  for (const use of value.uses) {
    const [alias] = use.node.outputs;
    const isAlias = use.index === 0 && aliasedBy(use.node) === value && alias !== undefined && !isReader(use);
    const found = isAlias ? readersOf(alias, isReader) : [use];
    if (found === undefined) return undefined;
    readers.push(...found);
  }
  return readers;
}

/**
 * Per axis of the value the axis of its root, undefined where the root has none (it is of extent
 * 1); undefined where nothing tells.
 */
export function axesInRoot(
  value: Value,
  dimsOf: (value: Value) => readonly Dim[] | undefined,
): readonly (number | undefined)[] | undefined {
  const source = up(value);
  const { producer } = value;
  if (source === undefined || producer === undefined) return dimsOf(value)?.map((_, axis) => axis);
  const above = axesInRoot(source, dimsOf);
  const operator = operatorOf(producer);
  if (above === undefined || operator?.alias === 'same') return above;
  if (operator?.alias === 'transposed') return producer.ints('perm')?.map((axis) => above[axis]) ?? above.toReversed();
  const [dims, sourceDims] = [dimsOf(value), dimsOf(source)];
  // A target that is written down would have to be cut as well.
  if (operator?.adjust !== undefined || dims === undefined || sourceDims === undefined) return undefined;
  const wide = above.filter((_, axis) => sourceDims[axis] !== 1);
  let seen = 0;
  return dims.map((dim) => (dim === 1 ? undefined : wide[seen++]));
}
