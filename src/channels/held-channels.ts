/**
 * Dead channels that stay, and what holds them. Each is counted once, for one cause; of a cause that
 * lies in what is known of an operator it is asked again how much it holds back alone: the analysis
 * runs once more without it (lift.ts). That is done only where dead channels stay, and costs one
 * analysis per cause, for the largest few.
 */
import type { CostModel } from '../cost/width-cost.js';
import type { Node } from '../ir/graph.js';
import { isCompensation } from '../ir/origin.js';
import type { AnalyzedNode } from './analyzed-node.js';
import { analyze, type Facts, isDeadAt } from './facts.js';
import type { Lift } from './lift.js';
import { operatorOf } from '../ops/registry.js';
import type { Axis, Positions } from './positions.js';
import { planRemoval, type RemovalPlan } from './removal-plan.js';
import { type Cause, type Reason, Reasons } from './reasons.js';

export interface HeldByLayer {
  readonly node: string;
  readonly channels: number;
}

/** Channels that stay for one cause, and for one operator where the cause has one. */
export interface HeldChannels {
  readonly cause: Cause;
  /** By qualified name. */
  readonly operator?: string;
  /** How many nodes of it are concerned, and the first of them. */
  readonly nodes: number;
  readonly first?: string;
  readonly channels: number;
  /** By layer, most first. */
  readonly layers: readonly HeldByLayer[];
  /** How many channels more would go if this cause alone were not there; absent: not asked. */
  readonly alone?: number;
  /** How many of them would go if what they are tied to were pruned with them. */
  readonly coupled: number;
  /** Where all are held by the same: more words about it. */
  readonly detail?: string;
}

interface LayerAxis {
  readonly at: AnalyzedNode;
  readonly axis: Axis;
}

/** The largest few; each costs an analysis. */
const MOST_LIFTS = 4;

/**
 * Layers with weights and the axis of their output channels: of the weights, where the operator has
 * more in it than the layer.
 */
export function* layers({ nodes, positions }: Pick<Facts, 'nodes' | 'positions'>): Generator<LayerAxis> {
  for (const at of nodes) {
    const axis = isCompensation(at.node) ? undefined : (at.layer?.y ?? joinedAxis(at, positions));
    if (axis !== undefined) yield { at, axis };
  }
}

function joinedAxis({ node, site, relation, inSlots }: AnalyzedNode, positions: Positions): Axis | undefined {
  const weights = relation?.kind === 'pointwise' ? operatorOf(node)?.weights?.(site)?.weights : undefined;
  const slot = weights === undefined ? undefined : inSlots[weights.index];
  return weights === undefined || slot === undefined ? undefined : positions.axesOf(slot)[weights.outAxis];
}

/** One dead channel that stays. */
interface Held {
  readonly at: AnalyzedNode;
  readonly index: number;
  readonly root: number;
}

export async function explainHeld(facts: Facts, plan: RemovalPlan, cost: CostModel): Promise<HeldChannels[]> {
  const kept = keptIn(facts, plan);
  const reasons = new Reasons(facts, plan.blockers, new Set(kept.map(({ root }) => root)));
  const lifted = kept.length === 0 && !hasUnreadInputs(facts) ? [] : await askLifts(facts, plan, cost, kept, reasons);
  const groups = new Map<string, Group>();
  const ofReason = new Map<Reason, Group>();
  const groupOf = (reason: Reason) => {
    const found = ofReason.get(reason) ?? groupByName(reason);
    ofReason.set(reason, found);
    return found;
  };
  const groupByName = (reason: Reason) => {
    const key = `${reason.cause} ${reason.operator ?? ''}`;
    const group = groups.get(key) ?? new Group(reason);
    groups.set(key, group);
    return group;
  };
  for (const { lift } of lifted) groupOf(lift);
  for (const operator of facts.unknownOps.keys()) groupOf({ cause: 'unknown', operator });
  for (const each of kept) {
    const freeing = lifted.find(({ goes }) => goes(each.at.node, each.index));
    const first = reasons.of(each.root);
    const reason = freeing === undefined ? behind(first, each, lifted) : reasons.named(freeing.lift, each.root);
    groupOf(reason).add(each, reason, reasons.isCoupledAlone(each.root));
  }
  return [...groups.values()]
    .map((group) => group.result(lifted.find(({ lift }) => isOf(lift, group))?.alone, facts.unknownOps))
    .filter(({ operator = '', channels, alone = 0 }) => channels > 0 || alone > 0 || facts.unknownOps.has(operator))
    .toSorted((a, b) => b.channels - a.channels);
}

/**
 * What would hold the channel next, if the operator that holds it first were known: that is told, so
 * that nobody expects anything of knowing the operator.
 */
function behind(first: Reason, { at, index }: Held, lifted: readonly Lifted[]): Reason {
  if (first.cause !== 'unknown') return first;
  const next = lifted.find(({ lift }) => isOf(lift, first))?.next(at.node, index);
  return next === undefined || next.cause === 'unknown' ? first : next;
}

