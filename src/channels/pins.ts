/** What keeps positions from going. */
import type { Node } from '../ir/graph.js';
import type { Lift } from './lift.js';
import type { Axis, Positions } from './positions.js';

/**
 * What kind of pin it is. boundary: the model's own inputs and outputs, and what subgraphs read. lone:
 * there is no other channel. unknown: no relation is known of the operator. extent: it reads the extent. axis: its
 * result depends on the whole axis, or nothing says how it goes on. shuffle: it ties several channels
 * together. alive: it sums over the position together with another one, and neither is zero.
 */
export type PinCause = 'boundary' | 'lone' | 'unknown' | 'extent' | 'axis' | 'shuffle' | 'alive';

/** Why a position cannot go. `node` is undefined for the model's own inputs and outputs. */
export interface Pin {
  readonly cause: PinCause;
  readonly node: Node | undefined;
  readonly reason: string;
  /** Whether it ends where the position itself becomes zero, whatever others are. */
  readonly isWhileAlive?: true;
}

/**
 * The first pin of each position. Numbers, not objects: a network has as many positions as rows,
 * columns and channels.
 */
export class PinBoard {
  /** Number 0 stands for none: an index of -1 would be looked for by its name. */
  readonly #pins: (Pin | undefined)[] = [undefined];
  readonly #lift: Lift | undefined;
  /** Per position the number of its pin; 0 where it is free. */
  readonly #pinAt: Int32Array;

  /** `lift`: pins of that cause do not count. */
  constructor(positions: Positions, lift?: Lift) {
    this.#pinAt = new Int32Array(positions.count);
    this.#lift = lift;
  }

  pinAxis(axis: Axis | undefined, pin: Pin): void {
    if (axis === undefined || this.#isLifted(pin)) return;
    const number = this.#pins.push(pin) - 1;
    for (let position = axis.base; position < axis.base + axis.extent; position++) this.#pinAt[position] ||= number;
  }

  pinPositions(positions: readonly number[], pin: Pin): void {
    const number = this.#pins.push(pin) - 1;
    for (const position of positions) this.#pinAt[position] ||= number;
  }

  #isLifted({ cause, node }: Pin): boolean {
    return cause === 'extent' && this.#lift?.cause === cause && node?.qualifiedOp === this.#lift.operator;
  }

  /**
   * Per class representative the first pin of any of its positions that counts: of those that are
   * there when it is asked first.
   */
  byClass(positions: Positions, counts?: (pin: Pin) => boolean): (root: number) => Pin | undefined {
    let ofClass: Int32Array | undefined;
    return (root) => {
      ofClass ??= this.#firstOfClasses(positions, counts);
      return this.#pins[ofClass[root] ?? 0];
    };
  }

  #firstOfClasses(positions: Positions, counts: (pin: Pin) => boolean = () => true): Int32Array {
    const ofClass = new Int32Array(this.#pinAt.length);
    const isCounted = this.#pins.map((pin) => pin !== undefined && counts(pin));
    for (let position = 0; position < ofClass.length; position++) {
      const number = this.#pinAt[position] ?? 0;
      if (number !== 0 && isCounted[number] === true) ofClass[positions.classOf(position)] ||= number;
    }
    return ofClass;
  }
}
