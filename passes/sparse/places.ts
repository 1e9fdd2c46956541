/** Which values are in the internal layout when these layers and riders are made, and what is moved in and out. */
import type { Knowledge } from '../../src/analysis/site.js';
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

  /** Whether a member makes it, and inside. */
  isMade(value: Value): boolean {
    const member = this.#byOutput.get(value);
    if (member === undefined) return false;
    return member.kind === 'rider' ? member.isInside : member.kind === 'conv' && this.isWanted(value);
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

/** Operands and results, where a member may meet others. */
export function valuesOf(member: Member): { readonly read: readonly Value[]; readonly made: Value } {
  if (member.kind === 'rider') return { read: member.inside, made: member.output };
  const { x, residual, output } = member;
  return { read: residual === undefined ? [x] : [x, residual], made: output };
}

/** Members that hand data to one another, directly. */
export function connected(members: readonly Member[]): ReadonlyMap<Member, readonly Member[]> {
  const runOf = new Map(members.map((member) => [member, [member]]));
  const producer = new Map(members.map((member) => [member.output, member]));
  for (const member of members) {
    for (const value of valuesOf(member).read) {
      const other = producer.get(value);
      // A mean leaves the layout: what reads it is in no run with it.
      if (other?.kind === 'rider' && !other.isInside) continue;
      const [one, two] = [runOf.get(member), other && runOf.get(other)];
      if (one === undefined || two === undefined || one === two) continue;
      for (const moved of two) {
        one.push(moved);
        runOf.set(moved, one);
      }
    }
  }
  return runOf;
}

/** Elements that are entered and left around a run; what is not static counts nothing, and is told by the benchmark. */
export function movedElements(run: readonly Member[], { shapes }: Knowledge): number {
  const places = new Places(run);
  const outputs = new Set(run.map(({ output }) => output));
  const inside = new Set(run.flatMap((member) => valuesOf(member).read));
  let total = 0;
  for (const value of inside) if (!outputs.has(value) && places.enters(value)) total += elements(shapes.of(value));
  for (const { output } of run)
    if (places.isMade(output) && places.hasDenseReader(output)) total += elements(shapes.of(output));
  return total;
}

function elements(dims: readonly (number | string)[] | undefined): number {
  return dims?.reduce<number>((total, dim) => (typeof dim === 'number' ? total * dim : 0), 1) ?? 0;
}
