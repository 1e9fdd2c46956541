/**
 * Which ways of a model run in the cases: the branches of If, and the values between which Where
 * chooses. A way that never runs is not compared, so inputs are looked for at which it does. Only
 * what decides is run for that: the nodes that a condition is computed with.
 */
import type { RunSession } from '../runtime/guarded-session.js';
import type { Feeds } from '../runtime/feeds.js';
import { product } from '../ir/tensor.js';
import { byName } from '../names.js';
import { encodeProto } from '../onnx/encode.js';
import { ExternalData } from '../onnx/external-data.js';
import type { GraphProto, ModelProto, NodeProto, TensorProto } from '../onnx/proto.js';
import { decodeModel, type Model } from '../onnx/read.js';
import { readTensor } from '../onnx/tensors.js';
import { encodeModel } from '../onnx/write.js';
import { subgraphsOf } from '../onnx/subgraphs.js';
import { attributeOf, isPlain, readsOf, SIZES } from './decisions.js';

/** One of two ways. */
interface Fork {
  readonly label: string;
  readonly condition: string;
  /** The If around it that has to go that way first. */
  readonly within: readonly { readonly condition: string; readonly way: boolean }[];
  /** Which ways hold something that can be wrong. */
  readonly matters: readonly boolean[];
  readonly isIf: boolean;
  readonly ran: Set<boolean>;
}

interface Way {
  readonly fork: Fork;
  readonly way: boolean;
}

export class Branches {
  readonly #forks: readonly Fork[];
  readonly #session: RunSession;
  readonly #hidden: number;
  /** Numbers that conditions are computed with, and their neighbours. */
  readonly numbers: readonly number[];

  private constructor(session: RunSession, { forks, hidden }: Found, numbers: readonly number[]) {
    this.#session = session;
    this.#forks = forks;
    this.#hidden = hidden;
    this.numbers = numbers;
  }

  /**
   * Undefined where the model decides nothing by its inputs. `open` makes a session. Throws where
   * the model is too large for that.
   */
  static async of(model: Model, open: (bytes: Uint8Array) => Promise<RunSession>): Promise<Branches | undefined> {
    const found = forksOf(model.proto);
    if (found.forks.length === 0) return undefined;
    const proto = model.hasExternalData ? decodeModel(encodeModel(model), 'the model') : model.proto;
    const conditions = new Set(
      found.forks.flatMap(({ condition, within }) => [condition, ...within.map((at) => at.condition)]),
    );
    const slice = sliceOf(proto, conditions);
    return new Branches(await open(encodeProto(slice)), found, numbersOf(slice.graph ?? {}));
  }

  get isComplete(): boolean {
    return this.#forks.every(isComplete);
  }

