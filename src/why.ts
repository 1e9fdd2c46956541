/** Why channels of a node stay: the chain from the node to what needs or pins them. */
import { channelAxis } from './channels/channel-axis.js';
import { type Facts, isDeadAt } from './channels/facts.js';
import type { Axis } from './channels/positions.js';
import type { Pin } from './channels/pins.js';
import { describeImbalance } from './channels/group-balance.js';
import { isOperand } from './channels/positions.js';
import { type Blocker, Blockers, describeStuck } from './channels/blockers.js';
import { type Cause, describeReason, type Reason, Reasons } from './channels/reasons.js';
import { PruneCompileError } from './errors.js';
import type { Graph, Node } from './ir/graph.js';
import { maskModel } from './masking/masked-model.js';
import type { MaskOptions } from './masking/masking.js';
import { modulePathsOf, moduleOfParameter } from './onnx/module-path.js';
import { readModel } from './onnx/read.js';
import { printable } from './printable.js';
import { choosePasses, passContext, runPasses } from './pipeline.js';

export interface WhyStep {
  readonly node: string;
  readonly op: string;
  readonly reason: string;
}

export interface WhyGroup {
  readonly channels: readonly number[];
  readonly state: 'removable' | 'kept';
  /** Of dead channels that are kept: as in remarks. */
  readonly cause?: Cause;
  /** From the node to what blocks it; for removable channels what makes them so. */
  readonly chain: readonly WhyStep[];
}

export interface Explanation {
  readonly node: string;
  readonly channels: number;
  readonly groups: readonly WhyGroup[];
}

/**
 * `nodeName` is a node's name, that of a value it computes, of its module or of its parameter. Throws
 * E-NODE-UNKNOWN.
 */
export async function explainNode(
  source: string | Uint8Array,
  nodeName: string,
  options: MaskOptions & { signal?: AbortSignal } = {},
): Promise<Explanation> {
  const model = readModel(source);
  await maskModel(model, options);
  const context = passContext(model);
  await runPasses(choosePasses('inspection'), context, options.signal);
  const node = findNode(model.graph, nodeName);
  const facts = await context.facts();
  const axis = channelAxis(node, facts);
  if (axis === undefined) {
    const reason = 'its output has no channel axis of a fixed extent, so nothing of it can be removed';
    return {
      node: node.label,
      channels: 0,
      groups: [{ channels: [], state: 'kept', chain: [{ node: node.label, op: node.qualifiedOp, reason }] }],
    };
  }
  return { node: node.label, channels: axis.extent, groups: explainChannels(facts, node, axis) };
}

function findNode(graph: Graph, name: string): Node {
  // A name may be given as it is shown, too.
  const node = graph.findNode(name) ?? graph.nodes.find((candidate) => printable(candidate.name) === name);
  if (node !== undefined) return node;
  const module = moduleOfParameter(name) ?? name;
  const layers = layersOf(graph, module);
  const [layer] = layers;
  if (layer !== undefined && layers.length === 1) return layer;
  if (layer !== undefined)
    throw new PruneCompileError('E-NODE-UNKNOWN', {
      what: `the module "${module}" has ${layers.length} layers`,
      facts: [['one of', layers.map(({ label }) => label).join(', ')]],
    });
  const names = graph.nodes.map((candidate) => candidate.name || (candidate.outputs[0]?.name ?? ''));
  throw new PruneCompileError('E-NODE-UNKNOWN', {
    what: `there is no node called "${name}"`,
    facts: [['the model has', nearest(name, names).join(', ')]],
  });
}

/** Layers of a module, or of the modules inside of it. */
function layersOf(graph: Graph, module: string): Node[] {
  const withWeights = graph.nodes.filter(({ inputs }) =>
    inputs.slice(1).some((value) => value?.initializer !== undefined),
  );
  const likeliest = withWeights.map((node) => ({ node, module: modulePathsOf(node)[0] }));
  const own = likeliest.filter((layer) => layer.module === module);
  const inside = likeliest.filter((layer) => layer.module?.startsWith(`${module}.`) === true);
  return (own.length > 0 ? own : inside).map(({ node }) => node);
}

/** Names that share the most with the wish: the same tail or a part of it. */
function nearest(wish: string, names: readonly string[]): string[] {
  const parts = wish
    .toLowerCase()
    .split(/[/._:]+/)
    .filter((part) => part !== '');
  const score = (name: string) => parts.filter((part) => name.toLowerCase().includes(part)).length;
  return names.toSorted((a, b) => score(b) - score(a)).slice(0, 5);
}

