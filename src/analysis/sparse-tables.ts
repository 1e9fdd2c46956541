/** The cost tables that are shipped, as data. `prune-compile doctor --calibrate --output -` prints such a table for the machine at hand. */
import type { CostTable } from './sparse-cost.js';

export const MACHINES = ['avx512', 'avx2', 'baseline'] as const;
export type Machine = (typeof MACHINES)[number];

/**
 * ResNet-50 on Zen 4 (AVX-512 at half rate), emitted code, one thread, every layer but stem and classifier at that share of zeros: one
 * measurement for convolutions of both kinds. `npm run bench:sparse` repeats it.
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

/** Multiply-accumulates a second of the dense kernels there: 94 % of 114 GFLOP/s, two operations each. */
const AVX512_DENSE = 0.94 * 57e9;

/**
 * There, ONNX Runtime takes .14 ms to bring 256 channels of 56 x 56 out of its blocked layout or into it; Enter and Leave read and write
 * as much once more.
 */
const MOVE_ZEN4 = (2 * 0.14e-3) / (256 * 56 * 56);

/** Zen 3 with AVX2, measured by `doctor --calibrate`: what it costs to move data there, and what dense kernels do in a second. */
const MOVE_ZEN3 = 6e-10;
const ZEN3_DENSE = { conv1x1: 35e9, conv: 39e9, matmul: 29e9 };

export const TABLES: Readonly<Record<Machine, CostTable>> = {
  avx512: {
    name: 'avx512',
    secondsPerMovedElement: MOVE_ZEN4,
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
  // The speed-ups are an estimate until they are measured on such a machine: 16 registers of 8 lanes, so more loads for each multiply-add.
  avx2: {
    name: 'avx2',
    secondsPerMovedElement: MOVE_ZEN3,
    layers: {
      conv1x1: {
        denseMacsPerSecond: ZEN3_DENSE.conv1x1,
        speedups: [
          [0.5, 1.2],
          [0.6, 1.45],
          [0.8, 2.6],
          [0.9, 4],
          [0.95, 5.2],
        ],
      },
      conv: {
        denseMacsPerSecond: ZEN3_DENSE.conv,
        speedups: [
          [0.5, 1.1],
          [0.6, 1.35],
          [0.8, 2.4],
          [0.9, 3.7],
          [0.95, 4.8],
        ],
      },
      matmul: {
        denseMacsPerSecond: ZEN3_DENSE.matmul,
        speedups: [
          [0.5, 1.1],
          [0.8, 2.3],
          [0.9, 3.5],
          [0.95, 4.5],
        ],
      },
    },
  },
  // The stream kernel against dense kernels of the same width (AVX2, Zen 3, measured), rounded down: SSE2, NEON and whatever else.
  baseline: {
    name: 'baseline',
    secondsPerMovedElement: MOVE_ZEN3,
    layers: {
      conv1x1: {
        denseMacsPerSecond: ZEN3_DENSE.conv1x1,
        speedups: [
          [0.8, 1],
          [0.9, 1.5],
          [0.95, 2],
        ],
      },
      conv: {
        denseMacsPerSecond: ZEN3_DENSE.conv,
        speedups: [
          [0.7, 1],
          [0.8, 1.4],
          [0.9, 2.4],
          [0.95, 3.8],
        ],
      },
      matmul: {
        denseMacsPerSecond: ZEN3_DENSE.matmul,
        speedups: [
          [0.8, 0.8],
          [0.9, 1.4],
          [0.95, 2],
        ],
      },
    },
  },
};

/** Everything that can become sparse does: for measuring what sparse operators are worth, not for deciding. */
export const EAGER: CostTable = {
  name: 'eager',
  secondsPerMovedElement: 0,
  layers: {
    conv1x1: { denseMacsPerSecond: 1, speedups: [[0, 2]] },
    conv: { denseMacsPerSecond: 1, speedups: [[0, 2]] },
    matmul: { denseMacsPerSecond: 1, speedups: [[0, 2]] },
  },
};
