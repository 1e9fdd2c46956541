/**
 * The literals that Python prints for a dict of strings, numbers, True, False, None, tuples, lists
 * and dicts: what the header of an npy file is. Nothing is evaluated.
 */

export interface Tuple {
  readonly tuple: readonly Literal[];
}
export type Literal = string | number | boolean | null | Tuple | readonly Literal[] | ReadonlyMap<Literal, Literal>;

/**
 * Types of arrays may be nested records; nothing else nests, and records are refused whatever is in
 * them.
 */
const MOST_DEPTH = 16;

// Python 2 wrote long integers with an L.
const TOKEN =
  /[ \n]*(?:([{}()[\],:])|('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")|(-?\d+)L?(?!\w)|(True|False|None)(?!\w))/y;

const NAMED: ReadonlyMap<string, boolean | null> = new Map([
  ['True', true],
  ['False', false],
  ['None', null],
]);

interface Token {
  readonly sign?: string;
  readonly value?: string | number | boolean | null;
}

/** Undefined when the text is anything else. */
export function parseLiteral(text: string): Literal | undefined {
  const tokens = tokenize(text);
  if (tokens === undefined) return undefined;
  const reader = new LiteralReader(tokens);
  const value = reader.value(0);
  return reader.isAtEnd() ? value : undefined;
}

function tokenize(text: string): Token[] | undefined {
  const end = text.trimEnd().length;
  const tokens: Token[] = [];
  for (let at = 0; at < end; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    if (found === null) return undefined;
    const [, sign, quoted, digits, name = ''] = found;
    if (sign !== undefined) tokens.push({ sign });
    else if (quoted !== undefined) tokens.push({ value: quoted.slice(1, -1).replaceAll(/\\(.)/g, '$1') });
    else tokens.push({ value: digits === undefined ? (NAMED.get(name) ?? null) : Number(digits) });
  }
  return tokens;
}

class LiteralReader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  isAtEnd(): boolean {
    return this.#at === this.#tokens.length;
  }

  value(depth: number): Literal | undefined {
    const token = this.#tokens[this.#at++];
    if (token === undefined || depth > MOST_DEPTH) return undefined;
    switch (token.sign) {
      case undefined:
        return token.value;
      case '(':
        return this.#tuple(depth);
      case '[':
        return this.#items(']', depth)?.items;
      case '{':
        return this.#dict(depth);
      default:
        return undefined;
    }
  }

  /** (1) is the number 1; (1,) and () are tuples. */
  #tuple(depth: number): Literal | undefined {
    const found = this.#items(')', depth);
    if (found === undefined) return undefined;
    return found.items.length === 1 && !found.endsInComma ? found.items[0] : { tuple: found.items };
  }

  #items(closing: string, depth: number): { items: Literal[]; endsInComma: boolean } | undefined {
    const items: Literal[] = [];
    let endsInComma = false;
    while (!this.#take(closing)) {
      if (items.length > 0 && !endsInComma) return undefined;
      const item = this.value(depth + 1);
      if (item === undefined) return undefined;
      items.push(item);
      endsInComma = this.#take(',');
    }
    return { items, endsInComma };
  }

  #dict(depth: number): Literal | undefined {
    const entries = new Map<Literal, Literal>();
    let isSeparated = true;
    while (!this.#take('}')) {
      if (!isSeparated) return undefined;
      const key = this.value(depth + 1);
      const value = this.#take(':') ? this.value(depth + 1) : undefined;
      if (key === undefined || value === undefined || entries.has(key)) return undefined;
      entries.set(key, value);
      isSeparated = this.#take(',');
    }
    return entries;
  }

  #take(sign: string): boolean {
    if (this.#tokens[this.#at]?.sign !== sign) return false;
    this.#at++;
    return true;
  }
}
