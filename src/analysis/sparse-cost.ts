/**
 * When sparse operators pay. Speed-ups over ONNX Runtime's dense kernels by share of zeros, one thread, measured with ResNet-50's layers on
 * Zen 4 (AVX-512 at half rate, emitted code); between the points linear, below the first nothing is gained. `npm run bench:sparse` repeats them.
 */
const SPEEDUP: readonly (readonly [zeros: number, speedup: number])[] = [
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
];

/** Below it a layer stays dense: what is gained is less than what a busy neighbour costs. */
export const LEAST_ZEROS = 0.3;

/** Multiply-accumulates a second of the dense kernels there: 94 % of 114 GFLOP/s, two operations each. */
const DENSE_MACS_PER_SECOND = 0.94 * 57e9;
/** Into and out of the internal layout: .14 ms for 256 channels of 56 x 56 (read and written once), as measured there. */
const SECONDS_PER_MOVED_ELEMENT = 0.14e-3 / (256 * 56 * 56);

export function sparseSpeedup(zeros: number): number {
  let [before, slow] = [0, 1];
  for (const [share, speedup] of SPEEDUP) {
    if (zeros <= share) return slow + ((speedup - slow) * (zeros - before)) / (share - before);
    [before, slow] = [share, speedup];
  }
  return slow;
}

/** Seconds saved by running a layer of so many MACs with so many zeros sparse. */
export function secondsSaved(macs: number, zeros: number): number {
  return (macs / DENSE_MACS_PER_SECOND) * (1 - 1 / sparseSpeedup(zeros));
}

export function secondsToMove(elements: number): number {
  return elements * SECONDS_PER_MOVED_ELEMENT;
}