function keptIn(facts: Facts, plan: RemovalPlan): Held[] {
  const kept: Held[] = [];
  for (const { at, axis } of layers(facts)) {
    const indices = plan.keptOf(axis);
    const stays = indices === undefined ? undefined : new Set(indices);
    for (let index = 0; index < axis.extent; index++) {
      const position = axis.base + index;
      if (!isDeadAt(facts, position) || stays?.has(index) === false) continue;
      kept.push({ at, index, root: facts.positions.classOf(position) });
    }
  }
  return kept;
}

/** Whether a reader has zeros for a channel that is alive all the same: something else needs it. */
function hasUnreadInputs({ linearReads, constant }: Facts): boolean {
  return linearReads.some(({ axis, needed }) =>
    needed.some((read, index) => read === 0 && Number.isNaN(constant[axis.base + index] ?? Number.NaN)),
  );
}

function isOf(
  lift: Lift,
  { cause, operator }: { readonly cause: Cause; readonly operator?: string | undefined },
): boolean {
  return lift.cause === cause && lift.operator === operator;
}

interface Lifted {
  readonly lift: Lift;
  /** Channels that go then, and do not now. */
  readonly alone: number;
  readonly goes: (node: Node, index: number) => boolean;
  /** What holds a channel then; undefined where it is not dead any more. */
  readonly next: (node: Node, index: number) => Reason | undefined;
}

async function askLifts(
  facts: Facts,
  plan: RemovalPlan,
  cost: CostModel,
  kept: readonly Held[],
  reasons: Reasons,
): Promise<Lifted[]> {
  const candidates = new Map<string, { lift: Lift; channels: number }>();
  const add = (lift: Lift, channels: number) => {
    const key = `${lift.cause} ${lift.operator}`;
    candidates.set(key, { lift, channels: channels + (candidates.get(key)?.channels ?? 0) });
  };
  const perRoot = new Map<number, number>();
  for (const { root } of kept) perRoot.set(root, 1 + (perRoot.get(root) ?? 0));
  for (const [root, channels] of perRoot) for (const lift of reasons.liftable(root)) add(lift, channels);
  for (const operator of facts.unknownOps.keys()) add({ cause: 'unknown', operator }, 0);
  const largest = [...candidates.values()].toSorted((a, b) => b.channels - a.channels).slice(0, MOST_LIFTS);
  const now = goneIn(facts, plan);
  const lifted: Lifted[] = [];
  for (const { lift } of largest) {
    const other = await analyze(facts.graphInfo, lift);
    const otherPlan = planRemoval(other, cost);
    const then = goneIn(other, otherPlan);
    let alone = 0;
    for (const [node, gone] of then) alone += gone.size - (now.get(node)?.size ?? 0);
    const goes = (node: Node, index: number) => then.get(node)?.has(index) === true;
    lifted.push({ lift, alone: Math.max(0, alone), goes, next: nextReasons(other, otherPlan) });
  }
  return lifted;
}

function nextReasons(facts: Facts, plan: RemovalPlan): Lifted['next'] {
  const rootOf = new Map(keptIn(facts, plan).map(({ at, index, root }) => [`${index} ${at.node.label}`, root]));
  const reasons = new Reasons(facts, plan.blockers, new Set(rootOf.values()));
  return (node, index) => {
    const root = rootOf.get(`${index} ${node.label}`);
    return root === undefined ? undefined : reasons.of(root);
  };
}

/** Per layer the channels that go. */
function goneIn(facts: Facts, plan: RemovalPlan): Map<Node, ReadonlySet<number>> {
  const gone = new Map<Node, ReadonlySet<number>>();
  for (const { at, axis } of layers(facts)) {
    const kept = plan.keptOf(axis);
    if (kept === undefined) continue;
    const stays = new Set(kept);
    gone.set(at.node, new Set(Array.from({ length: axis.extent }, (_, index) => index).filter((i) => !stays.has(i))));
  }
  return gone;
}

class Group {
  readonly cause: Cause;
  readonly operator: string | undefined;
  readonly #nodes = new Set<Node>();
  readonly #details = new Set<string>();
  readonly #perLayer = new Map<Node, number>();
  #channels = 0;
  #coupled = 0;

  constructor({ cause, operator }: Reason) {
    this.cause = cause;
    this.operator = operator;
  }

  add({ at }: Held, { node, detail }: Reason, isCoupledAlone: boolean): void {
    if (node !== undefined) this.#nodes.add(node);
    if (detail !== undefined) this.#details.add(detail);
    this.#perLayer.set(at.node, 1 + (this.#perLayer.get(at.node) ?? 0));
    this.#channels++;
    if (isCoupledAlone) this.#coupled++;
  }

  result(alone: number | undefined, unknownOps: Facts['unknownOps']): HeldChannels {
    const { cause, operator } = this;
    const [first] = this.#nodes;
    const [detail, ...others] = this.#details;
    const all = cause === 'unknown' && operator !== undefined ? unknownOps.get(operator) : undefined;
    const perLayer = [...this.#perLayer].map(([node, channels]) => ({ node: node.label, channels }));
    return {
      cause,
      ...(operator !== undefined && { operator }),
      nodes: all ?? this.#nodes.size,
      ...(first !== undefined && { first: first.label }),
      channels: this.#channels,
      layers: perLayer.toSorted((a, b) => b.channels - a.channels),
      ...(alone !== undefined && { alone }),
      coupled: this.#coupled,
      ...(detail !== undefined && others.length === 0 && { detail }),
    };
  }
}
