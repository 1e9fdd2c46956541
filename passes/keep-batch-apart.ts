/**
 * keep-batch-apart: turns heads on their own, where an exporter merges them with the batch.
 *
 *   x [N, 4, S, 64] -> Reshape [4 * N, S, 64] -> Transpose(0, 2, 1) -> Reshape [N, 4, 64, S]   =>   Transpose(0, 1, 3, 2)
 *   x [S, N, 768] -> Reshape [S, 12 * N, 64] -> Transpose(1, 0, 2) -> Reshape [N, 12, S, 64]
 *     =>   Reshape [S, N, 12, 64] -> Transpose(1, 2, 0, 3)
 *
 * Exact? Bitwise: the same elements at the same places. Declines when somebody else reads what lies
 * between, when the last Reshape merges axes, and when the first one's new target depends on the
 * input in two ways. Cost: none; one Reshape less. An axis of which the extent depends on the batch
 * has no channels that could go.
 */
import { ExtentKeys } from '../src/graph-info/extent-keys.js';
import type { Node, Value } from '../src/ir/graph.js';
import { INT64, Tensor } from '../src/ir/tensor.js';
import { productOf } from '../src/ops/extents.js';
import type { Extent } from '../src/ops/site.js';
import { type Pass, UNCHANGED } from './pass.js';

interface Detour {
  readonly merge: Node;
  readonly transpose: Node;
  readonly split: Node;
  /** What the merge is to make now; undefined where it is not needed. */
  readonly target: Tensor | undefined;
  readonly permutation: readonly number[];
}

export const keepBatchApart: Pass = {
  name: 'keep-batch-apart',
  summary: 'turn heads on their own, where they are merged with the batch',
  exactness: 'bitwise',
  async run({ editor, graphInfo }) {
    const { graph, ...facts } = await graphInfo();
    const keys = new ExtentKeys({ graph, ...facts });
    // Of two in a row the second one waits for the next round.
    const taken = new Set<Node>();
    const detours = graph.nodes.flatMap((node) => {
      const detour = findDetour(node, keys);
      const nodes = detour === undefined ? [] : [detour.merge, detour.transpose, detour.split];
      if (detour === undefined || nodes.some((each) => taken.has(each))) return [];
      for (const each of nodes) taken.add(each);
      return [detour];
    });
    if (detours.length === 0) return UNCHANGED;
    const changed = editor.transaction('keep the batch apart', () => {
      for (const { merge, transpose, split, target, permutation } of detours) {
        if (target === undefined) editor.setInput(transpose, 0, merge.inputs[0]);
        else {
          const wish = `${merge.outputs[0]?.name ?? merge.label}_target`;
          editor.rewriteOperand({ node: merge, index: 1 }, editor.addInitializer(wish, target));
          editor.setAttribute(merge, 'allowzero', undefined);
        }
        editor.setAttribute(transpose, 'perm', { kind: 'ints', value: [...permutation] });
        const [turned, apart] = [transpose.outputs[0], split.outputs[0]];
        for (const { node, index } of apart?.uses.slice() ?? []) editor.setInput(node, index, turned);
      }
    });
    const message = `turned ${detours.length} values axis by axis that were merged with the batch`;
    return { changed, gains: false, remarks: [{ kind: 'applied', message }] };
  },
};

/** `split` is the last of the three. */
function findDetour(split: Node, keys: ExtentKeys): Detour | undefined {
  const transpose = soleSource(split, 'Reshape', 'Transpose');
  const merge = transpose === undefined ? undefined : soleSource(transpose, 'Transpose', 'Reshape');
  const extentsOf = (value: Value | undefined) => (value === undefined ? undefined : keys.extents(value));
  const [data, merged] = [extentsOf(merge?.inputs[0]), extentsOf(merge?.outputs[0])];
  const [turned, apart] = [extentsOf(transpose?.outputs[0]), extentsOf(split.outputs[0])];
  if (merge === undefined || transpose === undefined || split.outputs[0]?.isSeenOutside !== false) return undefined;
  if (data === undefined || merged === undefined || turned === undefined || apart === undefined) return undefined;
  const parts = partsOf(turned, apart);
  const order = transpose.ints('perm') ?? merged.map((_, axis) => merged.length - 1 - axis);
  if (parts === undefined || !parts.some((part, axis) => part.length > 1 && typeof turned[axis] === 'string'))
    return undefined;
  // The axes of what the merge is to make, in its own order.
  const partsOfMerged = merged.map((_, axis) => parts[order.indexOf(axis)] ?? []);
  const starts = partsOfMerged.map((_, axis) => partsOfMerged.slice(0, axis).flat().length);
  const permutation = order.flatMap((axis) => (partsOfMerged[axis] ?? []).map((_, at) => (starts[axis] ?? 0) + at));
  const wanted = partsOfMerged.flat();
  if (wanted.join() === data.join()) return { merge, transpose, split, target: undefined, permutation };
  const target = targetFor(wanted, data);
  return target === undefined ? undefined : { merge, transpose, split, target, permutation };
}

/** The node of type `source` whose result the node of type `type` alone reads, as its data. */
function soleSource(node: Node, type: string, source: string): Node | undefined {
  const [data] = node.inputs;
  const producer = data?.producer;
  const isAlone = data?.hasSingleUse === true && producer?.domain === '' && node.domain === '';
  return isAlone && node.opType === type && producer.opType === source ? producer : undefined;
}

/** Per axis of `whole` the axes of `apart` that it is taken apart into; undefined where axes are merged. */
function partsOf(whole: readonly Extent[], apart: readonly Extent[]): readonly (readonly Extent[])[] | undefined {
  let next = 0;
  const parts = whole.map((extent): Extent[] => {
    const taken: Extent[] = [];
    while (next < apart.length && (taken.length === 0 || productOf(taken) !== productOf([extent])))
      taken.push(apart[next++] ?? 1);
    return taken;
  });
  const isSame = parts.every((part, axis) => productOf(part) === productOf(whole.slice(axis, axis + 1)));
  return isSame && next === apart.length ? parts : undefined;
}

/** A target with at most one -1; a 0 copies an extent of the data. */
function targetFor(wanted: readonly Extent[], data: readonly Extent[]): Tensor | undefined {
  const entries = wanted.map((extent, axis) => (typeof extent === 'number' ? extent : extent === data[axis] ? 0 : -1));
  if (wanted.includes(0) || entries.filter((entry) => entry === -1).length > 1) return undefined;
  return Tensor.fromNumbers(INT64, [entries.length], entries);
}
