/**
 * The cost tables that are shipped, as data. `prune-compile doctor --calibrate --output -` prints
 * such a table for the machine at hand.
 */
import type { Caches } from '../runtime/machine.js';
import type { CostTable } from './sparse-cost.js';

export const MACHINES = ['avx512', 'avx512-wide', 'avx2', 'baseline'] as const;
export type Machine = (typeof MACHINES)[number];

/**
 * ResNet-50 on Zen 4 (AVX-512 at half rate), emitted code, one thread, every layer but stem and
 * classifier at that share of zeros: one measurement for convolutions of both kinds. `npm run
 * bench:sparse` repeats it.
 */
const AVX512_CONVOLUTIONS = [
  [0.2, 1.07],
  [0.3, 1.22],
  [0.4, 1.41],
  [0.5, 1.67],
  [0.6, 2.03],
  [0.7, 2.57],
  [0.8, 3.4],
  [0.9, 4.42],
  [0.95, 5.45],
  [1, 6.5],
] as const;

/**
 * Multiply-accumulates a second of the dense kernels there: 94 % of 114 GFLOP/s, two operations
 * each.
 */
const AVX512_DENSE = 0.94 * 57e9;

/**
 * There, ONNX Runtime takes .14 ms to bring 256 channels of 56 x 56 out of its blocked layout or
 * into it; Enter and Leave read and write as much once more.
 */
const MOVE_ZEN4 = (2 * 0.14e-3) / (256 * 56 * 56);

/**
 * Zen 3 with AVX2, the stream kernel, one thread, on a machine that shares its caches with others:
 * the samples of `doctor --calibrate`, 81 rounds each.
 */
const MOVE_ZEN3 = 5.3e-10;
const ZEN3_DENSE = { conv1x1: 36e9, conv: 39e9, matmul: 34e9 };

/**
 * An Intel server core with two multiply-adds of 512 bits per cycle (Emerald Rapids, 2.8 GHz),
 * emitted code, one thread, on a quiet machine: the samples of `doctor --calibrate`, the lower of two
 * runs.
 */
const MOVE_WIDE = 7.0e-10;
const WIDE_DENSE = { conv1x1: 81e9, conv: 82.3e9, matmul: 66.9e9 };

/**
 * What of a core decides how fast sparse operators are beside dense ones. Cores with AVX2 do two
 * multiply-adds of its registers per cycle; with AVX-512 they differ.
 */
export interface CoreTraits {
  readonly isa: string;
  readonly kernel: string;
  /** Of registers of 512 bits. */
  readonly fmaPerCycle?: number;
  readonly caches: Caches;
}

const KB = 1024;

/** The cores that shipped tables were measured on; the baseline is of none. */
export const MEASURED_CORES: readonly (readonly [Machine, CoreTraits])[] = [
  ['avx512', { isa: 'avx512', kernel: 'jit', fmaPerCycle: 1, caches: caches(32 * KB, 1024 * KB) }],
  ['avx512-wide', { isa: 'avx512', kernel: 'jit', fmaPerCycle: 2, caches: caches(48 * KB, 2048 * KB) }],
  ['avx2', { isa: 'avx2', kernel: 'stream', caches: caches(32 * KB, 512 * KB) }],
];

function caches(firstLevelData: number, secondLevel: number): Caches {
  return { firstLevelData, secondLevel };
}

