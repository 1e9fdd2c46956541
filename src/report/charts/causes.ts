/** What keeps dead channels, in a few words; docs/report.md has the sentences. */
import type { Remark } from '../../../passes/pass.js';

type Cause = NonNullable<Remark['cause']>;

const TEXTS: Readonly<Record<Cause, string>> = {
  alive: 'tied to channels that are alive',
  group: 'every group keeps as many channels',
  codes: 'a quantised layer cannot take the constant over',
  shuffle: 'mixed with channels that are alive',
  gate: 'their constant is multiplied by data',
  place: 'their constant depends on the place',
  constant: 'what becomes of their constant is not known',
  unknown: 'an operator without a rule',
  extent: 'the model reads how many channels there are',
  axis: 'an operator computes with all channels',
  output: 'part of an input or output of the model',
  lone: 'a layer keeps one channel at least',
  speed: 'the wider layer is faster',
};

/** `tied to channels that are alive (Add)` */
export function causeText(cause: Cause, operator: string | undefined): string {
  return operator === undefined ? TEXTS[cause] : `${TEXTS[cause]} (${operator})`;
}

/** A note says how it is; what was missed could be otherwise. */
export function isExpected({ kind }: Remark): boolean {
  return kind !== 'missed';
}
