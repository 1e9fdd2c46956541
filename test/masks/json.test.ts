/**
 * JSON: plain values, the places of mistakes, limits, damage. What the values mean is asked
 * elsewhere.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Entry } from '../../src/masks/contents.js';
import { parseJson } from '../../src/masks/formats/json-text.js';
import { readJsonMasks } from '../../src/masks/formats/json.js';
import { failureOf } from '../onnx/failure.js';
import { checkDamage } from '../support/mask-files.js';

const encode = (text: string) => new TextEncoder().encode(text);
const read = (text: string) => readJsonMasks(encode(text), 'm.json');
const refusal = (text: string) => {
  const { code, what, facts } = failureOf(() => read(text));
  return `${code} ${what}: ${facts[0] ?? ''}`;
};

/** An Entry as JSON.parse would have it. */
function plain(entry: Entry): unknown {
  if (Array.isArray(entry)) return (entry as readonly Entry[]).map(plain);
  if (entry instanceof Map)
    return Object.fromEntries([...(entry as ReadonlyMap<string, Entry>)].map(([name, inner]) => [name, plain(inner)]));
  return entry;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test('lists, objects, numbers and words; __proto__ is a name', () => {
  expect(read(' {"a": [[1, 0], [true]], "__proto__": {"b": null}, "c:\\"": "x"}\n')).toEqual(
    new Map<string, Entry>([
      ['a', [[1, 0], [true]]],
      ['__proto__', new Map([['b', null]])],
      ['c:"', 'x'],
    ]),
  );
  expect(read('[{"remove": [1]}]')).toEqual([new Map([['remove', [1]]])]);
  expect(read('\u{feff}7')).toBe(7);
});

test('all JSON is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(plain(read(text))).toEqual(JSON.parse(text));
    }),
    { numRuns: 300 },
  );
});

describe('mistakes', () => {
  test.each([
    ['{"a": [1, 0,, 1]}', `line 1, column 13: after '{"a": [1, 0,' comes ', 1]}'`],
    ['{\n  "a": [1],\n  // one\n}', `line 3, column 3: after '{ "a": [1],' comes '// one }'`],
    ['{"a": [1,]}', `line 1, column 10: after '{"a": [1,' comes ']}'`],
    ['{"a": 1} {', `line 1, column 10: after '{"a": 1}' comes '{'`],
    ['{"a": NaN}', `line 1, column 7: after '{"a":' comes 'NaN}'`],
    ['{"a": 01}', `line 1, column 7: after '{"a":' comes '01}'`],
    ["{'a': 1}", `line 1, column 2: after '{' comes ''a': 1}'`],
    ['{"a" 1}', `line 1, column 6: after '{"a"' comes '1}'`],
    ['["a\tb"]', `line 1, column 4: after '["a' comes 'b"]'`],
    ['["\\x"]', `line 1, column 3: after '["' comes '\\x"]'`],
    ['[1}', `line 1, column 3: after '[1' comes '}'`],
    ['x', `line 1, column 1: after its beginning comes 'x'`],
  ])('%s', (text, where) => {
    expect(refusal(text)).toBe(`E-MASK-FORMAT m.json is not valid JSON: where: ${where}`);
  });

  test.each(['', '  ', '{"a": [1, 0', '{"a', '[', '[1,', '{"a"', '{"a":'])('an early end: %s', (text) => {
    expect(refusal(text)).toMatch(/^E-MASK-DAMAGED .* the text ends in line 1, column \d+, after /);
  });

  test('a name twice, however deep, also inside of what is lost', () => {
    for (const text of [
      '{"a": 1, "a": 1}',
      '[{"a": {"b": 1, "b": 2}}]',
      '{"a": {"b": 1}, "a": 1}',
      '{"a":1,"\\u0061":2}',
    ])
      expect(refusal(text)).toContain(
        'E-MASK-DAMAGED m.json is damaged or incomplete: why: an object has a repeated name',
      );
    expect(() => read('{"a": {"b": ":"}, "c": {"b": "\\":"}}')).not.toThrow();
  });

  test('bytes that are no text', () => {
    expect(failureOf(() => readJsonMasks(Uint8Array.of(0x22, 0xff, 0x22), 'm')).facts[0]).toContain(
      'not text in UTF-8',
    );
  });

  test('any mistake is found where JSON.parse refuses, and without one there is a value', () => {
    const sign = fc.constantFrom(
      ...Array.from('[]{},:"01-.eE+ \n\\utrn'),
      'true',
      'null',
      '"a":',
      '"\\u00e9"',
      '[1,0]',
    );
    fc.assert(
      fc.property(fc.array(sign, { maxLength: 12 }), (signs) => {
        const text = signs.join('');
        const found = parseJson(encode(text), { depth: 50, parts: 50 });
        const isRefused = 'kind' in found && found.kind !== 'repeated';
        expect(isRefused, text).toBe(!isJson(text));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('limits', () => {
  test('depth and number of parts are counted before anything is made', () => {
    expect(refusal('['.repeat(1_000_000))).toMatch(/^E-MASK-LIMIT .*nested more than 32 deep/);
    expect(refusal(`[${'[],'.repeat(2 ** 22)}[]]`)).toMatch(/^E-MASK-LIMIT .*more than 4194304 lists/);
  });

  test('signs inside of strings do not count', () => {
    expect(read(`["${'['.repeat(100)}", "\\"[[["]`)).toEqual(['['.repeat(100), '"[[[']);
  });

  test('the file', () => {
    expect(failureOf(() => readJsonMasks(new Uint8Array(2 ** 27 + 1), 'm')).code).toBe('E-MASK-LIMIT');
  });

  test('a long text with its mistake at the end', () => {
    expect(refusal(`["${'a\\n'.repeat(500_000)}",${' '.repeat(500_000)}${'9'.repeat(500_000)},]`)).toContain(
      "comes ']'",
    );
  });
});

test('damage', () => {
  const text = '{"format": "x", "masks": {"a.b": [[1, 0], [0, 1]], "é": {"shape": [2], "remove": []}}, "n": -1.5e3}';
  checkDamage(encode(text), (bytes) => readJsonMasks(bytes, 'm'));
});
