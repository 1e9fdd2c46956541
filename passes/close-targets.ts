/**
 * close-targets: writes numbers down that computed targets of Reshapes leave open, once nothing
 * shrinks any more.
 *
 *   Reshape([N, 36, H, W], Concat(N, [-1, 2, 2], H, W))   =>   Reshape(·, Concat(N, [9, 2, 2], H, W))
 *
 * Exact? Bitwise: what -1 stands for at every size. Where another extent is 0, ONNX Runtime cannot
 * tell what -1 stands for: with the number an empty batch runs. Declines where the extent depends on
 * the input's size. Runs last, because a number pins what -1 leaves free. Cost: none.
 */
import { ExtentKeys } from '../src/graph-info/extent-keys.js';
import type { GraphInfo } from '../src/graph-info/graph-info.js';
import type { Editor } from '../src/ir/editor.js';
import type { Node, Use, Value } from '../src/ir/graph.js';
import { INT64, Tensor } from '../src/ir/tensor.js';
import { type Pass, UNCHANGED } from './pass.js';
import { removeDeadNodes } from './remove-dead-nodes.js';

/** The part of a target that has the -1. */
interface Open extends Use {
  readonly entries: readonly number[];
  /** Of the whole target. */
  readonly axis: number;
}

/** A target, and by extent the Reshapes for which -1 stands for it. */
interface Target {
  readonly open: Open;
  readonly reshapes: Map<number, Node[]>;
}

export const closeTargets: Pass = {
  name: 'close-targets',
  summary: 'write numbers down that computed targets of Reshapes leave open',
  exactness: 'bitwise',
  isLast: true,
  async run(context) {
    const { editor, graphInfo } = context;
    const targets = openTargets(await graphInfo());
    if (targets.size === 0) return UNCHANGED;
    const changed = editor.transaction('close targets', () => {
      for (const [target, found] of targets) close(editor, target, found);
    });
    // No other pass follows. Old formats have no initializers that nobody reads.
    if (changed) await removeDeadNodes.run(context);
    return { changed, gains: false, remarks: [] };
  },
};

function openTargets(known: GraphInfo): ReadonlyMap<Value, Target> {
  const keys = new ExtentKeys(known);
  const targets = new Map<Value, Target>();
  for (const node of known.graph.nodes) {
    const [, target] = node.inputs;
    const [output] = node.outputs;
    const isReshape = node.opType === 'Reshape' && node.domain === '';
    if (!isReshape || target === undefined || output === undefined) continue;
    const open = targets.get(target)?.open ?? openPart(target, known, keys);
    const extent = open === undefined ? undefined : keys.extents(output)?.[open.axis];
    if (open === undefined || typeof extent !== 'number' || extent <= 0) continue;
    const { reshapes } = targets.get(target) ?? { reshapes: new Map<number, Node[]>() };
    reshapes.set(extent, [...(reshapes.get(extent) ?? []), node]);
    targets.set(target, { open, reshapes });
  }
  return targets;
}

function openPart({ producer }: Value, { constants }: GraphInfo, keys: ExtentKeys): Open | undefined {
  if (producer?.opType !== 'Concat' || producer.domain !== '') return undefined;
  let start = 0;
  for (const [index, part] of producer.inputs.entries()) {
    const entries = constants.tensor(part)?.numbers();
    const at = entries?.indexOf(-1) ?? -1;
    if (entries !== undefined && at >= 0) return { node: producer, index, entries: [...entries], axis: start + at };
    const length = part && keys.elements(part)?.length;
    if (length === undefined) return undefined;
    start += length;
  }
  return undefined;
}

/** Where somebody else reads the target as well, or reads it for another extent, each has its own. */
function close(editor: Editor, target: Value, { open, reshapes }: Target): void {
  const { node, index, entries, axis } = open;
  const closed = (extent: number) => {
    const filled = entries.map((entry) => (entry === -1 ? extent : entry));
    return editor.addInitializer(`${target.name}_closed`, Tensor.fromNumbers(INT64, [filled.length], filled));
  };
  const [[extent, nodes] = [0, []], ...others] = reshapes;
  const isForThese = (use: Use) => use.index === 1 && nodes.includes(use.node);
  if (others.length === 0 && !target.isSeenOutside && target.uses.every(isForThese)) {
    editor.rewriteOperand({ node, index }, closed(extent));
    return;
  }
  for (const [count, readers] of reshapes) {
    const wish = `${target.name}_at_${axis}`;
    const own = editor.addNode(
      {
        opType: 'Concat',
        name: editor.graph.freshNodeName(wish),
        inputs: node.inputs.with(index, closed(count)),
        outputs: [wish],
        attributes: { axis: { kind: 'int', value: 0 } },
      },
      node,
    );
    for (const reader of readers) editor.setInput(reader, 1, own.outputs[0]);
  }
}
