/**
 * Where a model may be run: at sizes at which no value is empty, in this process. ONNX Runtime has
 * kernels that crash on empty images, and whoever runs those is gone. Everything else runs in
 * processes of its own (guarded-session.ts).
 */
import type { Model } from '../onnx/read.js';
import type { Shapes } from '../runtime/inputs.js';
import { type Emptiness, Extents } from '../runtime/extents.js';

/** Thrown where a model would have to be run at sizes that are not known to be safe. */
export class NeedsGuard extends Error {}

export class SizeGuard {
  readonly isGuarded: boolean;
  readonly #extents: Extents;
  readonly #known = new Map<string, Emptiness>();
  /** Whether sizes were left out because a value is empty there. */
  hasAvoided = false;

  constructor(model: string | Uint8Array, isGuarded: boolean) {
    this.#extents = new Extents(model);
    this.isGuarded = isGuarded;
  }

  /** What is run; undefined where it cannot be read. */
  get model(): Model | undefined {
    return this.#extents.model;
  }

  /**
   * Why these sizes are not chosen, if they are not. Throws NeedsGuard without a guard where that
   * is not known.
   */
  readonly avoid = async (shapes: Shapes): Promise<string | undefined> => {
    const { empty, isSafe } = await this.at(shapes);
    if (empty !== undefined) {
      this.hasAvoided = true;
      return `value "${empty}" is empty there`;
    }
    if (!isSafe && !this.isGuarded) throw new NeedsGuard();
    return undefined;
  };

  /** Whether the model may be run here, in this process. */
  async isSafe(shapes: Shapes): Promise<boolean> {
    return (await this.at(shapes)).isSafe;
  }

  async at(shapes: Shapes): Promise<Emptiness> {
    const key = JSON.stringify(shapes);
    const known = this.#known.get(key) ?? (await this.#extents.at(shapes));
    this.#known.set(key, known);
    return known;
  }
}
