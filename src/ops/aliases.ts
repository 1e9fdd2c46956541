/**
 * Values that are another value over again, under another name, in another layout or type: of a stored tensor such an alias is no
 * parameter of its own. Zeros stay where they are, so what is cut out of one can be cut out of what it is an alias of.
 */
import type { Dim, Node, Use, Value } from '../ir/graph.js';

/** Each element is the element at the same place. */
const SAME_PLACE: ReadonlySet<string> = new Set(['Identity', 'Cast', 'CastLike']);
/** The elements in the same order, under other extents. */
const SAME_ORDER: ReadonlySet<string> = new Set(['Reshape', 'Squeeze', 'Unsqueeze']);

/** What the output of the node is an alias of; undefined for all other operators. */
export function aliasedBy(node: Node): Value | undefined {
  const isAlias = SAME_PLACE.has(node.opType) || SAME_ORDER.has(node.opType) || node.opType === 'Transpose';
  return isAlias && node.domain === '' ? node.inputs[0] : undefined;
}

/** The value that no node makes an alias: an initializer, the output of a Constant node, or what is computed otherwise. */
export function rootOf(value: Value): Value {
  let root = value;
  for (let next = up(root); next !== undefined; next = up(root)) root = next;
  return root;
}

/** The same through Identity alone: what has the same contents, bit for bit. */
export function storedAs(value: Value): Value {
  let root = value;
  for (let { producer } = root; producer?.opType === 'Identity' && producer.domain === ''; { producer } = root) {
    const [next] = producer.inputs;
    if (next === undefined) break;
    root = next;
  }
  return root;
}

/** Whether the node only gives a value another name. */
export function isCopy({ opType, domain }: Node): boolean {
  return opType === 'Identity' && domain === '';
}

/** What is added to the value by its only reader: the operand of an Add. */
export function addedTo({ uses: [sum, ...others], isSeenOutside }: Value): Use | undefined {
  if (sum === undefined || others.length > 0 || isSeenOutside) return undefined;
  const { node, index } = sum;
  return node.opType === 'Add' && node.domain === '' ? { node, index: 1 - index } : undefined;
}

/** Whether the reader asks for extents or the type alone: it has no part in what the elements are. */
export function readsNoElements({ node: { opType, domain }, index }: Use): boolean {
  return domain === '' && (opType === 'Shape' || opType === 'Size' || (opType === 'CastLike' && index === 1));
}

/** Whether a file holds the value's contents as they are. */
export function isStored({ initializer, producer }: Value): boolean {
  return initializer !== undefined || producer?.opType === 'Constant';
}

function up({ initializer, producer }: Value): Value | undefined {
  return initializer === undefined && producer !== undefined ? aliasedBy(producer) : undefined;
}

/** Who reads the value or an alias of it, aliases themselves not counted unless `isReader` says so; undefined where somebody else sees one. */
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

/** Per axis of the value the axis of its root, undefined where the root has none (it is of extent 1); undefined where nothing tells. */
export function axesInRoot(
  value: Value,
  dimsOf: (value: Value) => readonly Dim[] | undefined,
): readonly (number | undefined)[] | undefined {
  const source = up(value);
  const { producer } = value;
  if (source === undefined || producer === undefined) return dimsOf(value)?.map((_, axis) => axis);
  const above = axesInRoot(source, dimsOf);
  if (above === undefined || SAME_PLACE.has(producer.opType)) return above;
  if (producer.opType === 'Transpose') return producer.ints('perm')?.map((axis) => above[axis]) ?? above.toReversed();
  const [dims, sourceDims] = [dimsOf(value), dimsOf(source)];
  // The target of a Reshape is written down and would have to be cut as well.
  if (producer.opType === 'Reshape' || dims === undefined || sourceDims === undefined) return undefined;
  const wide = above.filter((_, axis) => sourceDims[axis] !== 1);
  let seen = 0;
  return dims.map((dim) => (dim === 1 ? undefined : wide[seen++]));
}
