/**
 * Whether a tensor of a file lies where a layer of the model is: what is unknown there may say what
 * the layer has lost.
 */
import type { FileTensor } from './contents.js';
import type { Claim } from './claim.js';
import { parseKey, statedModule } from './names.js';
import type { WeightSlot } from './slots.js';

export class LayerModules {
  readonly #slots = new Map<string, WeightSlot[]>();

  constructor(slots: readonly WeightSlot[]) {
    for (const slot of slots) {
      const named = slot.names.map((name) => parseKey(name)?.module ?? '');
      for (const module of new Set([...slot.nodePaths.map(statedModule), ...named])) {
        // A network is no layer, whatever nodes it has of its own.
        if (module !== '' && (slot.isLayer || named.includes(module)))
          this.#slots.set(module, [...(this.#slots.get(module) ?? []), slot]);
      }
    }
  }

  /** `layer`, `layer.anything`, `anything.layer` */
  holds(claim: Claim): boolean {
    return this.around(claim).length > 0;
  }

  /**
   * Whether it has as many elements as a weight of its layer, or as the layer has filters or input
   * channels.
   */
  fits(claim: Claim, { size }: FileTensor): boolean {
    return this.around(claim).some(
      ({ tensor, outAxis, inAxis }) =>
        tensor.size === size || tensor.dims[outAxis] === size || tensor.dims[inAxis ?? -1] === size,
    );
  }

  around({ name: { module } }: Claim): WeightSlot[] {
    const segments = module.split('.');
    return segments.flatMap((_, cut) => {
      const rest = segments.slice(cut);
      return [rest, rest.slice(0, -1)].flatMap((path) => this.#slots.get(path.join('.')) ?? []);
    });
  }
}