export const TABLES: Readonly<Record<Machine, CostTable>> = {
  avx512: {
    name: 'avx512',
    secondsPerMovedElement: MOVE_ZEN4,
    // In a second-level cache of 1 MB strips are short. ResNet-50 with a chain was 1 to 2 % slower at
    // batch 1, and at batch 16 4 % faster at 80 % zeros and 14 % at 95 %.
    chainsFromBatch: 2,
    layers: {
      conv1x1: { denseMacsPerSecond: AVX512_DENSE, speedups: AVX512_CONVOLUTIONS },
      conv: { denseMacsPerSecond: AVX512_DENSE, speedups: AVX512_CONVOLUTIONS },
      // 128 x 768 x 3072 inside ONNX Runtime at 80 and 90 %; their times' line, drawn on to 50 %.
      matmul: {
        denseMacsPerSecond: AVX512_DENSE,
        speedups: [
          [0.5, 1.66],
          [0.8, 3.3],
          [0.9, 4.9],
        ],
      },
    },
  },
  'avx512-wide': {
    name: 'avx512-wide',
    secondsPerMovedElement: MOVE_WIDE,
    layers: {
      conv1x1: {
        denseMacsPerSecond: WIDE_DENSE.conv1x1,
        speedups: [
          [0.3, 1.22],
          [0.5, 1.61],
          [0.6, 1.95],
          [0.7, 2.34],
          [0.8, 2.73],
          [0.9, 3.66],
          [0.95, 4.61],
          [0.98, 5.59],
        ],
      },
      conv: {
        denseMacsPerSecond: WIDE_DENSE.conv,
        speedups: [
          [0.3, 1.25],
          [0.5, 1.74],
          [0.6, 2.08],
          [0.7, 2.66],
          [0.8, 3.48],
          [0.9, 4.95],
          [0.95, 7.51],
          [0.98, 11.94],
        ],
      },
      matmul: {
        denseMacsPerSecond: WIDE_DENSE.matmul,
        speedups: [
          [0.3, 1.14],
          [0.5, 1.59],
          [0.6, 1.94],
          [0.7, 2.42],
          [0.8, 3.12],
          [0.9, 4.05],
          [0.95, 4.99],
          [0.98, 5.32],
        ],
      },
    },
  },
  avx2: {
    name: 'avx2',
    secondsPerMovedElement: MOVE_ZEN3,
    layers: {
      conv1x1: {
        denseMacsPerSecond: ZEN3_DENSE.conv1x1,
        speedups: [
          [0.5, 0.97],
          [0.6, 1.25],
          [0.7, 1.68],
          [0.8, 2.42],
          [0.9, 4.54],
          [0.95, 7.51],
          [0.98, 13.9],
        ],
      },
      conv: {
        denseMacsPerSecond: ZEN3_DENSE.conv,
        speedups: [
          [0.5, 1.11],
          [0.6, 1.31],
          [0.7, 1.71],
          [0.8, 2.38],
          [0.9, 3.82],
          [0.95, 5.86],
          [0.98, 8.37],
        ],
      },
      matmul: {
        denseMacsPerSecond: ZEN3_DENSE.matmul,
        speedups: [
          [0.5, 1.06],
          [0.6, 1.18],
          [0.7, 1.65],
          [0.8, 2.15],
          [0.9, 3.09],
          [0.95, 4.81],
          [0.98, 6.99],
        ],
      },
    },
  },
  // Vectors of four floats (SSE2, NEON) and whatever else, not measured on such a machine: the same
  // kernel against dense ones of the same width, so the figures of AVX2, four fifths of them.
  baseline: {
    name: 'baseline',
    secondsPerMovedElement: MOVE_ZEN3,
    layers: {
      conv1x1: {
        denseMacsPerSecond: ZEN3_DENSE.conv1x1 / 2,
        speedups: [
          [0.8, 1.15],
          [0.9, 1.45],
          [0.95, 1.8],
        ],
      },
      conv: {
        denseMacsPerSecond: ZEN3_DENSE.conv / 2,
        speedups: [
          [0.6, 1.05],
          [0.7, 1.35],
          [0.8, 1.9],
          [0.9, 2.8],
          [0.95, 3.7],
        ],
      },
      matmul: {
        denseMacsPerSecond: ZEN3_DENSE.matmul / 2,
        speedups: [
          [0.6, 1],
          [0.8, 1.45],
          [0.9, 2],
          [0.95, 2.4],
        ],
      },
    },
  },
};

/**
 * Everything that can become sparse does: for measuring what sparse operators are worth, not for
 * deciding.
 */
export const EAGER: CostTable = {
  name: 'eager',
  secondsPerMovedElement: 0,
  layers: {
    conv1x1: { denseMacsPerSecond: 1, speedups: [[0, 2]] },
    conv: { denseMacsPerSecond: 1, speedups: [[0, 2]] },
    matmul: { denseMacsPerSecond: 1, speedups: [[0, 2]] },
  },
};
