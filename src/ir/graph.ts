/**
 * The graph the compiler works on: nodes in topological order, values that know their producer and
 * their uses. Everything here is read-only to the outside; changes go through the Editor
 * (editor.ts), which keeps uses right.
 */
import type { Tensor } from './tensor.js';

/** A static extent, a symbolic one by name, or '' for an unknown one. */
export type Dim = number | string;

/**
 * Begins the names of extents that the model has none for. ONNX Runtime hands out names up to the
 * first such byte, so that no name of a model begins with it.
 */
export const COMPUTED_EXTENT = '\0';

/** Names of what the compiler adds begin so, for people: nothing is found by it. */
export const COMPILER_PREFIX = 'prune_compile/';

/** Domain of the native operators (kernels/). */
export const SPARSE_DOMAIN = 'prune_compile';
/** Version of those operators: grows with the contract in kernels/README.md. */
export const SPARSE_VERSION = 1;

export type AttributeValue =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  | { readonly kind: 'other' };

export type Attribute = AttributeValue & {
  /** What the codec read, written again as it is when the attribute was not edited. */
  readonly source?: object;
};

/** Input `index` of `node` reads the value. */
export interface Use {
  readonly node: Node;
  readonly index: number;
}

/** What the compiler made a node for (origin.ts). */
export type Origin =
  /**
   * A convolution that gives back the constants of channels that `reader` no longer reads: no layer
   * of the network. A file does not say whose it is.
   */
  | { readonly kind: 'compensation'; readonly reader?: Node }
  /** Says, place by place, which taps of a kernel lie inside the image: what compensations read. */
  | { readonly kind: 'indicators' }
  /** Makes the ones that indicators, and readers of constants, read. */
  | { readonly kind: 'ones' }
  /**
   * A native operator in the place of `of` and of what was fused with it; a chain has one node per
   * step.
   */
  | { readonly kind: 'native'; readonly of: readonly Node[] };

export class Value {
  name: string;
  /** The node that computes it; undefined for graph inputs and initializers. */
  producer: Node | undefined = undefined;
  readonly uses: Use[] = [];
  /** Nodes whose subgraphs read this value by name. */
  readonly capturedBy: Node[] = [];
  isGraphInput = false;
  isGraphOutput = false;
  /** A constant the compiler does not look into: string or 4-bit initializers. */
  isOpaqueConstant = false;
  /**
   * Type of a value that the compiler added, for value_info: runtimes fuse only what they can see
   * to be equal.
   */
  declared: { readonly dataType: number; readonly dims: readonly Dim[] } | undefined = undefined;
  /** Set for initializers (also those that are listed among the graph inputs). */
  initializer: Tensor | undefined = undefined;
  /**
   * What the codec read for this initializer, written again as it is while `initializer` is
   * unchanged.
   */
  initializerSource: { readonly tensor: Tensor; readonly source: object; readonly isSparse: boolean } | undefined =
    undefined;

  constructor(name: string) {
    this.name = name;
  }

  /**
   * Whether somebody besides the graph's own nodes sees it: it may then be neither dropped nor
   * overwritten.
   */
  get isSeenOutside(): boolean {
    return this.isGraphOutput || this.capturedBy.length > 0;
  }

  /** Whether one input of one node is all that sees it. */
  get hasSingleUse(): boolean {
    return this.uses.length === 1 && !this.isSeenOutside;
  }
}

export class Node {
  readonly opType: string;
  /** '' for the default domain (ai.onnx). */
  readonly domain: string;
  /** May be empty: exporters need not name nodes. */
  readonly name: string;
  /** undefined where an optional input is left out. */
  readonly inputs: (Value | undefined)[] = [];
  readonly outputs: (Value | undefined)[] = [];
  readonly attributes = new Map<string, Attribute>();
  /** Whether the node has subgraphs (If, Loop, Scan). */
  hasSubgraph = false;
  /** Values of the graph that its subgraphs read by name. */
  readonly captures: Value[] = [];
  /** Grows along `graph.nodes`; undefined while the node is in no graph. Kept by the graph. */
  order: number | undefined = undefined;
  /** What the compiler made it for; undefined for nodes of the model. */
  origin: Origin | undefined = undefined;
  /** What the codec read: doc string, metadata, unknown fields. */
  source: object | undefined = undefined;

  constructor(opType: string, domain: string, name: string) {
    this.opType = opType;
    this.domain = domain === 'ai.onnx' ? '' : domain;
    this.name = name;
  }

  int(name: string, otherwise: number): number {
    const attribute = this.attributes.get(name);
    return attribute?.kind === 'int' ? attribute.value : otherwise;
  }

  float(name: string, otherwise: number): number {
    const attribute = this.attributes.get(name);
    return attribute?.kind === 'float' ? attribute.value : otherwise;
  }

  ints(name: string): readonly number[] | undefined {
    const attribute = this.attributes.get(name);
    return attribute?.kind === 'ints' ? attribute.value : undefined;
  }

  floats(name: string): readonly number[] | undefined {
    const attribute = this.attributes.get(name);
    return attribute?.kind === 'floats' ? attribute.value : undefined;
  }

  string(name: string, otherwise: string): string {
    const attribute = this.attributes.get(name);
    return attribute?.kind === 'string' ? attribute.value : otherwise;
  }

  strings(name: string): readonly string[] | undefined {
    const attribute = this.attributes.get(name);
    return attribute?.kind === 'strings' ? attribute.value : undefined;
  }

