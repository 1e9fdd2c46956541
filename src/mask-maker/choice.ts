/** What masks are asked for: plain options, checked before any model is read. */
import { PruneCompileError } from '../errors.js';

export interface MakeMasksOptions {
  /**
   * filter, channel, kernel, unstructured; 4x1: blocks of the matrix; 2:4: of every four input
   * channels two stay.
   */
  granularity?: string;
  /** What is small goes. Default l1. */
  criterion?: Criterion;
  /** Share of the units that goes, above 0 and below 1. Default 0.5; N:M says it itself. */
  ratio?: number;
  /** layer: that share of each layer; global: of all layers together. Default layer. */
  scope?: 'layer' | 'global';
  /**
   * residual: channels that can only go together (residual adds, depthwise followers) are masked
   * together.
   */
  groups?: 'none' | 'residual';
  /** Kept filters or channels are rounded up to a multiple of it. */
  widthMultiple?: number;
  /** Layers to leave alone: names of nodes, initializers or modules; * and ? stand for anything. */
  exclude?: readonly string[];
  /** For the criterion random. Default 1. */
  seed?: number;
  /**
   * What the masks will mean to the compiler: zero (default), or drop, a filter goes with bias and
   * normalisation shift.
   */
  meaning?: 'zero' | 'drop';
  signal?: AbortSignal;
}

export const CRITERIA = ['l1', 'l2', 'random', 'fpgm', 'bn-scale'] as const;
export type Criterion = (typeof CRITERIA)[number];

export type Granularity =
  | { readonly kind: 'filter' | 'channel' | 'kernel' | 'unstructured' }
  | { readonly kind: 'block'; readonly rows: number; readonly columns: number }
  | { readonly kind: 'pattern'; readonly keep: number; readonly of: number };

export interface Choice {
  readonly granularity: Granularity;
  /** As it was given. */
  readonly granularityName: string;
  readonly criterion: Criterion;
  readonly ratio: number;
  readonly scope: 'layer' | 'global';
  readonly groups: 'none' | 'residual';
  readonly widthMultiple: number;
  readonly exclude: readonly string[];
  readonly seed: number;
  readonly meaning: 'zero' | 'drop';
}

const WHOLE = ['filter', 'channel', 'kernel', 'unstructured'] as const;
/** Groups of more input channels than any layer has would mean nothing; the digits alone could. */
const MOST_DIGITS = 4;

/** Undefined when the text is none. */
export function parseGranularity(text: string): Granularity | undefined {
  const whole = WHOLE.find((kind) => kind === text);
  if (whole !== undefined) return { kind: whole };
  const [, separator, first = '', second = ''] =
    new RegExp(`^(?:block )?(?=\\d+([x:]))(\\d{1,${MOST_DIGITS}})[x:](\\d{1,${MOST_DIGITS}})$`).exec(text) ?? [];
  const [one, other] = [Number(first), Number(second)];
  if (separator === 'x' && one > 0 && other > 0) return { kind: 'block', rows: one, columns: other };
  if (separator === ':' && one > 0 && other > one) return { kind: 'pattern', keep: one, of: other };
  return undefined;
}

/** Throws E-USAGE for options that are unknown or contradict each other. */
export function checkChoice(options: MakeMasksOptions): Choice {
  const {
    granularity: name = 'filter',
    criterion = 'l1',
    scope = 'layer',
    groups = 'none',
    seed = 1,
    meaning = 'zero',
  } = options;
  const granularity = parseGranularity(name);
  if (granularity === undefined)
    throw usage(
      `there is no granularity "${name}"`,
      `${WHOLE.join(', ')}, 4x1 (blocks of rows x columns) or 2:4 (N:M)`,
    );
  const { kind } = granularity;
  const isWhole = kind === 'filter' || kind === 'channel';
  const ratio = options.ratio ?? (granularity.kind === 'pattern' ? 1 - granularity.keep / granularity.of : 0.5);
  if (!(ratio > 0 && ratio < 1)) throw usage(`the ratio cannot be ${ratio}`, 'a number above 0 and below 1: 0.5');
  if (!CRITERIA.includes(criterion)) throw usage(`there is no criterion "${criterion}"`, CRITERIA.join(', '));
  if ((criterion === 'fpgm' || criterion === 'bn-scale') && kind !== 'filter')
    throw usage(
      `the criterion ${criterion} scores filters and cannot be used with ${name}`,
      'l1, l2 or random, or --granularity filter',
    );
  if (kind === 'pattern' && options.ratio !== undefined)
    throw usage(`${name} determines the ratio itself`, `${name} without --ratio`);
  if (kind === 'pattern' && scope === 'global')
    throw usage(`${name} is the same in every layer: it has no global scope`, `${name} without --scope`);
  if (groups === 'residual' && !isWhole)
    throw usage(`--groups residual applies to filters or channels, not to ${name}`, '--granularity filter');
  const { widthMultiple = 1, exclude = [] } = options;
  if (!Number.isSafeInteger(widthMultiple) || widthMultiple < 1)
    throw usage(`the width multiple cannot be ${widthMultiple}`, 'a whole number of at least 1: 16');
  if (widthMultiple > 1 && !isWhole)
    throw usage(`--width-multiple applies to filters or channels, not to ${name}`, '--granularity filter');
  if (!Number.isSafeInteger(seed)) throw usage(`the seed cannot be ${seed}`, 'a whole number: 1');
  return { granularity, granularityName: name, criterion, ratio, scope, groups, widthMultiple, exclude, seed, meaning };
}

function usage(what: string, hint: string): PruneCompileError {
  return new PruneCompileError('E-USAGE', { what, facts: [['try', hint]] });
}