/** Channels with the same chain are said once. */
function explainChannels(facts: Facts, node: Node, axis: Axis): WhyGroup[] {
  const blockers = new Blockers(facts);
  const dead = Array.from({ length: axis.extent }, (_, index) => axis.base + index).filter((at) => isDeadAt(facts, at));
  const reasons = new Reasons(facts, blockers, new Set(dead.map((at) => facts.positions.classOf(at))));
  const groups = new Map<string, { channels: number[]; group: Omit<WhyGroup, 'channels'> }>();
  for (let index = 0; index < axis.extent; index++) {
    const position = axis.base + index;
    const root = facts.positions.classOf(position);
    const blocker = blockers.get(root);
    const group =
      blocker === undefined
        ? removable(facts, node, position)
        : isDeadAt(facts, position)
          ? keptDead(facts, node, root, { blocker, reason: reasons.of(root) })
          : { state: 'kept' as const, chain: chainOf(facts, node, root, 'they depend on the input', endOf(blocker)) };
    const key = JSON.stringify(group);
    const entry = groups.get(key) ?? { channels: [], group };
    entry.channels.push(index);
    groups.set(key, entry);
  }
  return [...groups.values()].map(({ channels, group }) => ({ channels, ...group }));
}

function removable(facts: Facts, node: Node, position: number): Omit<WhyGroup, 'channels'> {
  const isConstant = !Number.isNaN(facts.constant[position] ?? Number.NaN);
  const reason = isConstant
    ? 'they are constant for every input'
    : facts.places.has(position)
      ? 'they depend on the place in the image alone'
      : 'no output of the model depends on them';
  return { state: 'removable', chain: [{ node: node.label, op: node.qualifiedOp, reason }] };
}

type Kept = Omit<WhyGroup, 'channels'>;

/** What they are, then the way to what holds them, through the nodes whose outputs share the class. */
function chainOf(facts: Facts, node: Node, root: number, start: string, end: Omit<Pin, 'cause'>): WhyStep[] {
  const first = { node: node.label, op: node.qualifiedOp, reason: start };
  const way = path(facts, node, root, end.node).map((step) => ({
    node: step.label,
    op: step.qualifiedOp,
    reason: 'passes them on',
  }));
  const last = { node: end.node?.label ?? '(model)', op: end.node?.qualifiedOp ?? '', reason: end.reason };
  return [first, ...way, last];
}

function keptDead(
  facts: Facts,
  node: Node,
  root: number,
  { blocker, reason }: { readonly blocker: Blocker; readonly reason: Reason },
): Kept {
  const { cause } = reason;
  // What they are tied to is needed by something: that says more than where they are tied.
  const isTied = cause === 'alive' && blocker.kind === 'read';
  const end = isTied ? endOf(blocker) : { node: reason.node, reason: describeReason(reason) };
  return { state: 'kept', cause, chain: chainOf(facts, node, root, STARTS[cause] ?? 'dead here', end) };
}

const STARTS: Readonly<Partial<Record<Cause, string>>> = {
  alive: 'dead here, but coupled to channels of other layers that are alive',
  group: 'dead here, but fillers: groups stay equal',
  codes: 'dead here, but a constant other than 0',
};

function endOf(blocker: Blocker): Omit<Pin, 'cause'> {
  switch (blocker.kind) {
    case 'read':
      return { node: blocker.read.at.node, reason: 'needs them: its weights for them are not zero' };
    case 'codes':
      return { node: blocker.read.at.node, reason: describeStuck(blocker.read) };
    case 'group':
      return { node: blocker.imbalance.at.node, reason: describeImbalance(blocker.imbalance) };
    case 'pin':
      return blocker.pin;
  }
}

/**
 * The shortest way from `from` to `to` over values whose channels are in the class; empty when they
 * are neighbours.
 */
function path(facts: Facts, from: Node, root: number, to: Node | undefined): Node[] {
  if (to === undefined || from === to) return [];
  const cameFrom = new Map<Node, Node | undefined>([[from, undefined]]);
  const queue = [from];
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    for (const next of neighbours(facts, at, root)) {
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, at);
      if (next === to) return backtrack(cameFrom, at, from);
      queue.push(next);
    }
  }
  return [];
}

function backtrack(cameFrom: ReadonlyMap<Node, Node | undefined>, end: Node, start: Node): Node[] {
  const steps: Node[] = [];
  for (let at: Node | undefined = end; at !== undefined && at !== start; at = cameFrom.get(at)) steps.unshift(at);
  return steps;
}

/**
 * Nodes that share a value of the class with `node`: readers of its outputs, producers and readers
 * of its inputs.
 */
function neighbours(facts: Facts, node: Node, root: number): Node[] {
  const values = [...node.outputs, ...node.inputs].filter((value) => value !== undefined);
  const tied = values.filter((value) =>
    facts.positions.axesOf(value).some((axis) => {
      if (axis === undefined || isOperand(axis.slot)) return false;
      for (let index = 0; index < axis.extent; index++)
        if (facts.positions.classOf(axis.base + index) === root) return true;
      return false;
    }),
  );
  return tied.flatMap(({ producer, uses }) => [
    ...(producer === undefined ? [] : [producer]),
    ...uses.map((use) => use.node),
  ]);
}
