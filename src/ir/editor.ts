/**
 * The only way to change a graph. Edits happen inside a labelled transaction: at its end the verifier runs, and a
 * failure (or an exception) rolls every edit of it back. Transactions are counted, so that `--stop-after N` bisects.
 */
import { PruneCompileError } from '../errors.js';
import { type AttributeValue, type Graph, Node, Value } from './graph.js';
import type { Origin } from './origin.js';
import type { Tensor } from './tensor.js';
import { verifyGraph } from './verifier.js';

export interface NodeSpec {
  opType: string;
  domain?: string;
  name: string;
  inputs: readonly (Value | undefined)[];
  /** Names wished for the outputs; made fresh. */
  outputs: readonly string[];
  attributes?: Readonly<Record<string, AttributeValue>>;
  /** What the node is made for, where anybody asks. */
  origin?: Origin;
  /** Type of the first output, to be written down in value_info. */
  declared?: NonNullable<Value['declared']>;
}

/** Thrown inside a transaction to give it up without an error: the edits are rolled back. */
export class Abandon extends Error {}

export class Editor {
  readonly graph: Graph;
  /** Labels of the transactions done, in order. */
  readonly history: string[] = [];
  readonly #stopAfter: number;
  #undo: (() => void)[] | undefined = undefined;
  /** Inverses of the edits since the last checkpoint, where there is one. */
  #revertible: (() => void)[] | undefined = undefined;

  constructor(graph: Graph, options: { stopAfter?: number } = {}) {
    this.graph = graph;
    this.#stopAfter = options.stopAfter ?? Number.POSITIVE_INFINITY;
  }

  /** True once `stopAfter` transactions are done: passes then find nothing to do. */
  get stopped(): boolean {
    return this.history.length >= this.#stopAfter;
  }

  /** How many transactions may still be done. */
  get editsLeft(): number {
    return Math.max(0, this.#stopAfter - this.history.length);
  }

  /** Runs `edit`; returns false when it changed nothing or the editor is stopped. */
  transaction(label: string, edit: () => void): boolean {
    if (this.stopped) return false;
    if (this.#undo !== undefined) throw new Error(`transaction "${label}" inside another one`);
    this.#undo = [];
    try {
      edit();
      if (this.#undo.length === 0) return false;
      const problems = verifyGraph(this.graph);
      if (problems.length > 0) {
        throw new PruneCompileError('E-INTERNAL', {
          what: `the edit "${label}" would break the graph and was rolled back`,
          facts: [
            ...problems.slice(0, 5).map((problem) => ['why', problem] as const),
            ['try', `--stop-after ${this.history.length}`],
          ],
        });
      }
      this.history.push(label);
      this.#revertible?.push(...this.#undo);
      return true;
    } catch (error) {
      this.#rollBack();
      if (error instanceof Abandon) return false;
      throw error;
    } finally {
      this.#undo = undefined;
    }
  }

  /** From here on edits are remembered; the function that is returned takes all of them back, once. */
  checkpoint(): () => void {
    const done = this.history.length;
    const inverses: (() => void)[] = [];
    this.#revertible = inverses;
    return () => {
      if (this.#revertible !== inverses) return;
      this.#revertible = undefined;
      for (const undo of inverses.toReversed()) undo();
      this.history.length = done;
    };
  }

  setInput(node: Node, index: number, value: Value | undefined): void {
    const before = node.inputs[index];
    if (before === value) return;
    const length = node.inputs.length;
    this.#do(
      () => {
        if (before !== undefined) removeUse(before, node, index);
        while (node.inputs.length < index) node.inputs.push(undefined);
        node.inputs[index] = value;
        value?.uses.push({ node, index });
      },
      () => {
        if (value !== undefined) removeUse(value, node, index);
        node.inputs[index] = before;
        node.inputs.length = length;
        before?.uses.push({ node, index });
      },
    );
  }

  setAttribute(node: Node, name: string, value: AttributeValue): void {
    const before = node.attributes.get(name);
    this.#do(
      () => node.attributes.set(name, value),
      () => (before === undefined ? node.attributes.delete(name) : node.attributes.set(name, before)),
    );
  }

  /** Replaces the contents of an initializer for all its readers. */
  setInitializer(value: Value, tensor: Tensor): void {
    const before = value.initializer;
    this.#do(
      () => (value.initializer = tensor),
      () => (value.initializer = before),
    );
  }

  /** `wish` is made fresh when taken. */
  addInitializer(wish: string, tensor: Tensor): Value {
    const value = new Value(this.graph.freshName(wish));
    value.initializer = tensor;
    this.#do(
      () => this.graph.values.set(value.name, value),
      () => this.graph.values.delete(value.name),
    );
    return value;
  }

