/**
 * What widths and compensations cost, per target. Measured with ONNX Runtime 1.30 on CPU (AVX-512),
 * 14x14, 3x3 and 1x1 convolutions: a count that is a multiple of 4 costs the same as the next
 * multiple of 16 (the NCHWc kernels), any other count falls out of those kernels and costs about a
 * quarter more per channel (127 of 128: 1.32 / 1.18).
 */
export const TARGETS = ['cpu', 'cuda', 'webgpu', 'tensorrt'] as const;
export type Target = (typeof TARGETS)[number];

interface TargetCosts {
  /** Widths are filled up to a multiple of this, where the layer was that wide. */
  readonly align: number;
  /** Channels are paid for in steps of this many. */
  readonly step: number;
  /** Relative cost of a channel where the width is no multiple of `align`. */
  readonly oddPenalty: number;
}

const COSTS: Readonly<Record<Target, TargetCosts>> = {
  cpu: { align: 4, step: 16, oddPenalty: 1.25 },
  // Tensor cores and the WebGPU kernels work on 8 and 4 channels at a time; not measured here, from
  // their documentation.
  cuda: { align: 8, step: 8, oddPenalty: 1.5 },
  webgpu: { align: 4, step: 4, oddPenalty: 1.5 },
  tensorrt: { align: 8, step: 8, oddPenalty: 1.5 },
};

export class CostModel {
  readonly align: number;
  readonly #costs: TargetCosts;
  readonly #decides: boolean;

  /** `align` 1 asks for the smallest model: then nothing is kept for speed. */
  constructor(target: Target, align: number | 'auto') {
    this.#costs = COSTS[target];
    this.align = align === 'auto' ? this.#costs.align : align;
    this.#decides = this.align > 1;
  }

  /** The width to use when `live` of `extent` channels must stay: at least 1, at most `extent`. */
  width(live: number, extent: number): number {
    const wanted = Math.max(1, live);
    const aligned = Math.ceil(wanted / this.align) * this.align;
    return aligned <= extent ? aligned : wanted;
  }

  /**
   * The same where `groups` equal groups share the width, so that it grows by one channel of each;
   * at most `widest`. Where only a far wider layer would be aligned, the measurements decide.
   */
  groupedWidth(live: number, groups: number, widest: number): number {
    let aligned = live;
    while (aligned % this.align !== 0 && aligned + groups <= widest) aligned += groups;
    if (aligned % this.align !== 0) return live;
    return aligned - live < this.align || this.time(aligned) < this.time(live) ? aligned : live;
  }

  /** Time of a layer with so many channels, in channels. */
  time(channels: number): number {
    const { align, step, oddPenalty } = this.#costs;
    return channels % align === 0 ? Math.ceil(channels / step) * step : channels * oddPenalty;
  }

  /**
   * Whether a reader that goes from `extent` to `width` input channels gains enough to pay for its
   * compensation, which costs as much as `added` channels.
   */
  paysFor(width: number, extent: number, added: number): boolean {
    if (!this.#decides) return true;
    return this.time(width) + added < this.time(extent);
  }

  /** Whether more kept channels (`carriers`, one a group) are cheaper than such a compensation. */
  prefersCarrier(
    width: number,
    extent: number,
    { carriers, added }: { readonly carriers: number; readonly added: number },
  ): boolean {
    if (!this.#decides) return false;
    const withCarriers = this.time(this.width(width + carriers, extent));
    return withCarriers < this.time(width) + added;
  }
}
