/** Words for dead channels that stay: what holds them, how much it holds alone, what would help. */
import { explainHeld, type HeldChannels } from '../../src/channels/held-channels.js';
import type { Facts } from '../../src/channels/facts.js';
import type { Cause } from '../../src/channels/reasons.js';
import type { RemovalPlan } from '../../src/channels/removal-plan.js';
import type { CostModel } from '../../src/cost/width-cost.js';
import type { Remark } from '../pass.js';

type Said = Omit<Remark, 'pass'>;

/** What is as it has to be; the others are for want of knowledge, or of a zero. */
const EXPECTED: ReadonlySet<Cause> = new Set(['alive', 'group', 'axis', 'output', 'lone', 'speed']);

/** One for each cause and operator, most channels first. */
export async function heldRemarks(facts: Facts, plan: RemovalPlan, cost: CostModel): Promise<Said[]> {
  const held = await explainHeld(facts, plan, cost);
  return held.map((each) => {
    const { cause, operator, channels, alone, coupled, layers } = each;
    // Of an operator that holds nothing back it is enough to know.
    const isNote = EXPECTED.has(cause) || (channels === 0 && (alone ?? 0) === 0);
    return {
      kind: isNote ? 'note' : 'missed',
      message: messageOf(each),
      cause,
      ...(operator !== undefined && { operator }),
      channels,
      ...(alone !== undefined && { alone }),
      ...(coupled > 0 && { coupled }),
      layers,
    };
  });
}

function messageOf(held: HeldChannels): string {
  const { cause, channels } = held;
  if (channels === 0) return `${WORDS[cause](held)}${aloneText(held)}`;
  return `${subject(held)}: ${WORDS[cause](held)}${aloneText(held)}${coupledText(held)}`;
}

/** `3 dead channels of conv1 stay` */
function subject({ channels, layers }: HeldChannels): string {
  const [first, ...others] = layers;
  const where = others.length === 0 ? (first?.node ?? '') : `${layers.length} layers`;
  return channels === 1 ? `1 dead channel of ${where} stays` : `${channels} dead channels of ${where} stay`;
}

/** One node by its name, several by their operator. */
function who({ operator = '', nodes, first }: HeldChannels): string {
  return nodes === 1 && first !== undefined ? `${first} (${operator})` : `${operator} (${plural(nodes, 'node')})`;
}

const WORDS: Readonly<Record<Cause, (held: HeldChannels) => string>> = {
  alive: (held) => `${who(held)} ties each to a channel that is alive`,
  shuffle: (held) => `${who(held)} ties each to other channels of its layer, which are alive`,
  group: (held) =>
    held.detail === undefined
      ? `the groups of ${who(held)} keep equal widths, and fuller groups need more`
      : `${who(held)}: ${held.detail}`,
  codes: ({ detail = '' }) => `they hold a constant other than 0, and ${detail}`,
  gate: (held) => `${who(held)} multiplies their constants by what is computed from the input`,
  place: (held) =>
    `padding makes their constants depend on the place, and what ${who(held)} makes of that is not known`,
  constant: (held) => `what ${who(held)} makes of their constants is not known`,
  unknown: ({ operator = '', nodes }) => `what ${operator} (${plural(nodes, 'node')}) does with channels is not known`,
  extent: (held) => `${who(held)} reads how many there are`,
  axis: (held) => `${who(held)}: ${held.detail ?? 'its result depends on the whole axis'}`,
  output: ({ detail = 'inputs and outputs of the model keep their shapes' }) => detail,
  lone: () => 'a layer keeps at least one channel',
  speed: () => 'the narrower layer would be slower, or making up for their constants would cost more than it saves',
};

/** What this cause alone holds back. */
function aloneText({ cause, alone, channels }: HeldChannels): string {
  if (alone === undefined) return '';
  const condition = cause === 'unknown' ? 'if it were' : 'without that';
  if (alone === 0)
    return channels === 0
      ? `; ${condition}, no more would go`
      : `; ${condition}, none would go: more than this holds them`;
  const count = alone === channels ? (alone === 1 ? 'it' : `all ${alone}`) : `${alone}`;
  const zeros = ZEROS_GO.has(cause) ? '. Zeros go: with --meaning drop, pruned filters are zero' : '';
  return `; ${condition}, ${count} would go${zeros}`;
}

/** Causes that hold a constant, and not a zero. */
const ZEROS_GO: ReadonlySet<Cause> = new Set(['gate', 'place']);

function coupledText({ cause, coupled, channels }: HeldChannels): string {
  if (coupled === 0) return '';
  const count = coupled === channels ? (coupled === 1 ? 'it' : `all ${coupled}`) : `${coupled}`;
  const how = cause === 'group' ? 'with as many pruned in every group' : 'pruned together';
  return `; ${how}, ${count} would go: prune-compile mask --groups residual chooses so`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
