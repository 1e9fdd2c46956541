/**
 * Texts of options -> values. Every reader names the place that the text came from: a flag, a
 * variable, a config key.
 */
import { type ErrorCode, PruneCompileError } from '../errors.js';
import { REPORT_EXTENSIONS, rendererFor } from '../report/render.js';
import { byName } from '../names.js';
import { type Provider, PROVIDERS } from '../runtime/providers.js';

const UNITS: ReadonlyMap<string, number> = new Map(
  Object.entries({
    '': 1,
    b: 1,
    k: 1e3,
    kb: 1e3,
    m: 1e6,
    mb: 1e6,
    g: 1e9,
    gb: 1e9,
    kib: 2 ** 10,
    mib: 2 ** 20,
    gib: 2 ** 30,
  }),
);

export type Reader<T> = (texts: readonly string[], source: string) => T;

function wants(
  source: string,
  wanted: string,
  got: string,
  example: string,
  code: ErrorCode = 'E-USAGE',
): PruneCompileError {
  return new PruneCompileError(code, {
    what: `${source} takes ${wanted}, not ${got === '' ? 'nothing' : `"${got}"`}`,
    facts: [['for example', example]],
  });
}

/** The last of several: a later flag overrides an earlier one, as in most commands. */
function last(texts: readonly string[]): string {
  return texts.at(-1) ?? '';
}

export function text(wanted: string, example: string): Reader<string> {
  return (texts, source) => {
    const value = last(texts);
    if (value === '') throw wants(source, wanted, value, example);
    return value;
  };
}

/** One path per text; empty ones are mistakes. */
export function files(wanted: string, example: string): Reader<readonly string[]> {
  return (texts, source) => {
    for (const value of texts) if (value === '') throw wants(source, wanted, value, example);
    return texts;
  };
}

export function wholeNumber(least: number, example: string): Reader<number> {
  return (texts, source) => {
    const value = /^\d+$/.test(last(texts)) ? Number(last(texts)) : Number.NaN;
    if (!Number.isSafeInteger(value) || value < least)
      throw wants(source, `a whole number of at least ${least}`, last(texts), example);
    return value;
  };
}

export function positiveNumber(example: string): Reader<number> {
  return (texts, source) => {
    const value = /^\d*\.?\d+x?$/.test(last(texts)) ? Number.parseFloat(last(texts)) : Number.NaN;
    if (!(value > 0)) throw wants(source, 'a number above 0', last(texts), example);
    return value;
  };
}

/** 0.485,0.456,0.406 */
export function numbers(example: string): Reader<readonly number[]> {
  return (texts, source) =>
    parts(texts).map((part) => {
      if (/^-?\d*\.?\d+$/.test(part)) return Number(part);
      throw wants(source, 'numbers', part, example);
    });
}

export function positiveNumbers(example: string): Reader<readonly number[]> {
  return (texts, source) => {
    const found = numbers(example)(texts, source);
    if (found.some((number) => number <= 0)) throw wants(source, 'numbers above 0', texts.join(' '), example);
    return found;
  };
}

export function percentage(example: string): Reader<number> {
  return (texts, source) => {
    const value = /^\d*\.?\d+\s*%?$/.test(last(texts)) ? Number.parseFloat(last(texts)) : Number.NaN;
    if (!(value >= 0 && value <= 100)) throw wants(source, 'a percentage from 0 to 100', last(texts), example);
    return value;
  };
}

/** 0.5 or 50% */
export function share(example: string): Reader<number> {
  return (texts, source) => {
    const [, number = '', percent] = /^(\d*\.?\d+)\s*(%?)$/.exec(last(texts)) ?? [];
    const value = Number.parseFloat(number) / (percent === '%' ? 100 : 1);
    if (!(value > 0 && value < 1)) throw wants(source, 'a number above 0 and below 1', last(texts), example);
    return value;
  };
}

/** 0.5,70% */
export function shares(example: string): Reader<readonly number[]> {
  return (texts, source) => parts(texts).map((part) => share(example)([part], source));
}

export function someOf<T extends string>(allowed: readonly T[]): Reader<readonly T[]> {
  return (texts, source) => [...new Set(parts(texts).map((part) => choose(part, allowed, source)))];
}

const MILLISECONDS: ReadonlyMap<string, number> = new Map([
  ['', 1e3],
  ['s', 1e3],
  ['m', 6e4],
  ['h', 3.6e6],
]);