  tensor(name: string): Tensor | undefined {
    const attribute = this.attributes.get(name);
    return attribute?.kind === 'tensor' ? attribute.value : undefined;
  }

  /** The operator with its domain where that is not ai.onnx: `Conv`, `com.microsoft::FusedConv`. */
  get qualifiedOp(): string {
    return this.domain === '' ? this.opType : `${this.domain}::${this.opType}`;
  }

  /** A name for people: the node's own, or its operator and first output. */
  get label(): string {
    return this.name === '' ? `${this.qualifiedOp} -> ${this.outputs[0]?.name ?? '?'}` : this.name;
  }
}

export class Graph {
  /** In topological order. Changed by `attach` and `detach` alone. */
  readonly nodes: Node[] = [];
  /** Changed by `addValue` and `deleteValue` alone. */
  readonly values = new Map<string, Value>();
  readonly inputs: Value[] = [];
  readonly outputs: Value[] = [];
  /** Version of the default operator domain. */
  readonly opset: number;
  /** Names the graph may not use for new values: those inside subgraphs. */
  readonly reservedNames = new Set<string>();
  /** How many nodes have a name. */
  readonly #nodeNames = new Map<string, number>();
  readonly #valueSuffixes = new Suffixes();
  readonly #nodeSuffixes = new Suffixes();

  constructor(opset: number) {
    this.opset = opset;
  }

  value(name: string): Value {
    const known = this.values.get(name);
    if (known !== undefined) return known;
    const value = new Value(name);
    this.addValue(value);
    return value;
  }

  addValue(value: Value): void {
    this.values.set(value.name, value);
  }

  deleteValue({ name }: Value): void {
    this.values.delete(name);
    this.#valueSuffixes.free(name);
  }

  /** Puts the node at this place; without one at the end. */
  attach(node: Node, at = this.nodes.length): void {
    const before = this.nodes[at - 1]?.order;
    const after = this.nodes[at]?.order;
    this.nodes.splice(at, 0, node);
    this.#nodeNames.set(node.name, (this.#nodeNames.get(node.name) ?? 0) + 1);
    node.order = between(before, after);
    // Two neighbours with no number between them: after some fifty insertions at one place.
    if (node.order === before || node.order === after)
      for (const [index, each] of this.nodes.entries()) each.order = index;
  }

  detach(node: Node): void {
    this.nodes.splice(this.indexOf(node), 1);
    node.order = undefined;
    const others = (this.#nodeNames.get(node.name) ?? 1) - 1;
    if (others > 0) this.#nodeNames.set(node.name, others);
    else {
      this.#nodeNames.delete(node.name);
      this.#nodeSuffixes.free(node.name);
    }
  }

  /** The place of the node in `nodes`, by bisection. Throws RangeError where it has none. */
  indexOf(node: Node): number {
    let low = 0;
    let high = this.nodes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.nodes[middle]?.order ?? 0) < (node.order ?? Number.NaN)) low = middle + 1;
      else high = middle;
    }
    if (this.nodes[low] !== node) throw new RangeError(`${node.label} is not in the graph`);
    return low;
  }

  *initializers(): Generator<Value & { initializer: Tensor }> {
    for (const value of this.values.values()) {
      if (hasInitializer(value)) yield value;
    }
  }

  /** The node called `name`, or the one that computes the value called so. */
  findNode(name: string): Node | undefined {
    return this.nodes.find((node) => node.name === name) ?? this.values.get(name)?.producer;
  }

  freshName(wish: string): string {
    return this.#valueSuffixes.fresh(wish, (name) => this.#isTaken(name));
  }

  /**
   * For values that never become the graph's own: every call gives another name, whatever was
   * wished for.
   */
  freshNames(): (wish: string) => string {
    const given = new Set<string>();
    const suffixes = new Suffixes();
    return (wish) => {
      const name = suffixes.fresh(wish, (taken) => this.#isTaken(taken) || given.has(taken));
      given.add(name);
      return name;
    };
  }

  /** ONNX Runtime refuses two nodes of one name. */
  freshNodeName(wish: string): string {
    return this.#nodeSuffixes.fresh(wish, (name) => this.#nodeNames.has(name));
  }

  #isTaken(name: string): boolean {
    return this.values.has(name) || this.reservedNames.has(name);
  }
}

/**
 * Of `name`, `name_2`, `name_3`, … the first that is free, without trying all that are known to be
 * taken.
 */
class Suffixes {
  /** Per wish: all smaller suffixes are taken. */
  readonly #lowest = new Map<string, number>();

  fresh(wish: string, isTaken: (name: string) => boolean): string {
    if (!isTaken(wish)) return wish;
    let count = this.#lowest.get(wish) ?? 2;
    while (isTaken(`${wish}_${count}`)) count++;
    this.#lowest.set(wish, count);
    return `${wish}_${count}`;
  }

  free(name: string): void {
    const at = name.lastIndexOf('_');
    const [wish, count] = [name.slice(0, at), Number(name.slice(at + 1))];
    const lowest = this.#lowest.get(wish);
    if (at >= 0 && lowest !== undefined && count < lowest) this.#lowest.set(wish, Math.max(2, count));
  }
}

function between(before: number | undefined, after: number | undefined): number {
  if (before === undefined) return after === undefined ? 0 : after - 1;
  return after === undefined ? before + 1 : (before + after) / 2;
}

export function hasInitializer(value: Value): value is Value & { initializer: Tensor } {
  return value.initializer !== undefined;
}
