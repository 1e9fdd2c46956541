/** The layout of every value, plain [N, C, H, W] or blocked, once native operators are selected. */
import type { Node, Value } from '../../src/ir/graph.js';
import type { SparseLayer } from './candidates.js';
import type { LayoutOp } from './layout-ops.js';

/** Nodes that become one native operator. */
export type NativeOp = SparseLayer | LayoutOp;

export class LayoutAssignment {
  readonly #byNode = new Map<Node, NativeOp>();
  readonly #byOutput = new Map<Value, NativeOp>();
  readonly #hasBlockedReader = new Map<Value, boolean>();

  constructor(ops: readonly NativeOp[]) {
    for (const op of ops) {
      for (const node of op.nodes) this.#byNode.set(node, op);
      this.#byOutput.set(op.output, op);
    }
  }

  /** The native operator for which this node reads the value blocked, as an image or a residual. */
  blockedReader(value: Value, reader: Node): NativeOp | undefined {
    const op = this.#byNode.get(reader);
    if (op === undefined || op.kind === 'matmul') return undefined;
    const isImage = op.kind === 'layout-op' ? op.blocked.includes(value) : op.x === value;
    const isResidual = op.kind === 'conv' && op.residual === value;
    return (isImage && op.nodes[0] === reader) || isResidual ? op : undefined;
  }

  isBlockedUse(value: Value, reader: Node): boolean {
    return this.blockedReader(value, reader) !== undefined;
  }

  producerOf(value: Value): NativeOp | undefined {
    return this.#byOutput.get(value);
  }

  /**
   * Whether a reader needs this value in the blocked layout. A residual operand must have the
   * layout of the sum's output.
   */
  hasBlockedReader(value: Value): boolean {
    const known = this.#hasBlockedReader.get(value);
    if (known !== undefined) return known;
    const isBlocked = value.uses.some(({ node }) => {
      const op = this.blockedReader(value, node);
      if (op?.kind !== 'conv' || op.x === value) return op !== undefined;
      return this.hasBlockedReader(op.output);
    });
    this.#hasBlockedReader.set(value, isBlocked);
    return isBlocked;
  }

  /**
   * Whether a plain value is converted before its blocked readers. A single sparse convolution
   * reads the plain value directly.
   */
  isConverted(value: Value): boolean {
    const uses = value.uses.filter(({ node }) => this.isBlockedUse(value, node));
    return uses.length > 1 || uses.some(({ node }) => this.blockedReader(value, node)?.kind === 'layout-op');
  }

  hasPlainReader(value: Value): boolean {
    return value.isSeenOutside || value.uses.some(({ node }) => !this.isBlockedUse(value, node));
  }
}

/** Values whose layout the operator changes. Matrix products read and write plain tensors. */
export function blockedValues(op: NativeOp): readonly Value[] {
  if (op.kind === 'matmul') return [];
  if (op.kind === 'layout-op') return op.isOutputBlocked ? [...op.blocked, op.output] : op.blocked;
  const { x, residual, output } = op;
  return residual === undefined ? [x, output] : [x, output, residual];
}
