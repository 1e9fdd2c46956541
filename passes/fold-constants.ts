/**
 * fold-constants: computes what the model computes from constants alone, such as a mask multiplied into a weight, once
 * and for all.
 *
 *   weight_orig \
 *                Mul -> Conv          =>    weight -> Conv
 *   weight_mask /
 *
 * Values that hold the same are read from one place: what an Identity makes of a weight is that weight.
 *
 * Exact? Bitwise: ONNX Runtime itself does the arithmetic. Declines when the file would grow: the result is larger than what it is
 * made from (ConstantOfShape, Expand, a wider type), or that is read elsewhere and stays (a weight and its transpose). Declines
 * for dequantised weights, too. Cost: one small session for all of them.
 */
import type { Shapes } from '../src/analysis/shapes.js';
import type { Knowledge } from '../src/analysis/site.js';
import { type Graph, hasInitializer, type Node, type Value } from '../src/ir/graph.js';
import { isFloating, type Tensor } from '../src/ir/tensor.js';
import { constantNodeTensor } from '../src/ops/constant-node.js';
import { isStored, rootOf } from '../src/ops/aliases.js';
import { type Pass, UNCHANGED } from './pass.js';

/** Results up to this many elements are folded whatever they are made from: shapes, axes, pads, scalars. */
const SMALL = 64;

/** So few bytes are less than the nodes that compute them. */
const NEGLIGIBLE = 16;

/** All that hold one tensor, to be read from the first of them or from an initializer of its own. */
interface Fold {
  readonly values: Value[];
  readonly source: Value | { readonly name: string; readonly tensor: Tensor };
  readonly isMasked: boolean;
}

export const foldConstants: Pass = {
  name: 'fold-constants',
  summary: 'multiply masks into weights, and fold other arithmetic on constants',
  exactness: 'bitwise',
  async run({ editor, knowledge }) {
    const folds = findFolds(await knowledge()).filter(({ values }) => values.length > 0);
    if (folds.length === 0) return UNCHANGED;
    const changed = editor.transaction('fold constants', () => {
      for (const { values, source } of folds) {
        const folded = 'tensor' in source ? editor.addInitializer(source.name, source.tensor) : source;
        for (const value of values) editor.replaceUses(value, folded);
      }
    });
    const masked = folds.filter(({ isMasked }) => isMasked).length;
    const message =
      masked > 0 ? `multiplied ${masked} masks into their weights` : `folded ${folds.length} computed constants`;
    return { changed, gains: changed && masked > 0, remarks: [{ kind: 'applied', message }] };
  },
};

function findFolds({ graph, constants, shapes }: Knowledge): Fold[] {
  const folds = new Map<Tensor, Fold>();
  for (const value of graph.initializers())
    folds.set(value.initializer, { values: [], source: value, isMasked: false });
  const places = new Map(graph.nodes.map((node, place) => [node, place]));
  for (const node of graph.nodes) {
    for (const value of node.outputs) {
      const tensor = constants.tensor(value);
      if (value === undefined || tensor === undefined) continue;
      const first = folds.get(tensor);
      if (first !== undefined) {
        if (value.uses.length > 0) first.values.push(value);
      } else if (node.opType === 'Constant') folds.set(tensor, { values: [], source: value, isMasked: false });
      else if (value.uses.length > 0) {
        const { source, isMasked } = sourceOf(node, tensor, shapes);
        const name = source?.replace(/_orig$/, '') ?? `${value.name}_folded`;
        const isSmall = tensor.size <= SMALL && !(isFloating(tensor.dataType) && isStored(rootOf(value)));
        const pays =
          source !== undefined && tensor.sizeBytes <= bytesOnlyFor(value, tensor, { graph, constants, places });
        if (isSmall || pays || tensor.sizeBytes <= NEGLIGIBLE)
          folds.set(tensor, { values: [value], source: { name, tensor }, isMasked: isMasked && source !== undefined });
        else folds.set(tensor, { values: [], source: value, isMasked: false });
      }
    }
  }
  return [...folds.values()];
}

interface Places {
  readonly graph: Graph;
  readonly constants: Knowledge['constants'];
  readonly places: ReadonlyMap<Node, number>;
}

/** Bytes of stored constants that nobody reads any more once all that hold the tensor are read from elsewhere. */
function bytesOnlyFor(value: Value, tensor: Tensor, { constants, places }: Places): number {
  const cone = new Set(value.producer === undefined ? [] : [value.producer]);
  for (const node of cone) for (const input of node.inputs) if (input?.producer !== undefined) cone.add(input.producer);
  const unread = new Set<Node>();
  const isUnread = (at: Value | undefined) =>
    at === undefined ||
    (!at.isSeenOutside && (constants.tensor(at) === tensor || at.uses.every(({ node }) => unread.has(node))));
  for (const node of [...cone].toSorted((one, other) => (places.get(other) ?? 0) - (places.get(one) ?? 0)))
    if (node.outputs.every(isUnread)) unread.add(node);
  const operands = new Set([...unread].flatMap(({ inputs }) => inputs));
  let bytes = 0;
  for (const operand of operands) {
    if (operand !== undefined && hasInitializer(operand) && isUnread(operand)) bytes += operand.initializer.sizeBytes;
  }
  for (const node of unread) bytes += constantNodeTensor(node)?.sizeBytes ?? 0;
  return bytes;
}

/** The constant of the result's size that it is made from, preferring `…_orig`, and whether a mask is multiplied in. */
function sourceOf(node: Node, result: Tensor, shapes: Shapes): { source: string | undefined; isMasked: boolean } {
  const names: string[] = [];
  if (!isFloating(result.dataType)) return { source: undefined, isMasked: false };
  let isMasked = false;
  const seen = new Set([node]);
  for (const at of seen) {
    // An extent that is read is no data: a bias that is blown up to the weights' width is not made from them.
    if (at.opType === 'Shape') continue;
    isMasked ||= at.opType === 'Mul' && multipliesData(at, shapes);
    for (const input of at.inputs) {
      const tensor = input?.initializer ?? input?.producer?.tensor('value');
      if (tensor?.size === result.size && input !== undefined) names.push(input.name);
      if (input?.producer !== undefined) seen.add(input.producer);
    }
  }
  return { source: names.find((name) => name.endsWith('_orig')) ?? names[0], isMasked };
}

/** A Mul with a lone number scales, one of integers computes a shape; a mask has the weight's dtype. */
function multipliesData({ inputs, outputs: [product] }: Node, shapes: Shapes): boolean {
  const dataType = product === undefined ? undefined : shapes.dataTypeOf(product);
  const isScaled = inputs.some((value) => (value?.initializer ?? value?.producer?.tensor('value'))?.size === 1);
  return !isScaled && (dataType === undefined || isFloating(dataType));
}
