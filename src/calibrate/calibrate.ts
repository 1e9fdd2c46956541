/**
 * `doctor --calibrate`: the cost table of the machine at hand (src/cost/sparse-cost.ts), measured
 * in ONNX Runtime with the compiler's own operators. Every kind of layer runs dense and at several
 * shares of zeros, one thread, interleaved rounds, medians; all in all half a minute, a minute on a
 * slow machine.
 */
import { LAYER_KINDS, type KindCosts, type LayerKind, type SpeedupPoint } from '../cost/sparse-cost.js';
import type { MeasuredTable } from '../cost/sparse-table-file.js';
import { EAGER, TABLES } from '../cost/sparse-tables.js';
import { measuredOn, shippedFor } from '../cost/sparse-target.js';
import { benchModels } from '../bench/benchmark.js';
import { compileModel } from '../compile.js';
import { loadKernels } from '../runtime/kernels.js';
import { thisMachine } from '../runtime/machine.js';
import { macsOf, MOVED_ELEMENTS, moveModel, SAMPLE_SIZES, sampleModel, type SampleSize } from './models.js';

// For whoever writes the table down: its text, and the place where --sparse looks for it.
export { encodeTable } from '../cost/sparse-table-file.js';
export { calibratedPath } from '../cost/sparse-target.js';

export interface CalibrationOptions {
  /** Interleaved rounds of each measurement; default 15. */
  readonly rounds?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Before the first measurement and after every one. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** From where sparse operators begin to pay on the best machine to what nobody prunes beyond. */
const SHARES = [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98] as const;
/** Lengths of the samples: their difference is one pair of layers without the ends of a model. */
const PAIRS = [1, 2] as const;
const DEFAULT_ROUNDS = 15;
/** The first run allocates, the second one is as the others are. */
const WARM_UPS = 2;
/** Of each of the eight measurements: with warm-ups and compilation they stay below a minute. */
const BUDGET_MS = 4000;
/**
 * A move costs something, even where a disturbed measurement says the contrary: a fast core's copy
 * from and to its caches.
 */
const LEAST_SECONDS_PER_MOVED_ELEMENT = 2e-11;

interface SampleTimes {
  readonly kind: LayerKind;
  readonly denseMacsPerSecond: number;
  readonly speedups: readonly number[];
}

export interface Calibration {
  readonly table: MeasuredTable;
  /** What makes the figures doubtful. */
  readonly notes: readonly string[];
}

/** Throws E-KERNELS where sparse operators cannot run. */
export async function calibrate(options: CalibrationOptions = {}): Promise<Calibration> {
  loadKernels();
  const here = thisMachine();
  const machine = measuredOn(here);
  // It follows from the caches; measuring it would take a whole network.
  const { chainsFromBatch } = TABLES[shippedFor(here).name];
  const total = SAMPLE_SIZES.length + 1;
  const clock = new Clock(options);
  const secondsPerMovedElement = await measureMove(clock);
  options.onProgress?.(1, total);
  const samples: SampleTimes[] = [];
  for (const size of SAMPLE_SIZES) {
    samples.push(await measureSample(size, clock));
    options.onProgress?.(samples.length + 1, total);
  }
  const costs = (kind: LayerKind) => kindCosts(samples.filter((sample) => sample.kind === kind));
  const [conv1x1, conv, matmul] = LAYER_KINDS.map(costs) as [KindCosts, KindCosts, KindCosts];
  const table = {
    name: `calibrated on ${machine.cpu}`,
    machine,
    secondsPerMovedElement: Number(secondsPerMovedElement.toPrecision(3)),
    ...(chainsFromBatch !== undefined && { chainsFromBatch }),
    layers: { conv1x1, conv, matmul },
  };
  return { table, notes: clock.notes };
}

async function measureMove(clock: Clock): Promise<number> {
  const [stays = 0, moves = 0] = await clock.medians([moveModel(false), moveModel(true)]);
  return Math.max(LEAST_SECONDS_PER_MOVED_ELEMENT, (moves - stays) / 1e3 / MOVED_ELEMENTS);
}

/** Dense kernels do not skip zeros: one dense model stands for all shares. */
async function measureSample(size: SampleSize, clock: Clock): Promise<SampleTimes> {
  const models: Uint8Array[] = [];
  for (const pairs of PAIRS) models.push(sampleModel(size, SHARES[0], pairs));
  for (const share of SHARES) {
    for (const pairs of PAIRS) {
      const sparse = await compileModel(sampleModel(size, share, pairs), { sparse: true, sparseTarget: EAGER });
      models.push(sparse.encode());
    }
  }
  return { kind: size.kind, ...ratesOf(await clock.medians(models), macsOf(size)) };
}

/**
 * What a pair of layers takes inside a run of them. At the ends of a model data changes its layout,
 * and other operators have their time; in the cost table moves are counted by themselves
 * (passes/sparse/select.ts), so neither may be in the rates. Of two models that differ by one pair
 * the ends are the same. No end is less than nothing, nor, where times are right, more than the
 * pair: a disturbed measurement must not make a layer fast.
 */
function pairMs(oneMs: number, twoMs: number): number {
  return Math.min(oneMs, Math.max(twoMs - oneMs, oneMs / 2));
}

/** From times of one pair and of two, in turns: dense, then sparse by share of zeros. */
export function ratesOf(times: readonly number[], macs: number): Omit<SampleTimes, 'kind'> {
  const [dense = Number.NaN, ...sparse] = Array.from({ length: times.length / 2 }, (_, at) =>
    pairMs(times[2 * at] ?? Number.NaN, times[2 * at + 1] ?? Number.NaN),
  );
  return { denseMacsPerSecond: macs / (dense / 1e3), speedups: sparse.map((ms) => dense / ms) };
}

/** Spread of the rounds, of their median, above which something else was using the machine. */
const BUSY = 0.25;

class Clock {
  readonly #options: CalibrationOptions;
  #measured = 0;
  #busy = 0;

