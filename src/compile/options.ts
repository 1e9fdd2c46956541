/**
 * The options of a compilation: what they are, which do not fit together, and what of them is
 * recorded in the compiled model.
 */
import type { Target } from '../cost/width-cost.js';
import { chooseTable, type SparseTarget } from '../cost/sparse-target.js';
import { PruneCompileError } from '../errors.js';
import type { MaskOptions } from '../masking/masking.js';
import { byName } from '../names.js';
import type { StepTime } from '../report/types.js';
import type { Timer } from './tuning.js';

export interface CompileOptions extends MaskOptions {
  /** Remove dead channels. The default, unless only `sparse` is asked for. */
  structured?: boolean;
  /**
   * Make layers with scattered zeros sparse operators (native library needed to run the result).
   */
  sparse?: boolean;
  /**
   * The machine that sparse operators are to pay on: avx512, avx512-wide, avx2, baseline, a file of
   * `doctor --calibrate`, or a table. Default: this one.
   */
  sparseTarget?: SparseTarget;
  /**
   * Measures layers and the whole model with and without sparse operators, instead of believing a
   * table: `sparseTimer`.
   */
  tune?: Timer;
  /** Width multiple; 1 makes the smallest model, 'auto' the fastest for the target. */
  align?: number | 'auto';
  target?: Target;
  /** Fixes symbolic dims of inputs for costs, by input name. */
  shapes?: Readonly<Record<string, readonly number[]>>;
  /** Names of passes to run instead of the preset, in order. */
  passes?: readonly string[];
  skip?: readonly string[];
  /** Stop after so many edits: bisects a wrong result. */
  stopAfter?: number;
  signal?: AbortSignal;
  /** After each stage, with its milliseconds. */
  onStep?: (step: StepTime & { readonly detail?: string }) => void;
}

/**
 * A row per option: what the report and the model's metadata say of it, so that the model can be
 * made again. `given` records the value as it is, where there is one; null records nothing.
 */
type Rows = {
  readonly [Key in keyof Required<CompileOptions>]:
    ((value: CompileOptions[Key], options: CompileOptions) => unknown) | null;
};

const given = (value: unknown) => value;

/** In the order that they are recorded in. */
const ROWS: Rows = {
  structured: (structured, { sparse = false }) => structured ?? !sparse,
  sparse: (sparse = false) => sparse,
  sparseTarget: (target) => (typeof target === 'object' ? target.name : target),
  tune: (timer) => (timer === undefined ? undefined : true),
  align: (align = 'auto') => align,
  target: (target = 'cpu') => target,
  meaning: (meaning = 'zero') => meaning,
  maskPrefix: given,
  maskSoft: given,
  maskLayout: given,
  allowUnmatched: given,
  passes: given,
  skip: given,
  stopAfter: given,
  shapes: given,
  maskMap: given,
  // By their hashes, in an entry of their own.
  masks: null,
  signal: null,
  onStep: null,
};

const KEYS = Object.keys(ROWS) as (keyof CompileOptions)[];

/** What is recorded: plain data, options that were left out only where they have a default. */
export function recordedOptions(options: CompileOptions): Record<string, unknown> {
  const record = <Key extends keyof CompileOptions>(key: Key): readonly [Key, unknown] => [
    key,
    ROWS[key]?.(options[key], options),
  ];
  return byName(KEYS.map((key) => record(key)).filter(([, value]) => value !== undefined));
}

/**
 * Throws E-USAGE for values that no option has and for options that do not fit together, E-INPUT-…
 * and E-COST-TABLE for a table that cannot be used.
 */
export function checkOptions(options: CompileOptions): void {
  checkAlign(options.align);
  checkTuning(options);
  checkSparse(options);
}

function checkAlign(align: CompileOptions['align']): void {
  if (align === undefined || align === 'auto' || (Number.isSafeInteger(align) && align >= 1)) return;
  throw new PruneCompileError('E-USAGE', {
    what: `align cannot be ${align}`,
    facts: [['try', "'auto', 1 for the smallest model, or the width multiple that is fast on the processor: 4, 8, 16"]],
  });
}

function checkSparse({ sparse, target = 'cpu' }: CompileOptions): void {
  if (sparse !== true || target === 'cpu') return;
  throw new PruneCompileError('E-USAGE', {
    what: `--sparse does not fit --target ${target}: sparse operators run on the CPU only`,
    facts: [['try', 'one of the two']],
  });
}

function checkTuning({ sparse, sparseTarget, tune }: CompileOptions): void {
  // A table that cannot be used is said before any work is done.
  if (sparseTarget !== undefined) chooseTable(sparseTarget);
  if (sparse !== true && tune !== undefined) throw unfit('--tune', 'it needs sparse operators', '--sparse');
  if (sparse !== true && sparseTarget !== undefined)
    throw unfit('--sparse-target', 'it needs sparse operators', '--sparse');
  if (tune !== undefined && sparseTarget !== undefined) {
    const remedy = 'one of the two: --tune here, or --sparse-target for a machine elsewhere';
    throw unfit('--tune', 'it measures this machine, and --sparse-target names another', remedy);
  }
}

function unfit(option: string, why: string, remedy: string): PruneCompileError {
  return new PruneCompileError('E-USAGE', {
    what: `${option} does not fit the other options`,
    facts: [
      ['why', why],
      ['try', remedy],
    ],
  });
}
