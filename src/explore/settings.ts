/** The options of an exploration, checked, with their defaults. */
import type { CompileOptions } from '../compile.js';
import { PruneCompileError } from '../errors.js';
import type { Criterion, MakeMasksOptions } from '../mask-maker/choice.js';
import { loadKernels } from '../runtime/kernels.js';
import type { Exploration, ExploreSettings } from '../exploration/exploration.js';
import { DEFAULT_RATIOS, type Grid, type Shard, wayOf } from '../exploration/grid.js';

export interface ExploreOptions
  extends
    Pick<MakeMasksOptions, 'scope' | 'groups' | 'widthMultiple' | 'exclude' | 'seed' | 'meaning'>,
    Pick<CompileOptions, 'align' | 'shapes'> {
  /** As of makeMasks. Default filter, and unstructured where the native library can be used. */
  granularities?: readonly string[];
  /** Shares of the units that are pruned. Default 0.3 to 0.95 in eight steps. */
  ratios?: readonly number[];
  /** Default l1. */
  criteria?: readonly Criterion[];
  /** Where sparse operators have to pay: a name or a file, as of compile. Default this machine. */
  sparseTarget?: string;
  /** Measures layers with and without sparse operators, instead of believing a table. */
  tune?: boolean;
  /** Intra-op threads; default 1. */
  threads?: number;
  batch?: number;
  /** Of each measurement; default 31, fewer for slow models. */
  rounds?: number;
  /** A shell command that prints the accuracy of the ONNX file in the place of `{}`. */
  evaluate?: string;
  /** This part of the points only. */
  shard?: Shard;
  /**
   * Milliseconds after which no further point is begun that would not be ready in time. One is
   * always measured.
   */
  budgetMs?: number;
  /** What was found before: its points are not measured again. */
  known?: Exploration;
  /** For the files of one point; default a folder of its own among the temporary files. */
  folder?: string;
  signal?: AbortSignal;
  /** After every point, with all that is known by then. */
  onPoint?: (exploration: Exploration, step: PointStep) => void;
  /** Before the first point, and after every one. */
  onProgress?: (done: number, total: number) => void;
}

export interface PointStep {
  /** Place in the table. */
  readonly point: Exploration['points'][number];
  readonly done: number;
  readonly total: number;
}

export interface Checked {
  readonly grid: Grid;
  readonly settings: ExploreSettings;
  readonly notes: readonly string[];
}

/** Throws E-USAGE, and E-KERNELS where scattered zeros were asked for and cannot be explored. */
export function checkedOptions(options: ExploreOptions): Checked {
  const { ratios = DEFAULT_RATIOS, criteria = ['l1'], shard } = options;
  const lack = kernelsProblem();
  if (options.granularities?.some((name) => wayOf(name) === 'sparse') === true && lack !== undefined) throw lack;
  const granularities = options.granularities ?? (lack === undefined ? ['filter', 'unstructured'] : ['filter']);
  const wrong = ratios.find((ratio) => !(ratio > 0 && ratio < 1));
  if (wrong !== undefined) throw usage(`a ratio cannot be ${wrong}`, 'ratios above 0 and below 1');
  if (granularities.length * ratios.length * criteria.length === 0)
    throw usage('there is nothing to explore', 'at least one granularity, ratio and criterion');
  if (shard !== undefined && !(isWhole(shard.index) && isWhole(shard.count) && shard.index <= shard.count))
    throw usage(`there is no shard ${shard.index}/${shard.count}`, '--shard 1/4');
  const { scope = 'layer', groups = 'none', widthMultiple = 1, exclude = [], seed = 1, meaning = 'zero' } = options;
  const { align = 'auto', sparseTarget, tune = false, shapes = {}, threads = 1, batch, rounds, evaluate } = options;
  return {
    grid: {
      granularities: [...new Set(granularities)],
      ratios: [...new Set(ratios)].toSorted((a, b) => a - b),
      criteria: [...new Set(criteria)],
    },
    settings: {
      scope,
      groups,
      widthMultiple,
      exclude,
      seed,
      meaning,
      align,
      sparseTarget: sparseTarget ?? null,
      tune,
      shapes,
      threads,
      batch: batch ?? null,
      rounds: rounds ?? null,
      evaluate: evaluate ?? null,
    },
    notes:
      lack === undefined || options.granularities !== undefined
        ? []
        : [`scattered zeros are left out: ${lack.what} (npm run build:kernels makes the native library)`],
  };
}

function kernelsProblem(): PruneCompileError | undefined {
  try {
    loadKernels();
    return undefined;
  } catch (error) {
    if (error instanceof PruneCompileError) return error;
    throw error;
  }
}

function isWhole(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

function usage(what: string, hint: string): PruneCompileError {
  return new PruneCompileError('E-USAGE', { what, facts: [['try', hint]] });
}
