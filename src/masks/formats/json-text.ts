/**
 * JSON text (RFC 8259) as an Entry. JSON.parse reads it; around it are the limits that it lacks
 * (depth, number of values), names that cannot be mistaken for anything else (a Map), names said
 * twice, and the place of a mistake.
 */
import type { Entry } from '../contents.js';

export interface JsonLimits {
  readonly depth: number;
  /** Arrays, objects and strings together: what costs memory apart from its text. */
  readonly parts: number;
}

export type JsonFault =
  | { readonly kind: 'limit'; readonly why: string }
  | { readonly kind: 'incomplete'; readonly why: string }
  | { readonly kind: 'syntax'; readonly why: string }
  | { readonly kind: 'repeated'; readonly why: string };

interface Counts {
  readonly fault: JsonFault | undefined;
  /** Names with their values, in all objects together. */
  readonly pairs: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);

/** The value, or what is wrong with the text. */
export function parseJson(bytes: Uint8Array, limits: JsonLimits): { readonly value: Entry } | JsonFault {
  const { fault, pairs } = count(bytes, limits);
  if (fault !== undefined) return fault;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { kind: 'syntax', why: 'it is not text in UTF-8' };
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return locateMistake(text);
  }
  const names = { count: 0 };
  const value = toEntry(parsed, names);
  // JSON.parse keeps the last of several values of one name: names are missing then.
  if (names.count !== pairs) return { kind: 'repeated', why: 'an object has a repeated name' };
  return { value };
}

/**
 * Before anything is allocated. Outside of strings all signs of JSON are single bytes of UTF-8, and
 * none occurs in others.
 */
function count(bytes: Uint8Array, limits: JsonLimits): Counts {
  let depth = 0;
  let parts = 0;
  let pairs = 0;
  let isInString = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (isInString) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) isInString = false;
      continue;
    }
    if (byte === COLON) pairs++;
    else if (CLOSING.has(byte)) depth--;
    else if (byte === QUOTE || OPENING.has(byte)) {
      parts++;
      if (byte === QUOTE) isInString = true;
      else depth++;
      if (depth > limits.depth)
        return { fault: { kind: 'limit', why: `its lists are nested more than ${limits.depth} deep` }, pairs };
      if (parts > limits.parts)
        return { fault: { kind: 'limit', why: `it has more than ${limits.parts} lists, objects and strings` }, pairs };
    }
  }
  return { fault: undefined, pairs };
}

/**
 * Arrays are filled in place: of a large mask there is one copy. Recursion is as deep as the limits
 * allowed.
 */
function toEntry(value: unknown, names: { count: number }): Entry {
  if (Array.isArray(value)) {
    const list = value as unknown[];
    for (const [index, element] of list.entries()) {
      if (typeof element === 'object' && element !== null) list[index] = toEntry(element, names);
    }
    return list as Entry[];
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    names.count += entries.length;
    return new Map(entries.map(([name, inner]) => [name, toEntry(inner, names)]));
  }
  return value as Entry;
}

/**
 * Where the text stops being JSON. Only called for texts that JSON.parse refused, whose messages
 * differ between versions.
 */
function locateMistake(text: string): JsonFault {
  const at = firstMistake(text);
  const before = text.slice(0, at);
  const line = before.split('\n').length;
  const column = at - before.lastIndexOf('\n');
  const context = shown(before.slice(-EXCERPT));
  if (text.slice(at).trim() === '')
    return { kind: 'incomplete', why: `the text ends in line ${line}, column ${column}, after ${context}` };
  const rest = shown(text.slice(at, at + EXCERPT));
  return { kind: 'syntax', why: `line ${line}, column ${column}: after ${context} comes ${rest}` };
}

/** Enough to find the place with, and short enough for one line of a terminal. */
const EXCERPT = 24;

function shown(text: string): string {
  const plain = text.replaceAll(/[\p{Cc}\p{Cs}\s]+/gu, ' ').trim();
  return plain === '' ? 'its beginning' : `'${plain}'`;
}

const SPACE = /[ \t\n\r]*/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])|(?:true|false|null)(?!\w)/y;
// oxlint-disable-next-line no-control-regex -- RFC 8259 bars them from strings
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

type Wanted = 'value' | 'value or ]' | 'name' | 'name or }' | ':' | ', or end' | 'nothing';

function firstMistake(text: string): number {
  const open: string[] = [];
  let wanted: Wanted = 'value';
  for (let at = skip(SPACE, text, 0); ; at = skip(SPACE, text, at)) {
    const start = at;
    const sign = text[at] ?? '';
    const isString = sign === '"';
    if (isString) at = stringEnd(text, at + 1);
    else if ('{}[],:'.includes(sign)) at += sign.length;
    else at = skip(SCALAR, text, at);
    const isWhole = at > start && (!isString || text[at - 1] === '"');
    // A string stops being one somewhere inside, anything else where it begins.
    if (!isWhole) return isString ? at : start;
    const next = follow(sign, wanted, open);
    if (next === undefined) return start;
    wanted = next;
  }
}

function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return at + (pattern.exec(text)?.[0].length ?? 0);
}

/** Behind the closing quote, or where something stands that no string may hold. */
function stringEnd(text: string, from: number): number {
  let at = from;
  for (;;) {
    at = skip(PLAIN, text, at);
    const after = skip(ESCAPE, text, at);
    if (after === at) return text[at] === '"' ? at + 1 : at;
    at = after;
  }
}

/**
 * What may come after a sign (of a string or scalar, its first), given what was wanted; undefined
 * if not this.
 */
function follow(sign: string, wanted: Wanted, open: string[]): Wanted | undefined {
  const close = (): Wanted => {
    open.pop();
    return open.length === 0 ? 'nothing' : ', or end';
  };
  switch (wanted) {
    case 'value':
    case 'value or ]':
      if (sign === ']') return wanted === 'value or ]' ? close() : undefined;
      if ('},:'.includes(sign)) return undefined;
      if (sign !== '[' && sign !== '{') return open.length === 0 ? 'nothing' : ', or end';
      open.push(sign);
      return sign === '[' ? 'value or ]' : 'name or }';
    case 'name':
    case 'name or }':
      if (sign === '}') return wanted === 'name or }' ? close() : undefined;
      return sign === '"' ? ':' : undefined;
    case ':':
      return sign === ':' ? 'value' : undefined;
    case ', or end':
      if (sign === ',') return open.at(-1) === '{' ? 'name' : 'value';
      return sign === (open.at(-1) === '{' ? '}' : ']') ? close() : undefined;
    case 'nothing':
      return undefined;
  }
}
