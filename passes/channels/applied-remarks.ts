/** What remove-channels says of channels that went. */
import type { Facts } from '../../src/channels/facts.js';
import { layers } from '../../src/channels/held-channels.js';
import type { Compensation, RemovalPlan } from '../../src/channels/removal-plan.js';
import type { Remark } from '../pass.js';

type Said = Omit<Remark, 'pass'>;

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
