/**
 * Replaces the selected layers and operators by native operators, and converts values where their
 * layout changes. Weights are stored as values and bits.
 */
import type { Shapes } from '../../src/graph-info/shapes.js';
import type { Editor } from '../../src/ir/editor.js';
import { type AttributeValue, type Dim, type Node, SPARSE_DOMAIN, type Value } from '../../src/ir/graph.js';
import { FLOAT, Tensor, UINT8 } from '../../src/ir/tensor.js';
import { Window } from '../../src/ops/attributes.js';
import type { Activation } from './activations.js';
import { float, int, ints, text } from './attributes.js';
import { blockedSize } from './blocked-layout.js';
import { isDepthwise, type SparseLayer } from './candidates.js';
import { LayoutAssignment, type NativeOp } from './layout-assignment.js';
import type { LayoutOp } from './layout-ops.js';

/** The operators ToBlocked and FromBlocked, by their names in files. */
const TO_BLOCKED = 'Enter';
const FROM_BLOCKED = 'Leave';

interface NativeNode {
  readonly opType: string;
  readonly operands: readonly (Value | undefined)[];
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /** The output's type and shape in value_info. */
  readonly declared?: Declared | undefined;
}

interface Declared {
  readonly dataType: number;
  readonly dims: readonly Dim[];
}

export class Emitter {
  readonly #editor: Editor;
  readonly #shapes: Shapes;
  readonly #layouts: LayoutAssignment;
  /** By value of the original graph: the value that holds it now, in each layout. */
  readonly #plain = new Map<Value, Value>();
  readonly #blocked = new Map<Value, Value>();

  constructor(editor: Editor, shapes: Shapes, ops: readonly NativeOp[]) {
    this.#editor = editor;
    this.#shapes = shapes;
    this.#layouts = new LayoutAssignment(ops);
  }

  /**
   * The next of the selected operators, in order. Between two calls the graph computes what the
   * original computes.
   */
  emit(ops: readonly NativeOp[]): void {
    for (const op of ops) {
      if (op.kind === 'layout-op') this.#layoutOp(op);
      else if (op.kind === 'conv') this.#conv(op);
      else this.#matMul(op);
    }
  }

