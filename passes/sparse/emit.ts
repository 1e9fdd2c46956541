/** Sparse operators into the graph: layouts chosen, Enter and Leave where they change, weights as values and bits. */
import type { Editor } from '../../src/ir/editor.js';
import { type AttributeValue, type Dim, type Node, SPARSE_DOMAIN, type Value } from '../../src/ir/graph.js';
import { FLOAT, Tensor, UINT8 } from '../../src/ir/tensor.js';
import type { Shapes } from '../../src/graph-info/shapes.js';
import type { Activation } from './activations.js';
import { float, int, ints, text } from './attributes.js';
import { isDepthwise, type SparseLayer } from './layers.js';
import { internalSize } from './layout.js';
import { type Member, Places } from './places.js';
import type { Rider } from './riders.js';

export class Emitter {
  readonly #editor: Editor;
  readonly #shapes: Shapes;
  readonly #places: Places;
  /** By value of the old graph: what holds it now, in either layout. */
  readonly #plain = new Map<Value, Value>();
  readonly #internal = new Map<Value, Value>();

  constructor(editor: Editor, shapes: Shapes, members: readonly Member[]) {
    this.#editor = editor;
    this.#shapes = shapes;
    this.#places = new Places(members);
  }

  /** All members of the run in order, some at a time; in between the graph computes what it did. */
  emit(members: readonly Member[]): void {
    for (const member of members) {
      if (member.kind === 'rider') this.#rider(member);
      else if (member.kind === 'conv') this.#conv(member);
      else this.#matMul(member);
    }
  }

