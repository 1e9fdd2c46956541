/**
 * The only way to change a graph. Edits happen inside a labelled transaction. At its end the
 * verifier checks what was touched; a failure (or an exception) rolls every edit back. Transactions
 * are counted, so that `--stop-after N` bisects.
 *
 * A constant operand is exchanged by `sliceOperand` and `rewriteOperand` alone, which record what
 * became of it (provenance.ts).
 */
import { PruneCompileError } from '../errors.js';
import { type Attribute, type AttributeValue, type Graph, type Node, type Use, Value } from './graph.js';
import { newNode, type NodeSpec } from './node-spec.js';
import { type KeptAxes, Provenance } from './provenance.js';
import type { Tensor } from './tensor.js';
import { removeUse, setCaptures } from './uses.js';
import { verifyGraph, verifyTouched } from './verifier.js';

/** Input `index` of `node`, and which indices of each axis it keeps; absent: all. */
export interface OperandCut extends Use {
  readonly kept?: KeptAxes;
}

/** Thrown inside a transaction to give it up without an error: the edits are rolled back. */
export class Abandon extends Error {}

export class Editor {
  readonly graph: Graph;
  /** What became of constant operands in all transactions. */
  readonly provenance = new Provenance();
  /** Labels of the transactions done, in order. */
  readonly history: string[] = [];
  readonly #stopAfter: number;
  #undo: (() => void)[] | undefined = undefined;
  /** What the transaction changed so far. */
  readonly #touched = { nodes: new Set<Node>(), values: new Set<Value>() };
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
      const problems = verifyTouched(this.graph, this.#touched.nodes, this.#touched.values);
      this.#refuse(problems, `the edit "${label}" would break the graph and was rolled back`);
      this.history.push(label);
      this.#revertible?.push(...this.#undo);
      return true;
    } catch (error) {
      this.#rollBack();
      if (error instanceof Abandon) return false;
      throw error;
    } finally {
      this.#undo = undefined;
      this.#touched.nodes.clear();
      this.#touched.values.clear();
    }
  }

  /** Checks the whole graph. Throws E-INTERNAL. */
  verify(): void {
    this.#refuse(verifyGraph(this.graph), `the edit "${this.history.at(-1)}" broke the graph`);
  }

  #refuse(problems: readonly string[], what: string): void {
    if (problems.length === 0) return;
    throw new PruneCompileError('E-INTERNAL', {
      what,
      facts: [
        ...problems.slice(0, 5).map((problem) => ['why', problem] as const),
        ['try', `--stop-after ${this.history.length}`],
      ],
    });
  }

  /**
   * From here on edits are remembered; the function that is returned takes all of them back, once.
   */
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

  /**
   * Throws where a stored constant would become another one: see `sliceOperand` and
   * `rewriteOperand`.
   */
  setInput(node: Node, index: number, value: Value | undefined): void {
    const before = node.inputs[index];
    if (
      before?.initializer !== undefined &&
      value?.initializer !== undefined &&
      before.initializer !== value.initializer
    )
      throw new Error(`input ${index} of ${node.label} is a constant: what becomes of it must be recorded`);
    this.#setInput(node, index, value);
  }

  #setInput(node: Node, index: number, value: Value | undefined): void {
    const before = node.inputs[index];
    if (before === value) return;
    const length = node.inputs.length;
    this.#touch([node], [before, value]);
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

  /**
   * The node reads `value`, which is its constant operand with the indices `kept` of each axis.
   * `isRewritten`: with other contents besides.
   */
  sliceOperand({ node, index }: Use, value: Value, kept: KeptAxes, isRewritten = false): void {
    this.#setInput(node, index, value);
    this.#record([{ node, index, kept }], isRewritten);
  }

  /**
   * The node reads `value` in place of its constant operand: the same extents with other contents.
   */
  rewriteOperand({ node, index }: Use, value: Value): void {
    this.#setInput(node, index, value);
    this.#record([{ node, index }], true);
  }

  /**
   * The initializer gets `tensor` as its contents, which is it without the indices that the
   * operands in `cuts` lose.
   */
  sliceInitializer(value: Value, tensor: Tensor, cuts: readonly OperandCut[], isRewritten = false): void {
    this.#setInitializer(value, tensor);
    this.#record(cuts, isRewritten);
  }

  /** The initializer gets other contents, for all its readers. */
  rewriteInitializer(value: Value, tensor: Tensor): void {
    this.#setInitializer(value, tensor);
    this.#record(value.uses, true);
  }

  /**
   * All readers of `from` read `to`, which is it without the indices that the operands in `cuts`
   * lose.
   */
  sliceAllUses(from: Value, to: Value, cuts: readonly OperandCut[]): void {
    for (const { node, index } of from.uses.slice()) this.#setInput(node, index, to);
    this.#record(cuts, false);
  }

  #record(cuts: readonly OperandCut[], isRewritten: boolean): void {
    for (const { node, index, kept } of cuts.slice()) {
      if (kept !== undefined) this.#doUndo(() => this.provenance.slice(node, index, kept));
      if (isRewritten) this.#doUndo(() => this.provenance.rewrite(node, index));
    }
  }

  /** Undefined takes the attribute away. */
  setAttribute(node: Node, name: string, value: AttributeValue | undefined): void {
    const before = node.attributes.get(name);
    const set = (to: AttributeValue | undefined) =>
      to === undefined ? node.attributes.delete(name) : node.attributes.set(name, to);
    this.#touch([node], []);
    this.#do(
      () => set(value),
      () => set(before),
    );
  }

  /** A subgraph of the node becomes another one; all of its subgraphs together read `captures`. */
  setSubgraph(node: Node, name: string, attribute: Attribute, captures: readonly Value[]): void {
    this.setAttribute(node, name, attribute);
    const before = node.captures.slice();
    this.#touch([node], [...before, ...captures]);
    this.#do(
      () => setCaptures(node, captures),
      () => setCaptures(node, before),
    );
  }

  #setInitializer(value: Value, tensor: Tensor): void {
    const before = value.initializer;
    this.#touch([], [value]);
    this.#do(
      () => (value.initializer = tensor),
      () => (value.initializer = before),
    );
  }

  /** `wish` is made fresh when taken. */
  addInitializer(wish: string, tensor: Tensor): Value {
    const value = new Value(this.graph.freshName(wish));
    value.initializer = tensor;
    this.#touch([], [value]);
    this.#do(
      () => this.graph.addValue(value),
      () => this.graph.deleteValue(value),
    );
    return value;
  }

  /**
   * Removes a value that nobody reads: an initializer (with its graph input entry, if any) or a
   * left-over.
   */
  removeValue(value: Value): void {
    if (value.uses.length > 0 || value.isSeenOutside || value.producer !== undefined)
      throw new Error(`value ${value.name} is still in use`);
    const { inputs } = this.graph;
    const inputAt = value.isGraphInput ? inputs.indexOf(value) : -1;
    this.#touch([], [value]);
    this.#do(
      () => {
        this.graph.deleteValue(value);
        if (inputAt >= 0) inputs.splice(inputAt, 1);
      },
      () => {
        this.graph.addValue(value);
        if (inputAt >= 0) inputs.splice(inputAt, 0, value);
      },
    );
  }

  /** Inserts a node before `anchor` (at the end without one). */
  addNode(spec: NodeSpec, anchor?: Node): Node {
    const node = newNode(spec);
    const { graph } = this;
    const outputs = spec.outputs.map((wish, index) => {
      const value = new Value(graph.freshName(wish));
      value.producer = node;
      if (index === 0) value.declared = spec.declared;
      return value;
    });
    const at = anchor?.order === undefined ? graph.nodes.length : graph.indexOf(anchor);
    this.#touch([node], outputs);
    this.#do(
      () => {
        node.outputs.push(...outputs);
        for (const value of outputs) graph.addValue(value);
        graph.attach(node, at);
      },
      () => {
        graph.detach(node);
        for (const value of outputs) graph.deleteValue(value);
      },
    );
    for (const [index, value] of spec.inputs.entries()) this.#setInput(node, index, value);
    return node;
  }

  /**
   * Puts a node between a value and all that reads it (nodes, subgraphs, the graph's outputs): the
   * producer writes to a new value, which `inputs` receives, and the new node writes the old one,
   * so that names seen from outside survive.
   */
  insertAfter(
    value: Value,
    spec: Omit<NodeSpec, 'inputs' | 'outputs'> & { inputs: (inner: Value) => readonly Value[] },
  ): Node {
    const { producer } = value;
    if (producer === undefined) throw new Error(`${value.name} has no producer to insert after`);
    const { graph } = this;
    const inner = new Value(graph.freshName(`${value.name}_before_${spec.opType}`));
    const node = newNode(spec);
    const slot = producer.outputs.indexOf(value);
    this.#touch([producer, node], [value, inner]);
    this.#do(
      () => {
        graph.addValue(inner);
        inner.producer = producer;
        producer.outputs[slot] = inner;
        value.producer = node;
        node.outputs.push(value);
        graph.attach(node, graph.indexOf(producer) + 1);
      },
      () => {
        graph.detach(node);
        value.producer = producer;
        producer.outputs[slot] = value;
        graph.deleteValue(inner);
      },
    );
    for (const [index, operand] of spec.inputs(inner).entries()) this.#setInput(node, index, operand);
    return node;
  }

  /**
   * Each of the two is computed by the other's producer from now on: so an operator takes over a
   * value that must keep its name. Nobody may read `made` yet, and its producer has to stand before
   * the readers of `value`.
   */
  swapProducers(value: Value, made: Value): void {
    const { producer: before } = value;
    const { producer: after } = made;
    if (before === undefined || after === undefined || made.uses.length > 0 || made.isSeenOutside)
      throw new Error(`${made.name} cannot take the place of ${value.name}`);
    const [from, to] = [before.outputs.indexOf(value), after.outputs.indexOf(made)];
    this.#touch([before, after], [value, made]);
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
    for (const index of node.inputs.keys()) this.#setInput(node, index, undefined);
    const { graph } = this;
    const at = graph.indexOf(node);
    const captures = node.captures.slice();
    this.#touch([node], [...node.outputs, ...captures]);
    this.#do(
      () => {
        graph.detach(node);
        for (const output of node.outputs) if (output !== undefined) graph.deleteValue(output);
        for (const value of captures) value.capturedBy.splice(value.capturedBy.indexOf(node), 1);
      },
      () => {
        graph.attach(node, at);
        for (const output of node.outputs) if (output !== undefined) graph.addValue(output);
        for (const value of captures) value.capturedBy.push(node);
      },
    );
  }

  /**
   * Makes every node that reads `from` read `to`. Graph outputs and subgraphs keep reading `from`.
   */
  replaceAllUsesWith(from: Value, to: Value, except?: Node): void {
    for (const { node, index } of from.uses.slice()) {
      if (node !== except) this.setInput(node, index, to);
    }
  }

  #touch(nodes: readonly Node[], values: readonly (Value | undefined)[]): void {
    for (const node of nodes) this.#touched.nodes.add(node);
    for (const value of values) if (value !== undefined) this.#touched.values.add(value);
  }

  #do(apply: () => void, undo: () => void): void {
    this.#doUndo(() => {
      apply();
      return undo;
    });
  }

  /** `apply` returns its inverse. */
  #doUndo(apply: () => () => void): void {
    if (this.#undo === undefined) throw new Error('graphs are edited inside a transaction only');
    this.#undo.push(apply());
  }

  #rollBack(): void {
    for (const undo of (this.#undo ?? []).toReversed()) undo();
  }
}
