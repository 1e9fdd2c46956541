/**
 * Names of models and files never index plain objects: `constructor` is a name as good as any, and
 * every object has it. They are keys of Maps, or of objects that inherit nothing (src/names.ts).
 * What test/names.test.ts tries is looked for here in the text.
 */
import { expect, test } from 'vitest';
import { sourceFiles } from './sources.js';

/** Objects whose keys are fields or options of our own, each with what its keys are. */
const OWN_KEYS = [
  // Options of commands, those that are set.
  'src/cli/context.ts: Object.fromEntries(',
  'src/cli/parse.ts: Object.fromEntries(',
  // Messages and fields of the wire format.
  'src/onnx/schema.ts: Object.fromEntries(',
  'src/onnx/schema.ts: MESSAGES',
  'src/onnx/encode.ts: below',
  'src/onnx/encode.ts: above',
  // Parts of a table's frame.
  'src/report/text-table.ts: Object.fromEntries(',
  // Attributes that a pass writes.
  'passes/channels/indicators.ts: geometry',
  // Globals that pickles may name; they are asked for in a Map that is made of it.
  'src/masks/formats/numpy-globals.ts: Object.fromEntries(',
  'src/masks/formats/numpy-globals.ts: calls',
];

test('no table or collection by name is a plain object', () => {
  const found = sourceFiles(['src', 'passes']).flatMap(({ path, text }) => {
    const collected = [...text.matchAll(/Object\.fromEntries\(/g)].map(([call]) => call);
    const tables = [...text.matchAll(/(\w+): (?:Readonly<)?Record<string,[^;\n]*? = \{(?!\}[,)])/g)].map(
      ([, name = '']) => name,
    );
    return [...collected, ...tables].map((finding) => `${path}: ${finding}`);
  });
  expect(found.filter((finding) => !OWN_KEYS.includes(finding))).toEqual([]);
  expect(OWN_KEYS.filter((known) => !found.includes(known))).toEqual([]);
});
