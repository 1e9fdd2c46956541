/**
 * Masks as JSON, read as plain lists, objects and numbers, whatever they mean; and written, as the
 * indices that were removed where whole filters or channels were, else as lengths of runs.
 */
import { PruneCompileError } from '../../errors.js';
import type { Entry } from '../contents.js';
import { parseJson } from './json-text.js';
import { checkMasks, type NamedMask } from './named-mask.js';
import { damaged, overLimit } from './refuse.js';

/** 64 million elements as '0,' and '1,'; JSON.parse makes 8 bytes of each, 512 MiB in all. */
const MOST_BYTES = 2 ** 27;
/** Convolutions over volumes have 5 axes; the rest is for objects around them. */
const MOST_DEPTH = 32;
/** At up to 200 bytes each, 800 MiB: half of what Node has where the machine is small. */
const MOST_PARTS = 2 ** 22;

export function readJsonMasks(bytes: Uint8Array, path: string): Entry {
  if (bytes.length > MOST_BYTES)
    throw overLimit(path, `it has ${bytes.length} bytes; JSON is read up to ${MOST_BYTES}, npz and safetensors beyond`);
  const parsed = parseJson(bytes, { depth: MOST_DEPTH, parts: MOST_PARTS });
  if ('value' in parsed) return parsed.value;
  switch (parsed.kind) {
    case 'limit':
      throw overLimit(path, parsed.why);
    case 'incomplete':
    case 'repeated':
      throw damaged(path, parsed.why);
    case 'syntax':
      throw new PruneCompileError('E-MASK-FORMAT', {
        what: `${path} is not valid JSON`,
        facts: [
          ['where', parsed.why],
          ['try', 'correct that place, or write the file with a JSON library: JSON has no comments and no last commas'],
        ],
      });
  }
}

/** One line per mask, so that two files can be compared by eye. */
export function writeJsonMasks(masks: readonly NamedMask[]): Uint8Array {
  checkMasks(masks);
  // Not an object with names for keys: it would put numbers first and lose __proto__.
  const lines = masks.map((mask) => `    ${JSON.stringify(mask.name)}: ${shortest(mask)}`);
  const body = lines.length === 0 ? '{}' : `{\n${lines.join(',\n')}\n  }`;
  return new TextEncoder().encode(`{\n  "format": "prune-compile masks",\n  "version": 1,\n  "masks": ${body}\n}\n`);
}

/**
 * Of the forms that say exactly this mask, the one of the fewest numbers; filters, where others are
 * as short.
 */
function shortest({ dims, keep }: NamedMask): string {
  const [filters, channels] = [removedOn(0, dims, keep), removedOn(1, dims, keep)];
  const forms = [
    ...(filters === undefined ? [] : [{ shape: dims, remove: filters }]),
    ...(channels === undefined ? [] : [{ shape: dims, axis: 1, remove: channels }]),
    { shape: dims, runs: runs(keep) },
  ];
  const numbers = (form: { remove?: number[]; runs?: number[] }) => (form.remove ?? form.runs ?? []).length;
  return JSON.stringify(forms.toSorted((a, b) => numbers(a) - numbers(b))[0]);
}

/**
 * Indices on `axis` of which nothing is kept; undefined when there is no such axis or an index is
 * kept in part.
 */
function removedOn(axis: number, dims: readonly number[], keep: Uint8Array): number[] | undefined {
  const extent = dims[axis];
  if (extent === undefined) return undefined;
  if (keep.length === 0) return [];
  const inner = dims.slice(axis + 1).reduce((total, dim) => total * dim, 1);
  const kept: (boolean | undefined)[] = Array.from({ length: extent }, () => undefined);
  for (const [element, value] of keep.entries()) {
    const index = Math.floor(element / inner) % extent;
    if (kept[index] !== undefined && kept[index] !== (value !== 0)) return undefined;
    kept[index] = value !== 0;
  }
  return kept.flatMap((isKept, index) => (isKept === false ? [index] : []));
}

/** How many are kept, how many then are not, and so on; the first may be 0. */
function runs(keep: Uint8Array): number[] {
  const lengths = [0];
  let isKept = true;
  for (const value of keep) {
    if ((value !== 0) !== isKept) {
      isKept = !isKept;
      lengths.push(0);
    }
    lengths.push((lengths.pop() ?? 0) + 1);
  }
  return lengths;
}
