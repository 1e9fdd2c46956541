/** Which values are in the internal layout when these layers and riders are made. */
import type { Node, Value } from '../../src/ir/graph.js';
import type { SparseLayer } from './layers.js';
import type { Rider } from './riders.js';

export type Member = SparseLayer | Rider;

export class Places {
  readonly #byNode = new Map<Node, Member>();
  readonly #byOutput = new Map<Value, Member>();
  readonly #wanted = new Map<Value, boolean>();

  constructor(members: readonly Member[]) {
    for (const member of members) {
      for (const node of member.nodes) this.#byNode.set(node, member);
      this.#byOutput.set(member.output, member);
    }
  }

  /** The member for which this node reads the value in the internal layout: as an image, or as what is added to one. */
  insideReader(value: Value, reader: Node): Member | undefined {
    const member = this.#byNode.get(reader);
    if (member === undefined || member.kind === 'matmul') return undefined;
    const isImage = member.kind === 'rider' ? member.inside.includes(value) : member.x === value;
    const isResidual = member.kind === 'conv' && member.residual === value;
    return (isImage && member.nodes[0] === reader) || isResidual ? member : undefined;
  }

  isInsideUse(value: Value, reader: Node): boolean {
    return this.insideReader(value, reader) !== undefined;
  }

  makerOf(value: Value): Member | undefined {
    return this.#byOutput.get(value);
  }

  /** Whether somebody wants it inside. A residual has the layout of the sum: it is wanted inside only where the sum is. */
  isWanted(value: Value): boolean {
    const known = this.#wanted.get(value);
    if (known !== undefined) return known;
    const isWanted = value.uses.some(({ node }) => {
      const member = this.insideReader(value, node);
      if (member?.kind !== 'conv' || member.x === value) return member !== undefined;
      return this.isWanted(member.output);
    });
    this.#wanted.set(value, isWanted);
    return isWanted;
  }

  /** Dense data goes inside for riders, and where more than one operator reads it there; a single layer takes it as it is. */
  enters(value: Value): boolean {
    const uses = value.uses.filter(({ node }) => this.isInsideUse(value, node));
    return uses.length > 1 || uses.some(({ node }) => this.insideReader(value, node)?.kind === 'rider');
  }

  hasDenseReader(value: Value): boolean {
    return value.isSeenOutside || value.uses.some(({ node }) => !this.isInsideUse(value, node));
  }
}

/** Values that change their layout for the member. Matrix products read and write plain tensors, as dense operators do. */
export function valuesInside(member: Member): readonly Value[] {
  if (member.kind === 'matmul') return [];
  if (member.kind === 'rider') return member.isInside ? [...member.inside, member.output] : member.inside;
  const { x, residual, output } = member;
  return residual === undefined ? [x, output] : [x, output, residual];
}
