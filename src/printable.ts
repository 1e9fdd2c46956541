/**
 * Text from outside as it may be shown: names of a model, keys of mask files and paths may hold
 * anything, also what moves a terminal's cursor, turns the direction of writing or is not seen at
 * all. Renderers and the error printer escape all of it when they begin, so that nobody before them
 * has to think of it; reports and errors themselves hold the names as they are.
 */
import { byName } from './names.js';

/**
 * Control characters (C0, DEL, C1), format characters (bidi overrides, zero widths), line
 * separators and lone surrogates.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const UNSEEN_IN_LINES = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
/** JSON escapes C0 and lone surrogates itself. */
const UNSEEN_IN_JSON = /[\u007F-\u009F\p{Cf}\p{Zl}\p{Zp}]/gu;

const SHORT: ReadonlyMap<string, string> = new Map([
  ['\n', String.raw`\n`],
  ['\r', String.raw`\r`],
  ['\t', String.raw`\t`],
]);

/**
 * One line: `\x1b` for ESC, `\n` for a line break, `\u202e` for what turns the direction of
 * writing.
 */
export function printable(text: string): string {
  return text.replace(UNSEEN, escaped);
}

/** The same, with line breaks left as they are: for what is indented line by line. */
export function printableLines(text: string): string {
  return text.replace(UNSEEN_IN_LINES, escaped);
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const short = SHORT.get(character);
  if (short !== undefined) return short;
  const digits = code.toString(16);
  if (code <= 0xff) return `\\x${digits.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${digits.padStart(4, '0')}` : `\\u{${digits}}`;
}

/** A copy of plain data in which every text, names of fields included, is printable. */
export function shown<Data>(data: Data): Data {
  return shownValue(data) as Data;
}

function shownValue(value: unknown): unknown {
  if (typeof value === 'string') return printable(value);
  if (Array.isArray(value)) return value.map(shownValue);
  if (typeof value !== 'object' || value === null) return value;
  return byName(Object.entries(value).map(([name, entry]) => [printable(name), shownValue(entry)] as const));
}

/** JSON that says the same and holds nothing unseen but its own line breaks. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(UNSEEN_IN_JSON, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}