  #conv(layer: SparseLayer): void {
    const { nodes, x, dims, output, residual, groups, pads } = layer;
    const [node] = nodes;
    const last = nodes.at(-1) ?? node;
    const isInside = this.#places.isWanted(output);
    const isInsideX = this.#internal.has(x) || this.#places.enters(x);
    const [filters = 0, perGroup = 0, ...kernel] = dims;
    const window = {
      channels: int(perGroup * groups),
      kernel_shape: ints(kernel),
      strides: ints(node.ints('strides') ?? [1, 1]),
      dilations: ints(node.ints('dilations') ?? [1, 1]),
      pads: ints(pads),
    };
    const image = isInsideX ? this.#inside(x, last) : this.#outside(x, last);
    const declared = isInside ? this.#internalType(output) : undefined;
    const size = this.#spatial(x);
    const isDense = isDepthwise(layer) && residual === undefined && isInsideX && isInside;
    const made = isDense
      ? this.#add(layer, 'DepthwiseConv', [image, ...this.#dense(layer)], last, declared, window)
      : this.#add(
          layer,
          'SparseConv',
          [
            image,
            ...this.#weights(layer),
            residual === undefined
              ? undefined
              : isInside
                ? this.#inside(residual, last)
                : this.#outside(residual, last),
          ],
          last,
          declared,
          {
            ...window,
            filters: int(filters),
            group: int(groups),
            x_layout: text(isInsideX ? 'internal' : 'NCHW'),
            y_layout: text(isInside ? 'internal' : 'NCHW'),
            ...(size && { input_size: ints(size) }),
          },
        );
    this.#hold(output, made, isInside);
  }

  #rider(rider: Rider): void {
    const { nodes, opType, inside, plain, output, isInside, attributes } = rider;
    const last = nodes.at(-1) ?? nodes[0];
    const operands = [
      ...inside.map((value) => this.#inside(value, last)),
      ...plain.map((value) => this.#outside(value, last)),
    ];
    const declared = isInside ? this.#internalType(output) : undefined;
    this.#hold(output, this.#add(rider, opType, operands, last, declared, attributes), isInside);
  }

  #hold(value: Value, made: Value, isInside: boolean): void {
    if (!isInside) {
      this.#editor.replaceAllUsesWith(value, this.#replace(value, made));
      return;
    }
    this.#internal.set(value, made);
    this.#leaveForDense(value);
  }

  /**
   * Those who read it as operators keep reading the old value until they are made; the others get the plain layout. It is there before
   * any reader: an operator may yet want it as a residual, because its own result is plain.
   */
  #leaveForDense(value: Value): void {
    if (!this.#places.hasDenseReader(value)) return;
    const dense = value.uses.filter(({ node }) => !this.#places.isInsideUse(value, node));
    const readers = new Set([...value.uses.map(({ node }) => node), ...value.capturedBy]);
    const plain = this.#outside(
      value,
      this.#editor.graph.nodes.find((node) => readers.has(node)),
    );
    for (const { node, index } of dense) this.#editor.setInput(node, index, plain);
  }

  #matMul(layer: SparseLayer): void {
    const { nodes, x, dims, output, residual } = layer;
    const [node] = nodes;
    const last = nodes.at(-1) ?? node;
    const isTransposed = node.int('transB', 0) === 1;
    const [rows = 0, columns = 0] = dims;
    const operands = [
      this.#outside(x, last),
      ...this.#weights(layer),
      residual === undefined ? undefined : this.#outside(residual, last),
    ];
    const made = this.#add(layer, 'SparseMatMul', operands, last, undefined, {
      in_features: int(isTransposed ? columns : rows),
      out_features: int(isTransposed ? rows : columns),
      transB: int(isTransposed ? 1 : 0),
    });
    this.#hold(output, made, false);
  }

  #add(
    { nodes: [node], activation }: { nodes: readonly [Node, ...Node[]]; activation: Activation | undefined },
    opType: string,
    operands: readonly (Value | undefined)[],
    before: Node,
    declared: { dataType: number; dims: readonly Dim[] } | undefined,
    attributes: Readonly<Record<string, AttributeValue>>,
  ): Value {
    const end = operands.findLastIndex((value) => value !== undefined) + 1;
    return this.#output(
      this.#editor.addNode(
        {
          opType,
          domain: SPARSE_DOMAIN,
          name: this.#editor.graph.freshNodeName(`${node.label}_sparse`),
          origin: { kind: 'native', of: node },
          inputs: operands.slice(0, end),
          outputs: [`${node.label}_sparse`],
          attributes: {
            ...attributes,
            ...(activation && activationAttributes(activation)),
          },
          ...(declared && { declared }),
        },
        before,
      ),
    );
  }

  #output({ outputs: [output], label }: Node): Value {
    if (output === undefined) throw new Error(`${label} has no output`);
    return output;
  }

  /** All weights, and the bias. */
  #dense({ nodes: [node], weights, dims, bias }: SparseLayer): (Value | undefined)[] {
    const name = node.inputs[1]?.name ?? node.label;
    return [
      this.#editor.addInitializer(`${name}_inside`, Tensor.fromNumbers(FLOAT, dims, weights)),
      bias && this.#editor.addInitializer(`${name}_inside_bias`, Tensor.fromNumbers(FLOAT, [bias.length], bias)),
    ];
  }

  /** Values that are not zero, in order; one bit per weight, the first in the lowest; the bias. */
  #weights({ nodes: [node], weights, bias }: SparseLayer): (Value | undefined)[] {
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

  #internalType(value: Value): { dataType: number; dims: readonly Dim[] } | undefined {
    const [images, channels] = this.#shapes.of(value) ?? [];
    const [height, width] = this.#spatial(value) ?? [];
    if (images === undefined || typeof channels !== 'number' || height === undefined || width === undefined)
      return undefined;
    return { dataType: FLOAT, dims: [images, internalSize(channels, height, width)] };
  }

  /** The value in the internal layout: entered once, before the first who wants it. */
  #inside(value: Value, before: Node): Value {
    const known = this.#internal.get(value);
    if (known !== undefined) return known;
    const declared = this.#internalType(value);
    const plain = this.#plain.get(value) ?? value;
    this.#plain.set(value, plain);
    const node = this.#editor.addNode(
      {
        opType: 'Enter',
        domain: SPARSE_DOMAIN,
        name: this.#editor.graph.freshNodeName(`${value.name}_enter`),
        inputs: [plain],
        outputs: [`${value.name}_inside`],
        ...(declared && { declared }),
      },
      before,
    );
    const made = this.#output(node);
    this.#internal.set(value, made);
    return made;
  }

  #outside(value: Value, before: Node | undefined): Value {
    const known = this.#plain.get(value);
    const inside = this.#internal.get(value);
    if (known !== undefined || inside === undefined) return known ?? value;
    const node = this.#editor.addNode(
      {
        opType: 'Leave',
        domain: SPARSE_DOMAIN,
        name: this.#editor.graph.freshNodeName(`${value.name}_leave`),
        inputs: [inside],
        outputs: [`${value.name}_outside`],
      },
      before,
    );
    return this.#replace(value, this.#output(node));
  }

  /** What reads the value in the plain layout reads `by`. A value that is seen outside keeps its name: it is computed by the operator now. */
  #replace(value: Value, by: Value): Value {
    const plain = value.isSeenOutside ? value : by;
    this.#plain.set(value, plain);
    if (plain === value) this.#editor.swapProducers(value, by);
    return plain;
  }
}

function activationAttributes({ name, alpha, beta }: Activation): Record<string, AttributeValue> {
  return {
    activation: text(name),
    ...(alpha !== undefined && { alpha: float(alpha) }),
    ...(beta !== undefined && { beta: float(beta) }),
  };
}