  constructor(options: CalibrationOptions) {
    this.#options = options;
  }

  /** Milliseconds of a run of each. */
  async medians(models: readonly Uint8Array[]): Promise<number[]> {
    const { rounds = DEFAULT_ROUNDS, signal } = this.#options;
    const contenders = models.map((model, index) => ({ name: `${index}`, model }));
    const settings = { rounds, warmUps: WARM_UPS, budgetMs: BUDGET_MS, baseline: '0', signal };
    const { contenders: results } = await benchModels(contenders, settings);
    this.#measured += results.length;
    this.#busy += results.filter(({ medianMs, sdMs }) => sdMs > BUSY * medianMs).length;
    return results.map(({ medianMs }) => medianMs);
  }

  get notes(): string[] {
    if (this.#busy * 2 <= this.#measured) return [];
    return ['the times varied much: the machine was busy, so measure again when it is quiet'];
  }
}

/** Sizes of one kind count alike: factors have a geometric mean. */
function kindCosts(samples: readonly SampleTimes[]): KindCosts {
  const points = SHARES.map((share, at): SpeedupPoint => {
    return [share, geometricMean(samples.map(({ speedups }) => speedups[at] ?? Number.NaN))];
  });
  const macs = geometricMean(samples.map(({ denseMacsPerSecond }) => denseMacsPerSecond));
  return { denseMacsPerSecond: Number(macs.toPrecision(3)), speedups: notFalling(points) };
}

/**
 * More zeros are never slower; where a measurement says so, the lower figure of the two holds for
 * both.
 */
export function notFalling(points: readonly SpeedupPoint[]): SpeedupPoint[] {
  return points.map(([share], at) => [
    share,
    Number(Math.min(...points.slice(at).map(([, speedup]) => speedup)).toFixed(2)),
  ]);
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((total, value) => total + Math.log(value), 0) / values.length);
}
