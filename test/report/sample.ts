/** A report with the figures of the documentation. */
import type { Benchmark } from '../../src/bench/results.js';
import type { CompileReport, MachineFacts } from '../../src/report/types.js';
import type { Verification } from '../../src/verify/verification.js';

const SHAPES = { input: [1, 3, 224, 224] };

export const VERIFICATION: Verification = {
  equal: true,
  difference: 3.1e-7,
  bound: 3.6e-6,
  noise: 4.5e-7,
  boundReason: "8 x the reference's own rounding noise",
  cases: [224, 192].flatMap((size) =>
    [1, 2, 3, 4].map((seed) => ({ shapes: { input: [1, 3, size, size] }, seed, difference: 3.1e-7 })),
  ),
  notes: [],
};

export const DIFFERENT: Verification = { ...VERIFICATION, equal: false, difference: 0.31, worstOutput: 'logits' };

export const BENCHMARK: Benchmark = {
  provider: 'cpu',
  threads: 1,
  rounds: 31,
  warmUps: 5,
  shapes: SHAPES,
  contenders: [
    {
      name: 'dense',
      medianMs: 36,
      meanMs: 36.2,
      sdMs: 0.4,
      p95Ms: 36.8,
      p99Ms: 37.2,
      samplesPerSecond: 27.8,
      loadMs: 180,
      sizeBytes: 102_500_000,
      peakMemoryBytes: 310_000_000,
      interval: [35.8, 36.3],
      samplesMs: [36, 36.4],
    },
    {
      name: 'masked',
      medianMs: 36.1,
      meanMs: 36.3,
      sdMs: 0.4,
      p95Ms: 36.9,
      p99Ms: 37.3,
      samplesPerSecond: 27.7,
      loadMs: 185,
      sizeBytes: 102_500_000,
      peakMemoryBytes: 312_000_000,
      interval: [35.9, 36.4],
      samplesMs: [36.1, 36.5],
    },
    {
      name: 'compiled',
      medianMs: 17.3,
      meanMs: 17.4,
      sdMs: 0.2,
      p95Ms: 17.7,
      p99Ms: 17.9,
      samplesPerSecond: 57.8,
      loadMs: 92,
      sizeBytes: 45_000_000,
      peakMemoryBytes: 141_000_000,
      interval: [17.2, 17.5],
      samplesMs: [17.3, 17.5],
    },
  ],
  comparisons: [
    {
      baseline: 'masked',
      contender: 'compiled',
      speedup: 2.09,
      interval: [2.05, 2.12],
      t: 98,
      degreesOfFreedom: 30,
      p: 1e-9,
      verdict: 'faster',
    },
  ],
  notes: [],
};

export const MACHINE: MachineFacts = {
  cpu: 'AMD EPYC 9R14',
  cores: 2,
  instructionSets: ['avx2', 'fma', 'avx512f'],
  memoryBytes: 24e9,
  platform: 'linux x64',
  node: '20.20.2',
  runtime: '1.30.0',
};

export const REPORT: CompileReport = {
  schema: 1,
  tool: { name: 'prune-compile', version: '0.1.0' },
  input: 'model.onnx',
  output: 'model.pruned.onnx',
  options: { structured: true },
  changed: true,
  before: {
    parameters: 25_557_032,
    zeros: 12_000_000,
    macs: 4.089e9,
    sizeBytes: 102_500_000,
    channels: 26_560,
    nodes: 122,
  },
  after: { parameters: 11_210_000, zeros: 0, macs: 1.71e9, sizeBytes: 45_000_000, channels: 17_344, nodes: 122 },
  macsShape: SHAPES,
  layers: [
    {
      node: '/layer1/conv1/Conv',
      opType: 'Conv',
      inputChannels: 64,
      outputChannels: 64,
      keptInputChannels: 64,
      keptOutputChannels: 32,
      sparsity: 0.5,
    },
  ],
  remarks: [{ pass: 'remove-channels', kind: 'applied', message: 'removed', channels: 9216 }],
  edits: ['remove 32 channels'],
  steps: [{ step: 'load', ms: 12 }],
};