/** 90, 90s, 10m, 1.5h; in milliseconds. */
export function duration(example: string): Reader<number> {
  return (texts, source) => {
    const [, number = '', unit = ''] = /^(\d*\.?\d+)\s*([smh]?)$/.exec(last(texts)) ?? [];
    const value = Number(number) * (MILLISECONDS.get(unit) ?? Number.NaN);
    if (number === '' || !(value > 0)) throw wants(source, 'a time in seconds, minutes or hours', last(texts), example);
    return value;
  };
}

/** 2/8: the second of eight parts. */
export function partOf(example: string): Reader<{ readonly index: number; readonly count: number }> {
  return (texts, source) => {
    const [, first = '', second = ''] = /^([1-9]\d{0,5})\/([1-9]\d{0,5})$/.exec(last(texts)) ?? [];
    const [index, count] = [Number(first), Number(second)];
    if (first === '' || index > count)
      throw wants(source, 'a part and their number, from 1/N to N/N', last(texts), example);
    return { index, count };
  };
}

/** 45000000, 45MB, 43 MiB */
export function bytes(example: string): Reader<number> {
  return (texts, source) => {
    const [, number = '', unit = ''] = /^(\d*\.?\d+)\s*([a-z]*)$/i.exec(last(texts)) ?? [];
    const size = UNITS.get(unit.toLowerCase());
    if (number === '' || size === undefined) throw wants(source, 'a size in bytes, kB, MB or GB', last(texts), example);
    return Math.round(Number(number) * size);
  };
}

export function oneOf<T extends string>(allowed: readonly T[]): Reader<T> {
  return (texts, source) => choose(last(texts), allowed, source);
}

function choose<T extends string>(given: string, allowed: readonly T[], source: string): T {
  const found = allowed.find((name) => name === given);
  if (found === undefined)
    throw wants(source, `one of ${allowed.join(', ')}`, given, `--${source.replace(/^--/, '')} ${allowed[0]}`);
  return found;
}

export function align(example: string): Reader<number | 'auto'> {
  return (texts, source) => {
    if (last(texts) === 'auto') return 'auto';
    if (!/^[1-9]\d{0,5}$/.test(last(texts)))
      throw wants(source, 'a whole number of at least 1, or auto', last(texts), example);
    return Number(last(texts));
  };
}

function parts(texts: readonly string[]): string[] {
  return texts.flatMap((entry) => entry.split(',')).map((name) => name.trim());
}

/** Comma-separated, and the option may be repeated. */
export function list(wanted: string, example: string): Reader<readonly string[]> {
  return (texts, source) => {
    const names = parts(texts);
    if (names.length === 0 || names.includes('')) throw wants(source, wanted, texts.join(' '), example);
    return [...new Set(names)];
  };
}

export const providers: Reader<readonly Provider[]> = (texts, source) =>
  list('execution providers', '--providers cpu,webgpu')(texts, source).map((name) => choose(name, PROVIDERS, source));

/** use_tf32=0; a later one of the same name counts. */
export const pairs: Reader<ReadonlyMap<string, string>> = (texts, source) =>
  new Map(
    texts.map((entry): [string, string] => {
      const [, key = '', value = ''] = /^([a-z]\w*)=(\S+)$/.exec(entry.trim()) ?? [];
      if (key === '') throw wants(source, 'the name of an option and its value', entry, '--provider-option use_tf32=0');
      return [key, value];
    }),
  );

export const reportFiles: Reader<readonly string[]> = (texts, source) => {
  for (const path of texts) {
    if (path === '' || rendererFor(path) === undefined)
      throw wants(source, `a file that ends in ${REPORT_EXTENSIONS.join(', ')}`, path, '--report report.html');
  }
  return [...new Set(texts)];
};

/** input=1,3,224,224 (or 1x3x224x224); names of inputs may contain `=`. */
export const shapes: Reader<Readonly<Record<string, readonly number[]>>> = (texts, source) =>
  byName(
    texts.map((entry): [string, readonly number[]] => {
      const at = entry.lastIndexOf('=');
      const extents = entry.slice(at + 1).split(/[,x]/);
      if (at < 1 || !extents.every((extent) => /^[1-9]\d{0,9}$/.test(extent.trim())))
        throw wants(source, 'the name of an input and its extents', entry, '--shape input=1,3,224,224', 'E-SHAPE');
      return [entry.slice(0, at), extents.map(Number)];
    }),
  );
