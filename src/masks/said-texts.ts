/**
 * Texts and bytes that say which channels go: `0,3,5`, `[0, 3]`, `10110110`, `0xb6`, `TFTT`,
 * Base64, or `conv1: [0, 3]` amid other words.
 */
import type { KnownLayer } from './known-layers.js';

/** The text of a whole number. */
const COUNT = /^[-+]?\d{1,15}$/;
const FLAG = /^(true|false)$/i;
const PRINTABLE = /^[\t\n\r\x20-\x7e]*$/;

/** What numbers a text is made of; undefined where anything else is in it. */
export interface SaidNumbers {
  readonly numbers: readonly number[];
  /** Whether they are more than one number, as a version or a count is. */
  readonly isList: boolean;
  readonly isFlags: boolean;
}

export function numbersOfText(text: string): SaidNumbers | undefined {
  const isBracketed = /^\s*[[({].*[\])}]\s*$/s.test(text);
  const items = text.split(/[\s,;|[\](){}"']+/).filter((item) => item !== '');
  if (items.length === 0 || (items.length === 1 && !isBracketed && !COUNT.test(text) && !FLAG.test(text)))
    return undefined;
  if (items.every((item) => FLAG.test(item)))
    return { numbers: items.map((item) => Number(/^t/i.test(item))), isList: items.length > 1, isFlags: true };
  if (!items.every((item) => COUNT.test(item))) return undefined;
  return { numbers: items.map(Number), isList: isBracketed || items.length > 1, isFlags: false };
}

/**
 * Whether a text has one sign or one bit for each channel of a layer: in two signs, hexadecimal or
 * binary digits. `isSaid`: beside a word for pruning, where Base64 without any mark of it is meant.
 */
export function encodesChannels(text: string, layer: KnownLayer, isSaid: boolean): boolean {
  const isExtent = (count: number) => layer.extents.has(count);
  const isPadded = (count: number, unit: number) =>
    [...layer.extents].some((extent) => extent > 1 && Math.ceil(extent / unit) * unit === count);
  if (/^0[xb][\da-f]+$/i.test(text)) return true;
  if (text.length > 1 && isExtent(text.length) && isOfTwoSigns(text)) return true;
  if (/^[\da-f]+$/i.test(text) && /\d/.test(text) && text.length > 1 && isPadded(text.length * 4, 8)) return true;
  const [, plain] = /^([A-Za-z\d+/]{2,}={0,2})$/.exec(text) ?? [];
  if (plain === undefined || plain.length % 4 !== 0 || !/[A-Z]/.test(plain)) return false;
  if (!isSaid && !/[+/=]/.test(plain)) return false;
  const bytes = Buffer.from(plain, 'base64').length;
  return isExtent(bytes) || isPadded(bytes * 8, 8);
}

/** `1011`, `TFTT`, `x.xx`: no word is made of these. */
function isOfTwoSigns(text: string): boolean {
  const signs = [...new Set(text.toLowerCase())];
  if (signs.length > 2) return false;
  return signs.every((sign) => !/[a-z]/.test(sign)) || /^([tf]+|[yn]+|[x.\-_o ]+)$/i.test(text);
}

/** A word or two, as methods and states are called. */
export function isPlainWord(text: string): boolean {
  return PRINTABLE.test(text) && (text.trim() === '' || /^[A-Za-z]+\d?([_\-. /][A-Za-z]+\d?)*$/.test(text));
}

/** A name, and what is said of it in the same text. */
export interface Phrase {
  readonly name: string;
  readonly numbers: readonly number[];
  /** The digits, where they are one word: bits have as many as there are channels. */
  readonly digits: string;
}

const PHRASE =
  /(?<![\w.])([A-Za-z_][\w.]{0,200})["')\]]{0,3}\s{0,3}(?:[:=]|->)\s{0,3}["']?([[({]?)\s{0,3}(\d{1,64}(?:[\s,;|]{1,4}\d{1,9}){0,65536})(?![\w.])/g;

/** `conv1: [0, 3]`, `conv1=0,3`, `"conv1": "1011"`; one number alone is a count or a version. */
export function phrasesOf(text: string): Phrase[] {
  return [...text.matchAll(PHRASE)].flatMap(([, name = '', bracket = '', said = '']) => {
    const items = said.split(/[\s,;|]+/);
    const isBits = items.length === 1 && /^[01]{2,}$/.test(said);
    if (items.length === 1 && bracket === '' && !isBits) return [];
    return [{ name, numbers: items.map(Number), digits: isBits ? said : '' }];
  });
}