  /** The ways that these inputs take and none have taken so far. */
  async newWays(feeds: Feeds): Promise<Way[]> {
    const wanted = new Set(this.#session.inputMetadata.map(({ name }) => name));
    const outputs = await this.#session.run(byName(Object.entries(feeds).filter(([name]) => wanted.has(name))));
    const waysOf = (condition: string) => new Set([...(outputs[condition]?.data ?? [])].map(Boolean));
    return this.#forks.flatMap((fork) => {
      const isReached = fork.within.every(({ condition, way }) => waysOf(condition).has(way));
      const ways = isReached ? [...waysOf(fork.condition)] : [];
      return ways.filter((way) => fork.matters.includes(way) && !fork.ran.has(way)).map((way) => ({ fork, way }));
    });
  }

  /** They count as taken. */
  take(ways: readonly Way[]): void {
    for (const { fork, way } of ways) fork.ran.add(way);
  }

  notes(): string[] {
    const never = this.#forks.flatMap((fork) => neverTaken(fork));
    const shown = never.slice(0, MOST_NAMED).join(', ');
    const more = never.length > MOST_NAMED ? ` and ${never.length - MOST_NAMED} more` : '';
    return [
      ...(never.length === 0
        ? []
        : [
            `never ran in these cases: ${shown}${more}; an error there is not seen. verify() of the API takes \`inputs\` that go there`,
          ]),
      ...(this.#hidden === 0
        ? []
        : [
            `${this.#hidden} If inside other subgraphs decide${this.#hidden === 1 ? 's' : ''} by what is computed there: whether all of their branches ran is not known`,
          ]),
    ];
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

const MOST_NAMED = 4;

function isComplete({ matters, ran }: Fork): boolean {
  return matters.every((way) => ran.has(way));
}

function neverTaken({ label, matters, ran, isIf: hasBranches }: Fork): string[] {
  return matters
    .filter((way) => !ran.has(way))
    .map((way) =>
      hasBranches
        ? `the ${way ? 'then' : 'else'}-branch of If "${label}"`
        : `the ${way ? 'first' : 'second'} choice of Where "${label}"`,
    );
}

interface Found {
  readonly forks: readonly Fork[];
  /** How many decide by what cannot be seen from outside. */
  readonly hidden: number;
}

/** Of what the values of inputs decide. */
function forksOf({ graph = {} }: ModelProto): Found {
  const stored = new Set((graph.initializer ?? []).map(({ name }) => name));
  const moving = new Set((graph.input ?? []).flatMap(({ name = '' }) => (stored.has(name) ? [] : [name])));
  const forks: Fork[] = [];
  let hidden = 0;
  const lookInside = (node: NodeProto, within: Fork['within'], isSeen: boolean) => {
    for (const [name, way] of WAYS) {
      const inner = isIf(node) ? attributeOf(node, name)?.g?.node : undefined;
      const [condition = ''] = node.input ?? [];
      for (const child of inner ?? []) visit(child, [...within, { condition, way }], isSeen);
    }
    if (!isIf(node))
      for (const { node: inner = [] } of subgraphsOf(node)) for (const child of inner) visit(child, within, false);
  };
  const visit = (node: NodeProto, within: Fork['within'], isSeen: boolean) => {
    const [condition = ''] = node.input ?? [];
    if (isIf(node)) {
      const canTell = isSeen && moving.has(condition);
      if (canTell)
        forks.push({ label: labelOf(node), condition, within, matters: [true, false], isIf: true, ran: new Set() });
      else if (!isSeen || !outside.has(condition)) hidden++;
      lookInside(node, within, isSeen && outside.has(condition));
    } else lookInside(node, within, false);
  };
  const outside = new Set([...stored, ...(graph.node ?? []).flatMap(({ output = [] }) => output), ...moving]);
  for (const node of graph.node ?? []) {
    const isMoving = !isSize(node) && readsOf(node).some((name) => moving.has(name));
    visit(node, [], true);
    const choice = whereOf(node, moving);
    if (choice !== undefined) forks.push(choice);
    if (isMoving) for (const name of node.output ?? []) moving.add(name);
  }
  return { forks, hidden };
}

const WAYS = [
  ['then_branch', true],
  ['else_branch', false],
] as const;

const BRANCHING: ReadonlySet<string> = new Set(['If']);
const CHOOSING: ReadonlySet<string> = new Set(['Where']);

function isIf(node: NodeProto): boolean {
  return BRANCHING.has(node.opType ?? '') && isPlain(node);
}

function isSize(node: NodeProto): boolean {
  return isPlain(node) && SIZES.has(node.opType ?? '');
}

/** A choice that is a constant cannot be wrong on its own. */
function whereOf(node: NodeProto, moving: ReadonlySet<string>): Fork | undefined {
  const [condition = '', first = '', second = ''] = node.input ?? [];
  if (!CHOOSING.has(node.opType ?? '') || !isPlain(node) || !moving.has(condition)) return undefined;
  const matters = [...(moving.has(first) ? [true] : []), ...(moving.has(second) ? [false] : [])];
  return matters.length === 0
    ? undefined
    : { label: labelOf(node), condition, within: [], matters, isIf: false, ran: new Set() };
}

function labelOf({ name = '', output = [] }: NodeProto): string {
  return name === '' ? (output[0] ?? '') : name;
}

/** The model with nothing but what `names` are computed with. */
function sliceOf(model: ModelProto, names: ReadonlySet<string>): ModelProto {
  const { graph = {} } = model;
  const needed = new Set(names);
  const kept: NodeProto[] = [];
  for (const node of (graph.node ?? []).toReversed()) {
    if (!(node.output ?? []).some((name) => needed.has(name))) continue;
    kept.push(node);
    for (const name of readsOf(node)) needed.add(name);
  }
  const isNeeded = ({ name = '' }: { name?: string }) => needed.has(name);
  return {
    ...model,
    graph: {
      ...graph,
      node: kept.toReversed(),
      initializer: (graph.initializer ?? []).filter(isNeeded),
      sparseInitializer: (graph.sparseInitializer ?? []).filter(({ values }) => isNeeded(values ?? {})),
      input: (graph.input ?? []).filter(isNeeded),
      output: [...names].map((name) => ({ name })),
    },
  };
}

const MOST_ELEMENTS = 4;
const MOST_NUMBERS = 24;
/** A number may be how often something is done. */
const LARGEST_NUMBER = 1e4;

/** 0 and 1, and the constants that conditions are computed with, each with what is next to it. */
function numbersOf(graph: GraphProto): number[] {
  const tensors = [
    ...(graph.initializer ?? []),
    ...(graph.node ?? []).flatMap(({ attribute = [] }) => attribute.flatMap(({ t }) => t ?? [])),
  ];
  const numbers = tensors.flatMap(smallNumbers);
  return [...new Set([0, 1, ...numbers.flatMap((number) => [number + 1, number, number - 1])])].slice(0, MOST_NUMBERS);
}

function smallNumbers(proto: TensorProto): number[] {
  if (product((proto.dims ?? []).map(Number)) > MOST_ELEMENTS) return [];
  try {
    return [...(readTensor(proto, new ExternalData(undefined))?.numbers() ?? [])].filter(
      (number) => Math.abs(number) <= LARGEST_NUMBER,
    );
  } catch {
    return [];
  }
}
