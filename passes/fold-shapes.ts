/**
 * fold-shapes: writes down what is known of computed shapes.
 *
 *   x [N, 116, 28, 28] -> Shape -> Gather(1) -> Div(2) -> Slice(end)   =>   Slice(x, end 58)
 *   x -> Shape -> Gather(0) -> Unsqueeze -> Concat(·, 2, 58, -1) -> Reshape   =>   Reshape(x, [0, 2, 58, -1])
 *
 *   Reshape([N * S, 768], Concat(N, S, 768))   =>   Reshape([N * S, 768], Concat(N, S, -1))
 *   Reshape([N, 48, H, W], Concat(N, [12, 2, 2], H, W))   =>   Reshape(·, Concat(N, [-1, 2, 2], H, W))
 *
 * Exact? Bitwise: the same integers, the same elements under the same shape for every input.
 * Declines where an integer depends on the input's size, and where two extents of a target do so in
 * different ways and none of the others is written down for it alone. Cost: none; fewer nodes run. It
 * lets channels through that a computed shape would pin: whoever reads an extent fixes it. An
 * open part cannot be told where another extent is 0: close-targets writes its number down in the
 * end.
 */
import { ExtentKeys } from '../src/graph-info/extent-keys.js';
import type { GraphInfo } from '../src/graph-info/graph-info.js';
import type { Editor } from '../src/ir/editor.js';
import type { Node, Use, Value } from '../src/ir/graph.js';
import { INT64, isShapeInteger, Tensor } from '../src/ir/tensor.js';
import { groupAxes, targetExtents } from '../src/ops/reshape.js';
import type { Extent } from '../src/ops/site.js';
import { type Pass, UNCHANGED } from './pass.js';

/** Input `index` of a node, which holds these integers in every run. */
interface KnownInput {
  readonly node: Node;
  readonly index: number;
  readonly tensor: Tensor;
  /** Whether a 0 in it has to copy, where the node says that it does not. */
  readonly copies?: true;
}

export const foldShapes: Pass = {
  name: 'fold-shapes',
  summary: 'write computed shapes down as constants where they are known',
  exactness: 'bitwise',
  async run({ editor, graphInfo }) {
    const facts = await graphInfo();
    const keys = new ExtentKeys(facts);
    const known: KnownInput[] = [];
    for (const node of facts.graph.nodes) {
      // In the order of the graph, so that nothing is asked for from far down the graph.
      for (const value of node.outputs) if (value !== undefined) keys.extents(value);
      for (const index of node.inputs.keys()) {
        const found = knownInput(node, index, facts, keys);
        if (found !== undefined) known.push(found);
      }
    }
    const open = openTargets(facts, keys);
    if (known.length + open.size === 0) return UNCHANGED;
    const changed = editor.transaction('fold shapes', () => {
      for (const [target, part] of open) leaveOpen(editor, target, part);
      for (const { node, index, tensor, copies } of known) {
        const name = `${node.inputs[index]?.name ?? node.label}_known`;
        editor.setInput(node, index, editor.addInitializer(name, tensor));
        if (copies === true) editor.setAttribute(node, 'allowzero', { kind: 'int', value: 0 });
      }
    });
    const count = known.length + open.size;
    const message = `${count === 1 ? '1 computed shape is' : `${count} computed shapes are`} written down`;
    return { changed, gains: false, remarks: [{ kind: 'applied', message }] };
  },
};

/** A part of a target, with -1 in place of the extent of an axis. */
interface OpenPart extends Use {
  readonly axis: number;
  readonly tensor: Tensor;
}

interface OpenTarget {
  readonly part: OpenPart;
  readonly reshapes: Node[];
}

/** Targets of which one part may be open, with the Reshapes for which it may. */
function openTargets(facts: GraphInfo, keys: ExtentKeys): ReadonlyMap<Value, OpenTarget> {
  const open = new Map<Value, OpenTarget>();
  for (const node of facts.graph.nodes) {
    const [, target] = node.inputs;
    const part = target === undefined ? undefined : openTarget(node, facts, keys);
    if (target === undefined || part === undefined) continue;
    const found = open.get(target) ?? { part, reshapes: [] };
    // Another Reshape may take other channels apart.
    if (found.part.axis === part.axis) found.reshapes.push(node);
    open.set(target, found);
  }
  return open;
}

/**
 * Where a target is put together for a Reshape: the part with the number of channels, which may
 * become -1. It is then nowhere written down.
 */
function openTarget({ opType, domain, inputs: [data, target] }: Node, facts: GraphInfo, keys: ExtentKeys) {
  const concat = target?.producer;
  if (opType !== 'Reshape' || domain !== '' || concat?.opType !== 'Concat' || concat.domain !== '') return undefined;
  if (data === undefined || target === undefined) return undefined;
  const elements = keys.elements(target);
  const own = keys.extents(data);
  if (own === undefined || elements === undefined || elements.includes(-1)) return undefined;
  if (!elements.every((element) => element !== undefined)) return undefined;
  const symbols = elements.filter((element, axis) => typeof element === 'string' && element !== own[axis]);
  const axis = symbols.length > 1 ? widest(own, elements) : undefined;
  return axis === undefined ? undefined : openPart(concat, axis, facts, keys);
}

