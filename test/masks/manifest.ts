/**
 * The mask files of fixtures/real with what is in each, as the frameworks that wrote them read
 * them.
 */
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { type Entry, FileTensor } from '../../src/masks/contents.js';
import { BFLOAT16, BOOL, DOUBLE, FLOAT, FLOAT16, INT16, INT32, INT64, INT8, UINT8 } from '../../src/ir/tensor.js';
import { REAL_FILES } from '../support/real-models.js';

export interface Expected {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly zeros: number;
  /** CRC-32 of one byte per element, row-major: whether it is not zero. */
  readonly crc32: number;
}

export interface Listed {
  readonly file: string;
  readonly format: string;
  readonly expect: string;
  readonly tensors: Readonly<Record<string, Expected>>;
}

const FOLDER = `${REAL_FILES}/masks/files`;

export function manifest(format: RegExp): readonly Listed[] {
  return readFileSync(`${FOLDER}/manifest.jsonl`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Listed)
    .filter((listed) => format.test(listed.format));
}

export function pathOf({ file }: Pick<Listed, 'file'>): string {
  return `${FOLDER}/${file}`;
}

const DTYPE_NAMES: Readonly<Record<number, string>> = {
  [FLOAT]: 'float32',
  [DOUBLE]: 'float64',
  [FLOAT16]: 'float16',
  [BFLOAT16]: 'bfloat16',
  [INT64]: 'int64',
  [INT32]: 'int32',
  [INT16]: 'int16',
  [INT8]: 'int8',
  [UINT8]: 'uint8',
  [BOOL]: 'bool',
};

export function factsOf(tensor: FileTensor): Expected {
  const values = tensor.toTensor().numbers();
  const nonzero = Uint8Array.from(values, (value) => (value === 0 ? 0 : 1));
  return {
    dtype: DTYPE_NAMES[tensor.dataType] ?? `type ${tensor.dataType}`,
    shape: tensor.dims,
    zeros: nonzero.filter((bit) => bit === 0).length,
    crc32: crc32(nonzero),
  };
}

/** All tensors, by their path of keys joined with a slash. */
export function tensorsIn(entry: Entry, path = ''): Map<string, FileTensor> {
  if (entry instanceof FileTensor) return new Map([[path, entry]]);
  if (typeof entry !== 'object' || entry === null || entry instanceof Uint8Array) return new Map();
  const items: readonly (readonly [string, Entry])[] = isMap(entry)
    ? [...entry]
    : entry.map((item, index) => [String(index), item] as const);
  return new Map(items.flatMap(([key, item]) => [...tensorsIn(item, path === '' ? key : `${path}/${key}`)]));
}

function isMap(entry: readonly Entry[] | ReadonlyMap<string, Entry>): entry is ReadonlyMap<string, Entry> {
  return entry instanceof Map;
}