  /** Removes a value that nobody reads: an initializer (with its graph input entry, if any) or a left-over. */
  removeValue(value: Value): void {
    if (value.uses.length > 0 || value.isSeenOutside || value.producer !== undefined)
      throw new Error(`value ${value.name} is still in use`);
    const { values, inputs } = this.graph;
    const inputAt = inputs.indexOf(value);
    this.#do(
      () => {
        values.delete(value.name);
        if (inputAt >= 0) inputs.splice(inputAt, 1);
      },
      () => {
        values.set(value.name, value);
        if (inputAt >= 0) inputs.splice(inputAt, 0, value);
      },
    );
  }

  /** Inserts a node before `anchor` (at the end without one). */
  addNode(spec: NodeSpec, anchor?: Node): Node {
    const node = new Node(spec.opType, spec.domain ?? '', spec.name);
    node.origin = spec.origin;
    for (const [name, value] of Object.entries(spec.attributes ?? {})) node.attributes.set(name, value);
    const outputs = spec.outputs.map((wish, index) => {
      const value = new Value(this.graph.freshName(wish));
      value.producer = node;
      if (index === 0) value.declared = spec.declared;
      return value;
    });
    const { nodes, values } = this.graph;
    const found = anchor === undefined ? -1 : nodes.indexOf(anchor);
    const at = found < 0 ? nodes.length : found;
    this.#do(
      () => {
        node.outputs.push(...outputs);
        for (const value of outputs) values.set(value.name, value);
        nodes.splice(at, 0, node);
      },
      () => {
        nodes.splice(nodes.indexOf(node), 1);
        for (const value of outputs) values.delete(value.name);
      },
    );
    for (const [index, value] of spec.inputs.entries()) this.setInput(node, index, value);
    return node;
  }

  /**
   * Puts a node between a value and all that reads it (nodes, subgraphs, the graph's outputs): the producer writes to a new
   * value, which `inputs` receives, and the new node writes the old one, so that names seen from outside survive.
   */
  interpose(
    value: Value,
    spec: Omit<NodeSpec, 'inputs' | 'outputs'> & { inputs: (inner: Value) => readonly Value[] },
  ): Node {
    const { producer } = value;
    if (producer === undefined) throw new Error(`${value.name} has no producer to interpose after`);
    const { nodes, values } = this.graph;
    const inner = new Value(this.graph.freshName(`${value.name}_before_${spec.opType}`));
    const node = new Node(spec.opType, spec.domain ?? '', spec.name);
    node.origin = spec.origin;
    for (const [name, attribute] of Object.entries(spec.attributes ?? {})) node.attributes.set(name, attribute);
    const slot = producer.outputs.indexOf(value);
    this.#do(
      () => {
        values.set(inner.name, inner);
        inner.producer = producer;
        producer.outputs[slot] = inner;
        value.producer = node;
        node.outputs.push(value);
        nodes.splice(nodes.indexOf(producer) + 1, 0, node);
      },
      () => {
        nodes.splice(nodes.indexOf(node), 1);
        value.producer = producer;
        producer.outputs[slot] = value;
        values.delete(inner.name);
      },
    );
    for (const [index, operand] of spec.inputs(inner).entries()) this.setInput(node, index, operand);
    return node;
  }

  /**
   * Each of the two is computed by the other's producer from now on: so an operator takes over a value that must keep its name. Nobody
   * may read `made` yet, and its producer has to stand before the readers of `value`.
   */
  exchangeProducers(value: Value, made: Value): void {
    const { producer: before } = value;
    const { producer: after } = made;
    if (before === undefined || after === undefined || made.uses.length > 0 || made.isSeenOutside)
      throw new Error(`${made.name} cannot take the place of ${value.name}`);
    const [from, to] = [before.outputs.indexOf(value), after.outputs.indexOf(made)];
    this.#do(
      () => {
        [before.outputs[from], after.outputs[to]] = [made, value];
        [value.producer, made.producer] = [after, before];
      },
      () => {
        [before.outputs[from], after.outputs[to]] = [value, made];
        [value.producer, made.producer] = [before, after];
      },
    );
  }

  /** Removes a node whose outputs nobody reads, and those outputs. */
  removeNode(node: Node): void {
    for (const output of node.outputs) {
      if (output !== undefined && (output.uses.length > 0 || output.isSeenOutside))
        throw new Error(`node ${node.label} is still in use`);
    }
    for (const index of node.inputs.keys()) this.setInput(node, index, undefined);
    const { nodes, values } = this.graph;
    const at = nodes.indexOf(node);
    const captured = [...values.values()].filter((value) => value.capturedBy.includes(node));
    this.#do(
      () => {
        nodes.splice(at, 1);
        for (const output of node.outputs) if (output !== undefined) values.delete(output.name);
        for (const value of captured) value.capturedBy.splice(value.capturedBy.indexOf(node), 1);
      },
      () => {
        nodes.splice(at, 0, node);
        for (const output of node.outputs) if (output !== undefined) values.set(output.name, output);
        for (const value of captured) value.capturedBy.push(node);
      },
    );
  }

  /** Makes every node that reads `from` read `to`. Graph outputs and subgraphs keep reading `from`. */
  replaceUses(from: Value, to: Value, except?: Node): void {
    for (const { node, index } of from.uses.slice()) {
      if (node !== except) this.setInput(node, index, to);
    }
  }

  #do(apply: () => void, undo: () => void): void {
    if (this.#undo === undefined) throw new Error('graphs are edited inside a transaction only');
    apply();
    this.#undo.push(undo);
  }

  #rollBack(): void {
    for (const undo of (this.#undo ?? []).toReversed()) undo();
  }
}

function removeUse(value: Value, node: Node, index: number): void {
  const at = value.uses.findIndex((use) => use.node === node && use.index === index);
  value.uses.splice(at, 1);
}
