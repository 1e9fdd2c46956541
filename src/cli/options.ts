/**
 * All options of all commands, as one table: flags, variables (PRUNE_COMPILE_MIN_SPEEDUP), config
 * keys (minSpeedup), help and checks are drawn from it. An option means the same in every command
 * that has it.
 */
import { CRITERIA } from '../mask-maker/choice.js';
import { byName } from '../names.js';
import {
  ALIGNING,
  COMPILE,
  DRY,
  EVERY,
  GIVEN,
  JUDGING,
  MAKING,
  MASKING,
  MEASURING,
  onOff,
  option,
  type OptionSpec,
  PROVIDING,
  PRUNING,
  REPORTING,
  ROUNDS,
  RUNNING,
  SPARSE,
  WRITING,
} from './option-spec.js';
import * as values from './values.js';
import { EXPLORING } from './explore-options.js';

const OPTIONS = {
  output: option(
    'Output',
    WRITING,
    'the compiled model; default: MODEL.pruned.onnx next to the input; - is standard output',
    {
      alias: 'o',
      value: 'FILE',
      helpOf: {
        mask: 'the masks: .safetensors, .npz or .json; or .onnx for the model with zeros; default: MODEL.masks.safetensors next to the input',
        explore:
          'what was found, after every point; the same command goes on there; default: MODEL.explore.json next to the input',
        doctor:
          'with --calibrate: the cost table; default: the path from which --sparse reads it; - is standard output',
      },
      read: values.text('a file', '--output small.onnx'),
    },
  ),
  report: option('Output', REPORTING, 'write a report: .html, .json or .md; may be repeated', {
    value: 'FILE',
    repeatable: true,
    separator: ',',
    read: values.reportFiles,
  }),
  channels: option('Output', COMPILE, 'write which channels of each weight are kept, as JSON', {
    value: 'FILE',
    read: values.text('a file', '--channels kept.json'),
  }),
  stateDict: option('Output', COMPILE, 'write the small weights under their PyTorch names (safetensors), to train on', {
    value: 'FILE',
    read: values.text('a file', '--state-dict small.safetensors'),
  }),
  force: option('Output', WRITING, 'replace existing files that prune-compile did not write', { read: onOff }),
  json: option('Output', EVERY, 'print the result as JSON, and errors too (to standard error)', { read: onOff }),
  quiet: option('Output', EVERY, 'do not print the steps', { alias: 'q', read: onOff }),
  dryRun: option(
    'Output',
    DRY,
    'compile and show the result and what would be written; write nothing, verify and measure nothing',
    {
      helpOf: {
        mask: 'make the masks and show what they bring; write nothing',
        explore: 'list the points; measure and write nothing',
      },
      read: onOff,
    },
  ),
  verbose: option('Output', EVERY, 'also print where options come from, every edit, and where an error arose', {
    alias: 'v',
    read: onOff,
  }),
  masks: option('Masks', MASKING, 'masks of the weights, in any format of docs/masks.md; several files multiply', {
    alias: 'm',
    value: 'FILE',
    repeatable: true,
    separator: ',',
    read: values.files('a mask file', '--masks checkpoint.pth'),
  }),
  meaning: option(
    'Masks',
    [...MASKING, 'mask', 'explore'],
    'a fully masked filter keeps its bias and BN shift (zero, the default) or loses both (drop)',
    { value: 'zero|drop', read: values.oneOf(['zero', 'drop'] as const) },
  ),
  maskPrefix: option('Masks', MASKING, 'remove the prefix TEXT from the keys of masks', {
    value: 'TEXT',
    read: values.text('a prefix', '--mask-prefix backbone.'),
  }),
  maskMap: option('Masks', MASKING, 'a JSON file from masks to weights: { "key": "initializer" }', {
    value: 'FILE',
    read: values.text('a JSON file', '--mask-map map.json'),
  }),
  maskSoft: option('Masks', MASKING, 'values other than 0 and 1: error (default), or multiply the weights with them', {
    value: 'error|multiply',
    read: values.oneOf(['error', 'multiply'] as const),
  }),
  maskLayout: option(
    'Masks',
    MASKING,
    "axes of all masks: torch ([out, in, …]) or stored (those of the model's tensors); default: by evidence",
    { value: 'torch|stored', read: values.oneOf(['torch', 'stored'] as const) },
  ),
  allowUnmatched: option('Masks', MASKING, 'leave out masks that belong to no weight of the model', {
    read: onOff,
  }),
  granularity: option(
    'Making masks',
    MAKING,
    'filter (default), channel, kernel, unstructured, 4x1 (blocks of rows x columns) or 2:4 (N:M along input channels)',
    { value: 'UNIT', read: values.text('a granularity', '--granularity filter') },
  ),
  criterion: option('Making masks', MAKING, `the score; the lowest are pruned: ${CRITERIA.join(', ')}; default: l1`, {
    value: 'NAME',
    read: values.oneOf(CRITERIA),
  }),
  ratio: option('Making masks', MAKING, 'fraction of the units to prune; default: 0.5', {
    value: 'R',
    read: values.share('--ratio 0.5'),
  }),
  scope: option('Making masks', PRUNING, 'apply the ratio to each layer (default) or to all layers together (global)', {
    value: 'layer|global',
    read: values.oneOf(['layer', 'global'] as const),
  }),
  groups: option(
    'Making masks',
    PRUNING,
    'residual: mask coupled channels alike (residual adds, depthwise); default: none',
    { value: 'none|residual', read: values.oneOf(['none', 'residual'] as const) },
  ),
  widthMultiple: option('Making masks', PRUNING, 'keep a multiple of N filters or channels', {
    value: 'N',
    read: values.wholeNumber(1, '--width-multiple 16'),
  }),
  exclude: option('Making masks', PRUNING, "leave layers alone: node, initializer or module; 'layer1.*'", {
    value: 'NAME,..',
    repeatable: true,
    read: values.list('names of layers', "--exclude 'layer1.*'"),
  }),
  seed: option('Making masks', PRUNING, 'for the criterion random; default: 1', {
    value: 'N',
    read: values.wholeNumber(0, '--seed 7'),
  }),
  ...EXPLORING,
  structured: option(
    'Compiling',
    COMPILE,
    'remove channels whose weights are zero; the default, unless only --sparse is given',
    { read: onOff },
  ),
  sparse: option(
    'Compiling',
    COMPILE,
    'replace layers with scattered zeros by sparse operators where these are faster; the model then needs their native library (CPU)',
    { read: onOff },
  ),
  sparseTarget: option(
    'Compiling',
    SPARSE,
    'the machine for which sparse operators are chosen: avx512, avx512-wide, avx2, baseline (any other), or a FILE of doctor --calibrate; default: this one',
    { value: 'NAME', read: values.text('a machine or a file', '--sparse-target avx2') },
  ),
  tune: option(
    'Compiling',
    SPARSE,
    'with --sparse: measure on this machine which layers are faster, instead of using a table',
    {
      read: onOff,
    },
  ),
  target: option(
    'Compiling',
    JUDGING,
    'what the model will run on (cpu, cuda, webgpu, tensorrt); determines which widths are fast; default: cpu',
    {
      value: 'NAME',
      read: values.oneOf(['cpu', 'cuda', 'webgpu', 'tensorrt'] as const),
    },
  ),
  align: option('Compiling', ALIGNING, 'keep widths a multiple of N; auto (default) depends on the target', {
    value: 'N|auto',
    read: values.align('--align 8'),
  }),
  shape: option('Compiling', RUNNING, 'fix the shape of an input: --shape input=1,3,224,224; may be repeated', {
    value: 'NAME=N,..',
    repeatable: true,
    separator: ';',
    read: values.shapes,
  }),
  verify: option('Checks', COMPILE, 'do not run both models to compare their outputs', { read: onOff }),
  runLimit: option('Checks', RUNNING, 'the most seconds that one run of a model may take; default: 300', {
    value: 'SECONDS',
    read: values.positiveNumber('--run-limit 1200'),
  }),
  keepFailed: option('Checks', COMPILE, 'keep the output even if a check failed', { read: onOff }),
  minSpeedup: option('Checks', COMPILE, 'fail unless the output is X times as fast as the input; implies --bench', {
    value: 'X',
    read: values.positiveNumber('--min-speedup 1.5'),
  }),
  maxSize: option('Checks', COMPILE, 'fail when the output is larger: 45000000 or 45MB', {
    value: 'BYTES',
    read: values.bytes('--max-size 45MB'),
  }),
  minRemoved: option('Checks', COMPILE, 'fail unless P percent of the parameters were removed', {
    value: 'P',
    read: values.percentage('--min-removed 30'),
  }),
  inputs: option('Real inputs', GIVEN, 'run with the arrays or images of a file or folder instead of random values', {
    value: 'PATH',
    read: values.text('a file or a folder', '--inputs images.npz'),
  }),
  labels: option(
    'Real inputs',
    GIVEN,
    'the right class of each sample (.txt, .npy, .npz): tells how often each model is right',
    {
      value: 'FILE',
      read: values.text('a file', '--labels labels.txt'),
    },
  ),
  mean: option('Real inputs', GIVEN, 'of images, by channel, for values from 0 to 1; default: 0', {
    value: 'M,..',
    repeatable: true,
    read: values.numbers('--mean 0.485,0.456,0.406'),
  }),
  std: option('Real inputs', GIVEN, 'what images are divided by after that, by channel; default: 1', {
    value: 'S,..',
    repeatable: true,
    read: values.positiveNumbers('--std 0.229,0.224,0.225'),
  }),
  size: option(
    'Real inputs',
    GIVEN,
    'scale the shorter side of images to N, then cut the middle; default: as large as the input',
    {
      value: 'N',
      read: values.wholeNumber(1, '--size 256'),
    },
  ),
  trace: option('Checks', ['verify'], 'find the first value at which the two models part', { read: onOff }),
  bench: option('Benchmark', COMPILE, 'benchmark the dense, masked and compiled model, interleaved', { read: onOff }),
  providers: option('Benchmark', PROVIDING, 'execution providers: cpu, webgpu, cuda, tensorrt; default: cpu', {
    value: 'LIST',
    helpOf: { verify: 'compare on these providers: cpu, webgpu, cuda, tensorrt; default: cpu' },
    repeatable: true,
    read: values.providers,
  }),
  providerOption: option(
    'Benchmark',
    PROVIDING,
    'an option of cuda or tensorrt by its name in ONNX Runtime: use_tf32=0, prefer_nhwc=1, trt_sparsity_enable=1; may be repeated',
    { value: 'KEY=VALUE', repeatable: true, separator: ',', read: values.pairs },
  ),
  threads: option('Benchmark', MEASURING, 'threads of ONNX Runtime on the CPU; default: 1', {
    value: 'N',
    read: values.wholeNumber(1, '--threads 4'),
  }),
  batch: option(
    'Benchmark',
    MEASURING,
    'batch size, where the model leaves it open; default: 1, and on cuda and tensorrt 1, 8 and 32',
    {
      value: 'N',
      read: values.wholeNumber(1, '--batch 8'),
    },
  ),
  runs: option('Benchmark', ROUNDS, 'rounds measured, after warm-ups', {
    value: 'N',
    helpOf: { doctor: 'with --calibrate: rounds of each measurement, after warm-ups' },
    read: values.wholeNumber(3, '--runs 31'),
  }),
  calibrate: option(
    'Benchmark',
    ['doctor'],
    'measure when sparse operators are faster on this machine (up to a minute); --sparse then uses the result',
    { read: onOff },
  ),
  get: option(
    'Benchmark',
    ['doctor'],
    'fetch the provider files, CUDA 13 and cuDNN 9 (1.3 GB, from PyPI) into the cache: prints what and under which terms, and asks',
    { value: 'cuda', read: values.oneOf(['cuda'] as const) },
  ),
  wheels: option('Benchmark', ['doctor'], 'with --get: take the wheels from a folder, download nothing', {
    value: 'DIR',
    read: values.text('a folder', '--wheels wheels'),
  }),
  yes: option('Benchmark', ['doctor'], 'with --get: download without asking', { read: onOff }),
  remove: option('Benchmark', ['doctor'], 'remove what --get put there', {
    value: 'cuda',
    read: values.oneOf(['cuda'] as const),
  }),
  passes: option('Debugging', COMPILE, 'run these passes only', {
    value: 'LIST',
    repeatable: true,
    read: values.list('names of passes', '--passes remove-channels'),
  }),
  skip: option('Debugging', COMPILE, 'leave these passes out', {
    value: 'PASS',
    repeatable: true,
    read: values.list('names of passes', '--skip remove-channels'),
  }),
  stopAfter: option('Debugging', COMPILE, 'stop after N edits, to find the faulty one', {
    value: 'N',
    read: values.wholeNumber(0, '--stop-after 12'),
  }),
  config: option(
    'General',
    EVERY,
    'read options from a JSON file: { "minSpeedup": 1.5 }; default: prune-compile.config.json of the working directory, where it is; --no-config ignores that',
    {
      value: 'FILE',
      read: values.text('a JSON file', '--config prune-compile.json'),
    },
  ),
} as const;