/** Of the axes that are channels of the data, or a part of them, the one with the most. */
function widest(own: readonly Extent[], elements: readonly Extent[]): number | undefined {
  const axes = groupAxes(own, elements).flatMap(({ before, after }) =>
    before.some((axis) => own[axis] !== 1) ? after.filter((axis) => Number(elements[axis]) > 1) : [],
  );
  return axes.toSorted((a, b) => Number(elements[b]) - Number(elements[a]) || a - b)[0];
}

/** The constant that holds element `axis`. */
function openPart(concat: Node, axis: number, { constants }: GraphInfo, keys: ExtentKeys): OpenPart | undefined {
  let start = 0;
  for (const [index, part] of concat.inputs.entries()) {
    const length = part && keys.elements(part)?.length;
    if (length === undefined) return undefined;
    if (axis < start + length) {
      const tensor = constants.tensor(part);
      if (tensor === undefined) return undefined;
      const entries = tensor.numbers().map((entry, at) => (start + at === axis ? -1 : entry));
      return { axis, node: concat, index, tensor: Tensor.fromNumbers(INT64, [length], entries) };
    }
    start += length;
  }
  return undefined;
}

/** Where others read the target as well, these Reshapes get one of their own. */
function leaveOpen(editor: Editor, target: Value, { part, reshapes }: OpenTarget): void {
  const rest = editor.addInitializer(`${target.name}_rest`, part.tensor);
  const isForThese = ({ node, index }: Use) => index === 1 && reshapes.includes(node);
  if (!target.isSeenOutside && target.uses.every(isForThese)) {
    editor.rewriteOperand(part, rest);
    return;
  }
  const wish = `${target.name}_open`;
  const name = editor.graph.freshNodeName(wish);
  const inputs = part.node.inputs.with(part.index, rest);
  const attributes = { axis: { kind: 'int', value: 0 } } as const;
  const own = editor.addNode({ opType: 'Concat', name, inputs, outputs: [wish], attributes }, part.node);
  for (const node of reshapes) editor.setInput(node, 1, own.outputs[0]);
}

/** Undefined where it is constant already, or where another shape is computed from it alone. */
function knownInput(node: Node, index: number, facts: GraphInfo, keys: ExtentKeys): KnownInput | undefined {
  const value = node.inputs[index];
  if (value === undefined || facts.constants.has(value)) return undefined;
  const tensor = knownTensor(value, facts, keys);
  if (tensor !== undefined) {
    const isStep = node.outputs.every((output) => output === undefined || knownTensor(output, facts, keys));
    return isStep && !node.outputs.some((output) => output?.isSeenOutside) ? undefined : { node, index, tensor };
  }
  return node.opType === 'Reshape' && node.domain === '' && index === 1 ? knownTarget(node, value, keys) : undefined;
}

/** The integers that the value holds in every run. */
function knownTensor(value: Value, { shapes }: GraphInfo, keys: ExtentKeys): Tensor | undefined {
  const dataType = shapes.dataTypeOf(value);
  if (dataType === undefined || !isShapeInteger(dataType)) return undefined;
  const elements = keys.elements(value);
  if (elements === undefined || !elements.every(isWritable)) return undefined;
  return Tensor.fromNumbers(dataType, keys.extents(value)?.length === 0 ? [] : [elements.length], elements);
}

/** Whether it is known, and was computed without rounding and without overflow. */
function isWritable(element: Extent | undefined): element is number {
  return Number.isSafeInteger(element);
}

/**
 * A target of which all but one extent is a number, or that of the same axis of the data: as
 * numbers with at most one -1.
 */
function knownTarget(node: Node, target: Value, keys: ExtentKeys): KnownInput | undefined {
  const [data] = node.inputs;
  const own = data === undefined ? undefined : keys.extents(data);
  const elements = keys.elements(target);
  if (own === undefined || elements === undefined) return undefined;
  const wanted = targetExtents(node, elements, own);
  const entries = wanted.map((extent, axis) => {
    if (typeof extent === 'number') return extent;
    return extent !== undefined && extent === own[axis] ? 0 : -1;
  });
  if (entries.filter((entry) => entry === -1).length > 1) return undefined;
  const isCopied = entries.some((entry, axis) => entry === 0 && wanted[axis] !== 0);
  const tensor = Tensor.fromNumbers(INT64, [entries.length], entries);
  if (!isCopied || node.int('allowzero', 0) === 0) return { node, index: 1, tensor };
  // A 0 either copies everywhere, or nowhere.
  return wanted.includes(0) ? undefined : { node, index: 1, tensor, copies: true };
}
