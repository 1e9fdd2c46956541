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
  /**
   * Channels of one group that the fast kernels of grouped convolutions want a multiple of, the
   * larger first: the first that the group was a multiple of counts.
   */
  readonly groupBlocks: readonly number[];
  /** Set where no such device has measured this: whose rule it is. */
  readonly rule?: string;
}

/**
 * Relative cost of a group's channel where the width falls out of those kernels. ONNX Runtime 1.30,
 * Zen 3, one thread, four 3x3 convolutions of 14x14: 26 groups of 7 instead of 8 channels took 2.22
 * ms instead of 1.31, 32 of 12 instead of 16 took 4.72 instead of 3.26, 16 of 20 instead of 32 took
 * 4.73 instead of 4.39.
 */
const GROUP_PENALTY = 1.9;

const TENSOR_CORES = 'kernels for tensor cores read 16 bytes at a time, 8 channels in float16';

const COSTS: Readonly<Record<Target, TargetCosts>> = {
  // Blocks of channels are as wide as a vector register: 16 with AVX-512, 8 without it.
  cpu: { align: 4, step: 16, oddPenalty: 1.25, groupBlocks: [16, 8] },
  // Kernels for tensor cores read 16 bytes at a time: 8 channels in float16, 4 in float32 (TF32).
  // "Most kernels targeting Tensor Cores require 128b aligned memory accesses", by NVIDIA:
  // github.com/NVIDIA/cutlass/issues/75. 8 serves both, and TensorRT in float16.
  cuda: { align: 8, step: 8, oddPenalty: 1.5, groupBlocks: [], rule: TENSOR_CORES },
  // The kernels of ONNX Runtime's WebGPU provider work on vectors of 4 channels.
  webgpu: { align: 4, step: 4, oddPenalty: 1.5, groupBlocks: [], rule: 'its kernels work on vectors of 4 channels' },
  tensorrt: { align: 8, step: 8, oddPenalty: 1.5, groupBlocks: [], rule: TENSOR_CORES },
};

export class CostModel {
  readonly align: number;
  /**
   * Whose rule the widths follow, where they are chosen for a device that has not measured them;
   * undefined where they are measured, or given.
   */
  readonly rule: string | undefined;
  readonly #costs: TargetCosts;
  readonly #decides: boolean;
  readonly #isAuto: boolean;

  /** `align` 1 asks for the smallest model: then nothing is kept for speed. */
  constructor(target: Target, align: number | 'auto') {
    this.#costs = COSTS[target];
    this.align = align === 'auto' ? this.#costs.align : align;
    this.#decides = this.align > 1;
    this.#isAuto = align === 'auto';
    this.rule = this.#isAuto ? this.#costs.rule : undefined;
  }

  /** The width to use when `live` of `extent` channels must stay: at least 1, at most `extent`. */
  width(live: number, extent: number): number {
    const wanted = Math.max(1, live);
    const aligned = Math.ceil(wanted / this.align) * this.align;
    return aligned <= extent ? aligned : wanted;
  }

  /**
   * The same where `groups` equal groups share the width, so that it grows by one channel of each;
   * at most `widest`. A group that fills blocks keeps to them. Where only a far wider layer would be
   * aligned, the measurements decide.
   */
  groupedWidth(live: number, groups: number, widest: number): number {
    const block = this.#isAuto && groups > 1 ? this.#groupBlock(widest / groups) : undefined;
    if (block !== undefined) {
      const width = live / groups;
      const inBlocks = Math.ceil(width / block) * block;
      return inBlocks < width * GROUP_PENALTY ? inBlocks * groups : live;
    }
    let aligned = live;
    while (aligned % this.align !== 0 && aligned + groups <= widest) aligned += groups;
    if (aligned % this.align !== 0) return live;
    return aligned - live < this.align || this.time(aligned) < this.time(live) ? aligned : live;
  }

  #groupBlock(width: number): number | undefined {
    return this.#costs.groupBlocks.find((block) => width % block === 0);
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