export type OptionKey = keyof typeof OPTIONS;
export type Options = { readonly [Key in OptionKey]?: ReturnType<(typeof OPTIONS)[Key]['read']> };

export const OPTION_KEYS = Object.keys(OPTIONS) as OptionKey[];

/** The table without the types of its values, for code that treats all options alike. */
export const SPECS: Readonly<Record<OptionKey, OptionSpec<unknown>>> = OPTIONS;

/** Switches that are on unless switched off: shown as --no-… */
export const ON_BY_DEFAULT: readonly OptionKey[] = ['verify'];

type Group = OptionSpec<unknown>['group'];
type OptionsOf<Of extends Group> = Pick<
  Options,
  { [Key in OptionKey]: (typeof OPTIONS)[Key]['group'] extends Of ? Key : never }[OptionKey]
>;

/** Those of some groups. */
export function optionsOf<Of extends Group>(options: Options, groups: readonly Of[]): OptionsOf<Of> {
  const isWanted = (key: string) => isOptionKey(key) && groups.some((group) => group === SPECS[key].group);
  return byName(Object.entries(options).filter(([key]) => isWanted(key))) as OptionsOf<Of>;
}

export function isOptionKey(name: string): name is OptionKey {
  return Object.hasOwn(OPTIONS, name);
}

/** minSpeedup -> min-speedup */
export function flagName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** min-speedup, MIN_SPEEDUP -> minSpeedup */
export function keyName(name: string): string {
  return name.toLowerCase().replace(/[-_]([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** As it is shown: --no-verify, --min-speedup */
export function shownFlag(key: OptionKey): string {
  return `--${ON_BY_DEFAULT.includes(key) ? 'no-' : ''}${flagName(key)}`;
}

/** Whether the word is an option whose value follows. */
export function takesValue(word: string | undefined): boolean {
  return OPTION_KEYS.some((key) => {
    const { alias, value } = SPECS[key];
    return value !== undefined && (word === `--${flagName(key)}` || (alias !== undefined && word === `-${alias}`));
  });
}
