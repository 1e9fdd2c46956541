/** Masks as edits of a graph: which stored tensors change, and which readers get a copy. */
import type { Editor } from '../ir/editor.js';
import type { Graph, Node, Use, Value } from '../ir/graph.js';
import { DOUBLE, type Tensor } from '../ir/tensor.js';
import {
  type Factors,
  isSameFactors,
  type MaskedWeight,
  maskCodes,
  maskTensor,
  type OperandEdit,
  operandOf,
} from '../masks/apply.js';
import { FileTensor } from '../masks/contents.js';
import { aliasedBy, axesInRoot, readersOf, readsNoElements, rootOf, storedTensor } from '../ops/aliases.js';

/**
 * A stored weight changes where it is stored when all its readers have the mask, those of its
 * transpose or of another type of it too; else those of them that have the same mask share a copy.
 */
export function maskEdits({ nodes }: Graph, weights: readonly MaskedWeight[]): OperandEdit[] {
  const byRoot = new Map<Value, MaskedWeight[]>();
  for (const weight of withoutRepeats(weights)) {
    const root = rootOf(weight.bindings[0].slot.value);
    byRoot.set(root, [...(byRoot.get(root) ?? []), weight]);
  }
  const places = new Map(nodes.map((node, place) => [node, place]));
  return [...byRoot].flatMap(([root, list]) => {
    const whole = maskOfAll(root, list);
    const edits: OperandEdit[] = [];
    const copies: { readonly of: Tensor; readonly weight: MaskedWeight; readonly tensor: Tensor }[] = [];
    for (const weight of whole === undefined ? list : list.slice(0, 1)) {
      const { slot } = weight.bindings[0];
      const { node, index } = slot;
      const operand = slot.codes?.stored ?? operandOf(slot);
      const known = copies.find((copy) => copy.of === operand && isSameMask(copy.weight, weight))?.tensor;
      const masked = whole ?? known ?? maskedTensor(operand, weight, weight.factors);
      copies.push({ of: operand, weight, tensor: masked });
      edits.push({ node: places.get(node) ?? -1, input: index, tensor: masked, isForAll: whole !== undefined });
    }
    return edits;
  });
}

/** Without readers of what is read as an alias of something that has the mask already. */
export function withoutRepeats(weights: readonly MaskedWeight[]): MaskedWeight[] {
  const masked = new Map<Node, Set<number>>();
  for (const { bindings } of weights) {
    const { node, index } = bindings[0].slot;
    masked.set(node, (masked.get(node) ?? new Set()).add(index));
  }
  return weights.filter(({ bindings }) => {
    const { node, index } = bindings[0].slot;
    for (let at = node.inputs[index]?.producer; at !== undefined && aliasedBy(at) !== undefined;) {
      if (masked.get(at)?.has(0) === true) return false;
      at = at.inputs[0]?.producer;
    }
    return true;
  });
}

/** The stored tensor with its masks, where all that read it or an alias of it have the same one. */
function maskOfAll(root: Value, list: readonly MaskedWeight[]): Tensor | undefined {
  const { initializer } = root;
  if (initializer === undefined) return undefined;
  const isListed = ({ node, index }: Use) =>
    list.some(({ bindings: [{ slot }] }) => slot.node === node && slot.index === index);
  const isMasked = (use: Use) => isListed(use) || readsNoElements(use);
  if (readersOf(root, isListed)?.every(isMasked) !== true) return undefined;
  const all = list.map((weight) => factorsOfStored(root, weight));
  const [first] = all;
  if (first === undefined || all.some((factors) => factors === undefined || !isSameFactors(factors, first)))
    return undefined;
  // Offsets are for the layer that they were computed for.
  const offsets = list[0]?.offsets;
  if (list.some((weight) => weight.offsets !== offsets)) return undefined;
  return list[0] && maskedTensor(initializer, list[0], first);
}

/** `factors`: in the layout of the tensor. */
function maskedTensor(tensor: Tensor, { bindings: [{ slot }], offsets }: MaskedWeight, factors: Factors): Tensor {
  return slot.codes === undefined ? maskTensor(tensor, factors, offsets) : maskCodes(tensor, factors, slot.codes);
}

/**
 * In the layout of the stored tensor; undefined where the weight is computed from it in another way
 * than by turning or copying.
 */
export function factorsOfStored(root: Value, { bindings: [{ slot }], factors }: MaskedWeight): Factors | undefined {
  if (slot.value === root) return factors;
  const dims = storedTensor(root)?.dims ?? (slot.isAsStored ? operandOf(slot).dims : undefined);
  if (dims === undefined) return undefined;
  // Scaled, with the axes that are stored; a matrix may have been turned on the way.
  if (slot.root !== root) {
    const own = operandOf(slot).dims;
    if (slot.isAsStored) return dims.join() === own.join() ? factors : undefined;
    return own.length === 2 && dims.join() === own.toReversed().join() ? turned(factors, own, [1, 0]) : undefined;
  }
  const axes = axesInRoot(slot.value, (value) =>
    value === root ? dims : value === slot.value ? operandOf(slot).dims : undefined,
  );
  if (axes === undefined) return undefined;
  const order = dims.map((_, axis) => (axes.includes(axis) ? axes.indexOf(axis) : undefined));
  return turned(factors, operandOf(slot).dims, order);
}

/** `order`: per axis of the result that of `dims`, undefined where it has none. */
export function turned(factors: Factors, dims: readonly number[], order: readonly (number | undefined)[]): Factors {
  const own = Float64Array.from(factors);
  const view = FileTensor.contiguous(DOUBLE, dims, () => new Uint8Array(own.buffer));
  const values = view.permuted(order).toTensor().numbers();
  return factors instanceof Uint8Array ? Uint8Array.from(values) : values;
}

/** One transaction. */
export function applyEdits(editor: Editor, label: string, edits: readonly OperandEdit[]): void {
  const copies = new Map<Tensor, Value>();
  editor.transaction(label, () => {
    for (const { node: place, input, tensor, isForAll } of edits) {
      const node = editor.graph.nodes[place];
      const value = node?.inputs[input];
      if (node === undefined || value === undefined) throw new Error(`the model has no operand ${place}#${input}`);
      const copy = copies.get(tensor);
      if (isForAll) editor.rewriteInitializer(rootOf(value), tensor);
      else if (copy !== undefined) editor.rewriteOperand({ node, index: input }, copy);
      else {
        const made = editor.addInitializer(`${value.name}_masked`, tensor);
        copies.set(tensor, made);
        editor.rewriteOperand({ node, index: input }, made);
      }
    }
  });
}

function isSameMask(one: MaskedWeight, other: MaskedWeight): boolean {
  return one.offsets === other.offsets && isSameFactors(one.factors, other.factors);
}
