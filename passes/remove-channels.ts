/**
 * remove-channels: takes dead channels out of every layer they run through.
 *
 *   conv1 [64, 32, 3, 3] -> Relu -> conv2 [128, 64, 1, 1]      conv1 [36, 32, 3, 3] -> Relu -> conv2 [128, 36, 1, 1]
 *   28 filters of conv1 are zero, their bias gives 0.3    =>    0.3 * (the 28 columns) is in the bias of conv2
 *
 * Exact? To rounding: sums lose zero terms, constants move into biases (or ride on a carrier
 * channel, or on a map of the place where zero padding is met). Declines when: something needs
 * the channel or pins it; when the width would make the layer slower. Cost: the analysis
 * (src/channels) plus copying what is kept.
 */
import { type AnalyzedNode, keptAt } from '../src/channels/analyzed-node.js';
import type { Facts } from '../src/channels/facts.js';
import { isOperand, type Operand } from '../src/channels/positions.js';
import { planRemoval, type RemovalPlan } from '../src/channels/removal-plan.js';
import type { Editor } from '../src/ir/editor.js';
import type { Node } from '../src/ir/graph.js';
import { sliceGroups } from '../src/ir/slice.js';
import type { Tensor } from '../src/ir/tensor.js';
import type { Adjustment } from '../src/ops/operator.js';
import { operatorOf } from '../src/ops/registry.js';
import { appliedRemarks } from './channels/applied-remarks.js';
import { Compensator, type Prepared, prepareCompensation } from './channels/compensate.js';
import { heldRemarks } from './channels/held-remarks.js';
import { KnownExtents } from './channels/known-extents.js';
import { replaceOperands, type Replacement } from './channels/replace-operands.js';
import type { Pass } from './pass.js';

export const removeChannels: Pass = {
  name: 'remove-channels',
  summary: 'take dead channels out of every layer they run through',
  exactness: 'rounding',
  async run({ editor, facts: analyzed, cost }) {
    const facts = await analyzed();
    const plan = planRemoval(facts, cost);
    const changed = !plan.isEmpty && editor.transaction('remove channels', () => applyPlan(editor, facts, plan));
    // What stays is said by the last round: the next one may find more.
    if (!changed) return { changed, gains: false, remarks: await heldRemarks(facts, plan, cost) };
    return { changed, gains: true, remarks: appliedRemarks(facts, plan) };
  },
};

function applyPlan(editor: Editor, facts: Facts, plan: RemovalPlan): void {
  const prepared = plan.compensations.map((compensation) =>
    prepareCompensation(compensation, plan.keptOf(compensation.read.at.layer?.y)),
  );
  const rewritten = new Map(
    prepared.flatMap(({ weights }) => (weights === undefined ? [] : [[weights.operand, weights.tensor]])),
  );
  const extents = new KnownExtents(facts.graphInfo);
  const replacements: Replacement[] = [];
  for (const at of facts.nodes) {
    for (const slot of at.inSlots) {
      if (slot === undefined || !isOperand(slot)) continue;
      const { kept, groups } = cutOf(slot, at, facts, plan);
      const whole = rewritten.get(slot);
      if (whole === undefined && kept.every((indices) => indices === undefined)) continue;
      const key = whole === undefined ? JSON.stringify([groups, kept]) : slot;
      const tensor = sliceGroups(whole ?? slot.tensor, kept, groups);
      replacements.push({ operand: slot, tensor, kept, groups, key, isRewritten: whole !== undefined });
    }
  }
  // Rows look at the weights: they are asked before those are cut.
  const adjustments = facts.nodes.map((at) => ({
    node: at.node,
    list: operatorOf(at.node)?.adjust?.(at.site, keptAt(at, facts.positions, plan.keptOf)) ?? [],
  }));
  replaceOperands(editor, facts.graphInfo, replacements);
  for (const { node, list } of adjustments) adjust(editor, node, list);
  const cut = new Map(facts.nodes.map(({ node }) => [node, new Map<number, Tensor>()]));
  for (const { operand, tensor } of replacements) cut.get(operand.node)?.set(operand.index, tensor);
  const operandNow = (node: Node, index: number) => {
    const value = node.inputs[index];
    return value?.initializer ?? cut.get(node)?.get(index) ?? facts.graphInfo.constants.tensor(value);
  };
  const compensator = new Compensator(editor, facts, { extents, operandNow, keptOf: plan.keptOf });
  // In the order of the graph: what one reader needs can be shared by those after it.
  const order = ({ compensation }: Prepared) => editor.graph.indexOf(compensation.read.at.node);
  const inOrder = prepared.map((each) => [order(each), each] as const).toSorted(([a], [b]) => a - b);
  for (const [, each] of inOrder) compensator.compensate(each);
}

/**
 * What an operand keeps. Axis 1 of a grouped layer's weights has indices of one group, each of which
 * loses others: there `kept` counts through all groups.
 */
function cutOf(
  slot: Operand,
  { layer }: AnalyzedNode,
  { positions }: Facts,
  plan: RemovalPlan,
): Pick<Replacement, 'kept' | 'groups'> {
  const kept = positions.axesOf(slot).map((axis) => plan.keptOf(axis));
  if (layer?.relation.kind !== 'grouped' || slot.index !== layer.relation.weights.index) return { kept, groups: 1 };
  const { groups, weights } = layer.relation;
  return { kept: kept.with(1, plan.keptOf(weights.inAxis === 1 ? layer.x : layer.y)), groups };
}

/** Attributes and shape constants that repeat an extent which shrank. */
function adjust(editor: Editor, node: Node, adjustments: readonly Adjustment[]): void {
  for (const adjustment of adjustments) {
    if ('attribute' in adjustment) editor.setAttribute(node, adjustment.attribute, adjustment.value);
    else {
      const name = `${node.inputs[adjustment.input]?.name ?? node.label}_kept`;
      editor.rewriteOperand({ node, index: adjustment.input }, editor.addInitializer(name, adjustment.tensor));
    }
  }
}
