/**
 * What remove-channels says: channels that went, and dead channels that had to stay, with what
 * holds them.
 */
import type { AnalyzedNode } from '../../src/channels/analyzed-node.js';
import { type Facts, isDeadAt } from '../../src/channels/facts.js';
import { describeImbalance } from '../../src/channels/group-balance.js';
import type { Axis } from '../../src/channels/positions.js';
import type { Compensation, RemovalPlan } from '../../src/channels/removal-plan.js';
import { type Blocker, describeStuck } from '../../src/channels/blockers.js';
import { isCompensation } from '../../src/ir/origin.js';
import type { Remark } from '../pass.js';

type Said = Omit<Remark, 'pass'>;

/** Layers with weights and the axis of their output channels. */
export function* layers({ nodes }: Facts): Generator<{ at: AnalyzedNode; axis: Axis }> {
  for (const at of nodes) {
    const axis = isCompensation(at.node) ? undefined : at.layer?.y;
    if (axis !== undefined) yield { at, axis };
  }
}

const FORMS: Readonly<Record<Compensation['form'], string>> = {
  bias: 'their constants were added to the bias',
  codes: 'the codes of the bias take their constants over, to the bit',
  carrier: 'the weights of a kept constant channel were adjusted for them',
  indicators: 'an added map of the place restores their constants at the zero-padded borders',
  classes: 'an added map of the place gives it back',
  map: 'an added constant map restores them at the zero-padded borders',
};

export function appliedRemarks(facts: Facts, plan: RemovalPlan): Said[] {
  const remarks: Said[] = [];
  for (const { at, axis } of layers(facts)) {
    const kept = plan.keptOf(axis);
    if (kept === undefined) continue;
    const channels = axis.extent - kept.length;
    remarks.push({
      kind: 'applied',
      node: at.node.label,
      channels,
      message: `removed ${channels} of ${axis.extent} output channels`,
    });
  }
  for (const { read, absorbed, form } of plan.compensations) {
    const held = form === 'classes' ? 'held what depends on the place alone' : 'held a constant other than 0';
    const message = `${absorbed.length} input channels ${held}; ${FORMS[form]}`;
    remarks.push({ kind: 'applied', node: read.at.node.label, message });
  }
  return remarks;
}

export function missedRemarks(facts: Facts, plan: RemovalPlan): Said[] {
  const { blockers } = plan;
  const remarks: Said[] = [];
  for (const { at, axis } of layers(facts)) {
    const held = new Map<string, number>();
    const kept = plan.keptOf(axis);
    const stays = kept === undefined ? undefined : new Set(kept);
    for (let index = 0; index < axis.extent; index++) {
      const position = axis.base + index;
      if (!isDeadAt(facts, position) || stays?.has(index) === false) continue;
      const blocker = blockers.get(facts.positions.classOf(position));
      const why =
        blocker === undefined
          ? 'kept for speed: the narrower layer would be slower, or compensating for the constant would cost more than it saves'
          : describe(blocker);
      held.set(why, (held.get(why) ?? 0) + 1);
    }
    for (const [why, channels] of held) {
      remarks.push({
        kind: 'missed',
        node: at.node.label,
        channels,
        message: `${channels} dead output ${channels === 1 ? 'channel is' : 'channels are'} kept: ${why}`,
      });
    }
  }
  for (const [op, count] of facts.unknownOps) {
    remarks.push({
      kind: 'missed',
      message: `${op} (${count} nodes) is not supported: the channels that it reads or writes are kept`,
    });
  }
  return remarks;
}

export function describe(blocker: Blocker): string {
  if (blocker.kind === 'read')
    return `channels coupled to them are alive, and ${blocker.read.at.node.label} reads those`;
  if (blocker.kind === 'codes') return `they hold a constant other than 0, and ${describeStuck(blocker.read)}`;
  if (blocker.kind === 'group') return `${blocker.imbalance.at.node.label}: ${describeImbalance(blocker.imbalance)}`;
  const { node, reason } = blocker.pin;
  return node === undefined ? reason : `${node.label}: ${reason}`;
}
