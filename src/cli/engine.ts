/**
 * What the commands ask for, each part loaded when it is first used: --help and mistakes do not
 * wait for ONNX Runtime.
 */
import type { BenchOptions } from '../bench/benchmark.js';
import type { CalibrationOptions, Calibration } from '../calibrate/calibrate.js';
import type { compileModel } from '../compile.js';
import type { getCuda, planCuda, removeCuda } from '../cuda/get.js';
import type { diagnose } from '../doctor.js';
import type { combined, countMissing } from '../exploration/combine.js';
import type { explore, plannedPlaces } from '../explore/explore.js';
import type { readExploration } from '../exploration/file.js';
import type { inspectModel } from '../inspect.js';
import type { makeMasks } from '../mask-maker/make-masks.js';
import type { Benchmark } from '../bench/results.js';
import type { MachineFacts } from '../report/types.js';
import { withLibraries } from '../runtime/cuda-cache.js';
import type { ProviderProblem } from '../runtime/provider-needs.js';
import type { Provider } from '../runtime/providers.js';
import type { maskedReference } from '../verify/masked-reference.js';
import type { measureAccuracy } from '../samples/accuracy.js';
import type { readGiven } from '../samples/given.js';
import type { traceModels } from '../verify/trace.js';
import type { Timer } from '../compile/tuning.js';
import type { verifyOnProvider } from '../verify/on-provider.js';
import type { verifyModels } from '../verify/verify.js';
import type { explainNode } from '../why.js';

export type Source = string | Uint8Array;

export interface Engine {
  compileModel: typeof compileModel;
  inspectModel: typeof inspectModel;
  explainNode: typeof explainNode;
  makeMasks: typeof makeMasks;
  verifyModels: typeof verifyModels;
  verifyOnProvider: typeof verifyOnProvider;
  traceModels: typeof traceModels;
  readGiven: typeof readGiven;
  measureAccuracy: typeof measureAccuracy;
  /** What a model compiled with masks must compute. */
  maskedReference(...args: Parameters<typeof maskedReference>): Promise<Uint8Array>;
  benchModels(contenders: readonly { name: string; model: Source }[], options: BenchOptions): Promise<Benchmark>;
  /** The model with its zeros refilled: what pruning started from, for timing only. */
  denseModel(source: Source): Promise<Uint8Array>;
  explore: typeof explore;
  planExploration(...args: Parameters<typeof plannedPlaces>): Promise<ReturnType<typeof plannedPlaces>>;
  readExploration(...args: Parameters<typeof readExploration>): Promise<ReturnType<typeof readExploration>>;
  combineExplorations(...args: Parameters<typeof combined>): Promise<ReturnType<typeof combined>>;
  countMissing(...args: Parameters<typeof countMissing>): Promise<number>;
  /** Throws E-PROVIDER for the first that cannot be used here. */
  checkProviders(providers: readonly Provider[]): Promise<void>;
  /** Throws E-KERNELS where sparse operators cannot run here. */
  checkKernels(): Promise<void>;
  describeMachine(): Promise<MachineFacts>;
  diagnose: typeof diagnose;
  /** The cost table of this machine, as the text of its file, and where that belongs. */
  calibrate(options: CalibrationOptions): Promise<Calibration & { readonly text: string; readonly path: string }>;
  planCuda(...args: Parameters<typeof planCuda>): Promise<ReturnType<typeof planCuda>>;
  getCuda: typeof getCuda;
  /** Why CUDA does not work with the libraries of the cache; undefined when it does. */
  tryCuda(): Promise<ProviderProblem | undefined>;
  removeCuda(): Promise<ReturnType<typeof removeCuda>>;
  /** What --tune measures with. */
  timer(threads: number | undefined): Timer;
}

export const ENGINE: Engine = {
  compileModel: async (...args) => (await import('../compile.js')).compileModel(...args),
  inspectModel: async (...args) => (await import('../inspect.js')).inspectModel(...args),
  explainNode: async (...args) => (await import('../why.js')).explainNode(...args),
  makeMasks: async (...args) => (await import('../mask-maker/make-masks.js')).makeMasks(...args),
  verifyModels: async (...args) => (await import('../verify/verify.js')).verifyModels(...args),
  verifyOnProvider: async (...args) => (await import('../verify/on-provider.js')).verifyOnProvider(...args),
  traceModels: async (...args) => (await import('../verify/trace.js')).traceModels(...args),
  readGiven: async (...args) => (await import('../samples/given.js')).readGiven(...args),
  measureAccuracy: async (...args) => (await import('../samples/accuracy.js')).measureAccuracy(...args),
  maskedReference: async (...args) => (await import('../verify/masked-reference.js')).maskedReference(...args),
  benchModels: async (...args) => (await import('../bench/benchmark.js')).benchModels(...args),
  denseModel: async (source) => {
    const [{ denseVariant }, { readModel }] = await Promise.all([
      import('../bench/dense.js'),
      import('../onnx/read.js'),
    ]);
    return denseVariant(readModel(source)).bytes;
  },
  explore: async (...args) => (await import('../explore/explore.js')).explore(...args),
  planExploration: async (...args) => (await import('../explore/explore.js')).plannedPlaces(...args),
  readExploration: async (...args) => (await import('../exploration/file.js')).readExploration(...args),
  combineExplorations: async (...args) => (await import('../exploration/combine.js')).combined(...args),
  countMissing: async (...args) => (await import('../exploration/combine.js')).countMissing(...args),
  checkProviders: async (providers) => {
    const { requireProvider } = await import('../bench/providers.js');
    for (const provider of providers) await requireProvider(provider);
  },
  checkKernels: async () => {
    // The runtime first: the library finds it in this process.
    await import('../runtime/session.js');
    (await import('../runtime/kernels.js')).loadKernels();
  },
  describeMachine: async () => (await import('../runtime/machine.js')).describeMachine(),
  diagnose: async () => (await import('../doctor.js')).diagnose(),
  calibrate: async (options) => {
    const { calibrate, calibratedPath, encodeTable } = await import('../calibrate/calibrate.js');
    const calibration = await calibrate(options);
    return { ...calibration, text: encodeTable(calibration.table), path: calibratedPath() };
  },
  planCuda: async (...args) => (await import('../cuda/get.js')).planCuda(...args),
  getCuda: async (...args) => (await import('../cuda/get.js')).getCuda(...args),
  tryCuda: async () => {
    const { tryProvider } = await import('../bench/providers.js');
    return tryProvider('cuda', withLibraries(process.env));
  },
  removeCuda: async () => (await import('../cuda/get.js')).removeCuda(),
  timer:
    (threads) =>
    async (...args) =>
      (await import('../bench/timer.js')).sparseTimer(threads)(...args),
};