  #conv(layer: SparseLayer): void {
    const { x, dims, output, residual, groups } = layer;
    const last = lastOf(layer);
    const isXBlocked = this.#blocked.has(x) || this.#layouts.isConverted(x);
    const isYBlocked = this.#layouts.hasBlockedReader(output);
    const [filters = 0] = dims;
    const size = this.#spatial(x);
    const image = this.#inLayout(isXBlocked, x, last);
    const declared = isYBlocked ? this.#blockedType(output) : undefined;
    if (isDepthwise(layer) && residual === undefined && isXBlocked && isYBlocked) {
      const operands = [image, ...this.#denseWeights(layer)];
      const attributes = windowAttributes(layer);
      this.#setResult(output, this.#add(layer, { opType: 'DepthwiseConv', operands, attributes, declared }), true);
      return;
    }
    // A residual has the layout of the output.
    const operands = [image, ...this.#sparseWeights(layer), residual && this.#inLayout(isYBlocked, residual, last)];
    const attributes = {
      ...windowAttributes(layer),
      filters: int(filters),
      group: int(groups),
      x_layout: layoutAttribute(isXBlocked),
      y_layout: layoutAttribute(isYBlocked),
      ...(size && { input_size: ints(size) }),
    };
    this.#setResult(output, this.#add(layer, { opType: 'SparseConv', operands, attributes, declared }), isYBlocked);
  }

  #layoutOp(op: LayoutOp): void {
    const { opType, blocked, plain, output, isOutputBlocked, attributes } = op;
    const last = lastOf(op);
    const operands = [
      ...blocked.map((value) => this.#toBlocked(value, last)),
      ...plain.map((value) => this.#fromBlocked(value, last)),
    ];
    const declared = isOutputBlocked ? this.#blockedType(output) : undefined;
    this.#setResult(output, this.#add(op, { opType, operands, attributes, declared }), isOutputBlocked);
  }

  #matMul(layer: SparseLayer): void {
    const { nodes, x, dims, output, residual } = layer;
    const last = lastOf(layer);
    const isTransposed = nodes[0].int('transB', 0) === 1;
    const [rows = 0, columns = 0] = dims;
    const operands = [
      this.#fromBlocked(x, last),
      ...this.#sparseWeights(layer),
      residual && this.#fromBlocked(residual, last),
    ];
    const attributes = {
      in_features: int(isTransposed ? columns : rows),
      out_features: int(isTransposed ? rows : columns),
      transB: int(isTransposed ? 1 : 0),
    };
    this.#setResult(output, this.#add(layer, { opType: 'SparseMatMul', operands, attributes }), false);
  }

  /** Adds the native operator where the last of the nodes is that it replaces. */
  #add(op: NativeOp, { opType, operands, attributes, declared }: NativeNode): Value {
    const { nodes, activation } = op;
    const [node] = nodes;
    const end = operands.findLastIndex((value) => value !== undefined) + 1;
    return outputOf(
      this.#editor.addNode(
        {
          opType,
          domain: SPARSE_DOMAIN,
          name: this.#editor.graph.freshNodeName(`${node.label}_sparse`),
          origin: { kind: 'native', of: [node] },
          inputs: operands.slice(0, end),
          outputs: [`${node.label}_sparse`],
          attributes: { ...attributes, ...(activation && activationAttributes(activation)) },
          ...(declared && { declared }),
        },
        lastOf(op),
      ),
    );
  }

  /** Makes `result` the output `value` of an operator. */
  #setResult(value: Value, result: Value, isBlocked: boolean): void {
    if (!isBlocked) {
      this.#editor.replaceAllUsesWith(value, this.#setPlain(value, result));
      return;
    }
    this.#blocked.set(value, result);
    this.#convertForPlainReaders(value);
  }

  /**
   * Plain readers get the converted value; blocked readers keep reading the old value until they
   * are replaced. The conversion comes before all readers, because a native operator with a plain
   * output may later need the value as its residual.
   */
  #convertForPlainReaders(value: Value): void {
    if (!this.#layouts.hasPlainReader(value)) return;
    const plainUses = value.uses.filter(({ node }) => !this.#layouts.isBlockedUse(value, node));
    const readers = new Set([...value.uses.map(({ node }) => node), ...value.capturedBy]);
    const plain = this.#fromBlocked(
      value,
      this.#editor.graph.nodes.find((node) => readers.has(node)),
    );
    for (const { node, index } of plainUses) this.#editor.setInput(node, index, plain);
  }

  #inLayout(isBlocked: boolean, value: Value, before: Node): Value {
    return isBlocked ? this.#toBlocked(value, before) : this.#fromBlocked(value, before);
  }

  /** The value in the blocked layout, converted once, before its first blocked reader. */
  #toBlocked(value: Value, before: Node): Value {
    const known = this.#blocked.get(value);
    if (known !== undefined) return known;
    const declared = this.#blockedType(value);
    const plain = this.#plain.get(value) ?? value;
    this.#plain.set(value, plain);
    const node = this.#editor.addNode(
      {
        opType: TO_BLOCKED,
        domain: SPARSE_DOMAIN,
        name: this.#editor.graph.freshNodeName(`${value.name}_enter`),
        inputs: [plain],
        outputs: [`${value.name}_inside`],
        ...(declared && { declared }),
      },
      before,
    );
    const made = outputOf(node);
    this.#blocked.set(value, made);
    return made;
  }

  /** The value in the plain layout, converted once if it is blocked. */
  #fromBlocked(value: Value, before: Node | undefined): Value {
    const known = this.#plain.get(value);
    const blocked = this.#blocked.get(value);
    if (known !== undefined || blocked === undefined) return known ?? value;
    const node = this.#editor.addNode(
      {
        opType: FROM_BLOCKED,
        domain: SPARSE_DOMAIN,
        name: this.#editor.graph.freshNodeName(`${value.name}_leave`),
        inputs: [blocked],
        outputs: [`${value.name}_outside`],
      },
      before,
    );
    return this.#setPlain(value, outputOf(node));
  }

  /**
   * Makes `by` the plain form of the value. A graph output, or a value that a subgraph reads, keeps
   * its name: it becomes the output of the new operator.
   */
  #setPlain(value: Value, by: Value): Value {
    const plain = value.isSeenOutside ? value : by;
    this.#plain.set(value, plain);
    if (plain === value) this.#editor.swapProducers(value, by);
    return plain;
  }

  /** All weights, and the bias. */
  #denseWeights({ nodes: [node], weights, dims, bias }: SparseLayer): (Value | undefined)[] {
    const name = node.inputs[1]?.name ?? node.label;
    return [
      this.#editor.addInitializer(`${name}_inside`, Tensor.fromNumbers(FLOAT, dims, weights)),
      bias && this.#editor.addInitializer(`${name}_inside_bias`, Tensor.fromNumbers(FLOAT, [bias.length], bias)),
    ];
  }

  /**
   * Values other than zero, in order; one bit per weight, the first weight in the lowest bit; the
   * bias.
   */
  #sparseWeights({ nodes: [node], weights, bias }: SparseLayer): (Value | undefined)[] {
    const values = weights.filter((value) => value !== 0);
    const bits = new Uint8Array(Math.ceil(weights.length / 8));
    for (let at = 0; at < weights.length; at++)
      if (weights[at] !== 0) bits[at >> 3] = (bits[at >> 3] ?? 0) | (1 << (at & 7));
    const name = node.inputs[1]?.name ?? node.label;
    return [
      this.#editor.addInitializer(`${name}_values`, Tensor.fromNumbers(FLOAT, [values.length], values)),
      this.#editor.addInitializer(`${name}_bits`, Tensor.of(UINT8, [bits.length], bits)),
      bias && this.#editor.addInitializer(`${name}_sparse_bias`, Tensor.fromNumbers(FLOAT, [bias.length], bias)),
    ];
  }

  /** Height and width of a value, where they are known. */
  #spatial(value: Value): readonly number[] | undefined {
    const [, , height, width] = this.#shapes.of(value) ?? [];
    return typeof height === 'number' && typeof width === 'number' ? [height, width] : undefined;
  }

  #blockedType(value: Value): Declared | undefined {
    const [images, channels] = this.#shapes.of(value) ?? [];
    const [height, width] = this.#spatial(value) ?? [];
    if (images === undefined || typeof channels !== 'number' || height === undefined || width === undefined)
      return undefined;
    return { dataType: FLOAT, dims: [images, blockedSize(channels, height, width)] };
  }
}

function lastOf({ nodes }: NativeOp): Node {
  return nodes.at(-1) ?? nodes[0];
}

function outputOf({ outputs: [output], label }: Node): Value {
  if (output === undefined) throw new Error(`${label} has no output`);
  return output;
}

function windowAttributes({ nodes: [node], dims, groups, pads }: SparseLayer): Record<string, AttributeValue> {
  const [, perGroup = 0, ...kernel] = dims;
  const window = new Window(node);
  const axes = [window.along(0), window.along(1)];
  return {
    channels: int(perGroup * groups),
    kernel_shape: ints(kernel),
    strides: ints(axes.map(({ stride }) => stride)),
    dilations: ints(axes.map(({ dilation }) => dilation)),
    pads: ints(pads),
  };
}

/** The blocked layout is called internal in files. */
function layoutAttribute(isBlocked: boolean): AttributeValue {
  return text(isBlocked ? 'internal' : 'NCHW');
}

function activationAttributes({ name, alpha, beta }: Activation): Record<string, AttributeValue> {
  return {
    activation: text(name),
    ...(alpha !== undefined && { alpha: float(alpha) }),
    ...(beta !== undefined && { beta: float(beta) }),
  };
}
