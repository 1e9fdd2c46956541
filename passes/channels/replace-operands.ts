/**
 * Constant operands get other contents. A tensor that several nodes read, also through an Identity,
 * a Cast or a Transpose, is cut once where it is stored if all of them keep the same of it; else
 * those that keep the same share what they keep, copied or picked.
 */
import { freedBytes } from '../../src/graph-info/freed.js';
import type { Operand } from '../../src/channels/positions.js';
import type { GraphInfo } from '../../src/graph-info/graph-info.js';
import type { Editor, OperandCut } from '../../src/ir/editor.js';
import type { Use, Value } from '../../src/ir/graph.js';
import type { KeptAxes } from '../../src/ir/provenance.js';
import { keptByAllGroups, sliceTensor } from '../../src/ir/slice.js';
import { INT64, Tensor } from '../../src/ir/tensor.js';
import { axesInRoot, readersOf, rootOf } from '../../src/ops/aliases.js';

export interface Replacement {
  readonly operand: Operand;
  readonly tensor: Tensor;
  readonly kept: KeptAxes;
  /** More than 1 for the weights of a grouped layer: `kept` counts through all groups. */
  readonly groups: number;
  /** Equal keys of one value mean equal contents. Rewritten weights are their own. */
  readonly key: string | Operand;
  /** Whether the values are others than those of the indices that are kept. */
  readonly isRewritten: boolean;
}

export function replaceOperands(editor: Editor, graphInfo: GraphInfo, replacements: readonly Replacement[]): void {
  const byRoot = new Map<Value, Replacement[]>();
  for (const replacement of replacements) {
    const root = rootOf(replacement.operand.value);
    byRoot.set(root, [...(byRoot.get(root) ?? []), replacement]);
  }
  for (const [root, list] of byRoot) {
    if (replaceRoot(editor, graphInfo, root, list)) continue;
    copyOperands(editor, list);
  }
}

/** What a node and the names of its values take in a file. */
const NODE_BYTES = 128;

/**
 * Readers that keep the same share one value; where copies would be more than what is not read any
 * more, it is picked from the original.
 */
function copyOperands(editor: Editor, list: readonly Replacement[]): void {
  const groups = new Map<Tensor, Map<string | Operand, [Replacement, ...Replacement[]]>>();
  for (const replacement of list) {
    const byKey =
      groups.get(replacement.operand.tensor) ?? new Map<string | Operand, [Replacement, ...Replacement[]]>();
    const group = byKey.get(replacement.key);
    if (group === undefined) byKey.set(replacement.key, [replacement]);
    else group.push(replacement);
    groups.set(replacement.operand.tensor, byKey);
  }
  const sets = [...groups.values()].flatMap((byKey) => [...byKey.values()]);
  const copied = sets.reduce((total, [{ tensor }]) => total + tensor.sizeBytes, 0);
  const freed = freedBytes(
    editor.graph,
    list.map(({ operand }) => operand),
  );
  for (const set of sets) {
    const [first] = set;
    const { operand, tensor, isRewritten } = first;
    const kept = keptByAllGroups(operand.tensor.dims, first.kept, first.groups);
    const indices = (kept ?? []).reduce(
      (total, axis) => total + (axis === undefined ? 0 : NODE_BYTES + 8 * axis.length),
      0,
    );
    const made =
      isRewritten || kept === undefined || copied <= freed || tensor.sizeBytes <= indices
        ? editor.addInitializer(operand.value.name, tensor)
        : pick(editor, operand, kept);
    for (const { operand: reader, kept: ofReader } of set) editor.sliceOperand(reader, made, ofReader, isRewritten);
  }
}

/** By a Gather per axis, which runtimes fold when they load the model. */
function pick(editor: Editor, { node, value }: Operand, kept: KeptAxes): Value {
  let picked = value;
  for (const [axis, indices] of kept.entries()) {
    if (indices === undefined) continue;
    const name = `${value.name}_kept`;
    const list = editor.addInitializer(`${name}_indices`, Tensor.fromNumbers(INT64, [indices.length], indices));
    const spec = { opType: 'Gather', name: editor.graph.freshNodeName(name), inputs: [picked, list], outputs: [name] };
    const attributes = { axis: { kind: 'int', value: axis } } as const;
    picked = editor.addNode({ ...spec, attributes }, node).outputs[0] ?? picked;
  }
  return picked;
}

/**
 * Where it is stored, under its name. False where somebody reads it who is not in the list, or
 * keeps something else.
 */
function replaceRoot(editor: Editor, graphInfo: GraphInfo, root: Value, list: readonly Replacement[]): boolean {
  const [first] = list;
  const isListed = ({ node, index }: Use) =>
    list.some(({ operand }) => operand.node === node && operand.index === index);
  if (first === undefined || readersOf(root)?.every(isListed) !== true) return false;
  if (list.every(({ operand }) => operand.value === root)) {
    if (root.initializer === undefined || list.some(({ key }) => key !== first.key)) return false;
    editor.sliceInitializer(root, first.tensor, list.map(cutOf), first.isRewritten);
    return true;
  }
  const whole = graphInfo.constants.tensor(root);
  const kept = list.map((replacement) => keptOfRoot(replacement, graphInfo));
  const [ofFirst] = kept;
  if (whole === undefined || ofFirst === undefined) return false;
  if (kept.some((other) => JSON.stringify(other) !== JSON.stringify(ofFirst))) return false;
  const tensor = sliceTensor(whole, ofFirst);
  const cuts = list.map(cutOf);
  if (root.initializer === undefined) editor.sliceAllUses(root, editor.addInitializer(root.name, tensor), cuts);
  else editor.sliceInitializer(root, tensor, cuts);
  return true;
}

function cutOf({ operand: { node, index }, kept }: Replacement): OperandCut {
  return { node, index, kept };
}

/**
 * In the axes of the root; undefined where those cannot be told, or where the contents are not the
 * root's.
 */
function keptOfRoot(
  { operand, kept: ofOperand, groups, isRewritten }: Replacement,
  { constants, shapes }: GraphInfo,
): KeptAxes | undefined {
  const axes = axesInRoot(operand.value, (value) => constants.tensor(value)?.dims ?? shapes.of(value));
  const root = constants.tensor(rootOf(operand.value));
  const kept = keptByAllGroups(operand.tensor.dims, ofOperand, groups);
  if (axes === undefined || root === undefined || kept === undefined || isRewritten) return undefined;
  const ofRoot: (readonly number[] | undefined)[] = root.dims.map(() => undefined);
  for (const [axis, indices] of kept.entries()) {
    const rootAxis = axes[axis];
    if (indices === undefined) continue;
    if (rootAxis === undefined) return undefined;
    ofRoot[rootAxis] = indices;
  }
  return ofRoot;
}
