/**
 * Arithmetic with extents, of which some are symbols: products, quotients, broadcasting. Equal
 * results are equal extents in every run that the model survives; undefined: not known.
 */
import type { Extent } from './site.js';

/** A whole number times symbols, sorted; a symbol may occur twice. */
interface Monomial {
  readonly factor: number;
  readonly symbols: readonly string[];
}

const PRODUCT = 'times';
const MINIMUM = 'at most';

/** The smaller of an extent that only the run knows and a number. */
export function minimum(extent: string, most: number): string {
  return JSON.stringify([MINIMUM, extent, most]);
}

/** The extent of a product of axes: of what a Reshape merges. */
export function productOf(extents: readonly Extent[]): Extent {
  const parts = extents.map(monomialOf);
  const factor = parts.reduce((total, part) => total * part.factor, 1);
  return extentOf({ factor, symbols: parts.flatMap(({ symbols }) => symbols).toSorted() });
}

/** Undefined where the division leaves a rest, or a symbol below the line. */
export function quotientOf(whole: Extent, part: Extent): Extent | undefined {
  const [above, below] = [monomialOf(whole), monomialOf(part)];
  const factor = above.factor / below.factor;
  const symbols = [...above.symbols];
  for (const symbol of below.symbols) {
    const at = symbols.indexOf(symbol);
    if (at < 0) return undefined;
    symbols.splice(at, 1);
  }
  return Number.isInteger(factor) ? extentOf({ factor, symbols }) : undefined;
}

/** Of two axes that are aligned by broadcasting. */
export function broadcastOf(a: Extent | undefined, b: Extent | undefined): Extent | undefined {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  // The other one is 1, or the same; a number decides also where nothing is known of the other.
  if (typeof a === 'number') return a;
  if (typeof b === 'number') return b;
  if (a === undefined || b === undefined) return undefined;
  return isBelow(a, b) ? b : isBelow(b, a) ? a : undefined;
}

/**
 * Whether `small` is the smaller of `large` and a number above 1: broadcasting the two gives
 * `large`. Where they differ, `small` is that number, and neither of them is 1: nothing runs.
 */
function isBelow(small: string, large: string): boolean {
  const parts = partsOf(small);
  return parts?.[0] === MINIMUM && parts[1] === large && Number(parts[2]) > 1;
}

function monomialOf(extent: Extent): Monomial {
  if (typeof extent === 'number') return { factor: extent, symbols: [] };
  const [kind, factor, ...symbols] = partsOf(extent) ?? [];
  return kind === PRODUCT && typeof factor === 'number' && symbols.length > 0
    ? { factor, symbols: symbols.map(String) }
    : { factor: 1, symbols: [extent] };
}

function extentOf({ factor, symbols }: Monomial): Extent {
  if (factor === 0 || symbols.length === 0) return factor;
  const [only, ...others] = symbols;
  return factor === 1 && others.length === 0 && only !== undefined
    ? only
    : JSON.stringify([PRODUCT, factor, ...symbols]);
}

/** The parts of a symbol that is made here; those of other symbols are not three. */
function partsOf(extent: string): readonly unknown[] | undefined {
  if (!extent.startsWith('[')) return undefined;
  const parts: unknown = JSON.parse(extent);
  return Array.isArray(parts) && parts.length > 2 ? parts : undefined;
}
