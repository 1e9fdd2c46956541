/**
 * Weights beside the model: found, checked, loaded late, written again; and every way in which they
 * can be wrong.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Editor } from '../../src/ir/editor.js';
import { sliceTensor } from '../../src/ir/slice.js';
import { decodeModel, type Model, readModel } from '../../src/onnx/read.js';
import { writeFiles } from '../../src/files/write-files.js';
import { encodeModel, writeModel } from '../../src/onnx/write.js';
import { failureOf } from './failure.js';
import { chunk, type Field, identity, initializer, int, message, modelOf, valueInfo } from './wire.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'prune-compile-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);
const entry = (key: string, value: string) => chunk(13, message(chunk(1, key), chunk(2, value)));

/** FLOAT [512], 2048 bytes: large enough to stay outside when written again. */
function external(name: string, entries: Readonly<Record<string, string>>, ...more: Field[]): Field {
  return initializer(
    name,
    [512],
    1,
    ...Object.entries(entries).map(([key, value]) => entry(key, value)),
    int(14, 1),
    ...more,
  );
}

function values(start: number): Buffer {
  return Buffer.from(Float32Array.from({ length: 512 }, (_, index) => start + index).buffer);
}

function save(entries: Readonly<Record<string, string>>, data?: Buffer): string {
  if (data !== undefined) writeFileSync(at('w.bin'), data);
  writeFileSync(at('m.onnx'), modelOf(identity('w', 'y'), external('w', entries), chunk(12, valueInfo('y', 1, [512]))));
  return at('m.onnx');
}

function numbersOf(model: Model, name: string): number[] {
  return [...(model.graph.values.get(name)?.initializer?.numbers() ?? [])];
}

describe('reading', () => {
  test('offset and length, offset alone, neither', () => {
    const data = Buffer.concat([values(0), values(1000)]);
    for (const [entries, first] of [
      [{ location: 'w.bin', offset: '2048', length: '2048' }, 1000],
      [{ location: 'w.bin', offset: '2048' }, 1000],
      [{ location: 'w.bin' }, 0],
      [{ location: 'w.bin', offset: '4' }, 1],
      [{ location: './sub/../w.bin', checksum: 'ignored' }, 0],
    ] as const) {
      const model = readModel(save(entries, data));
      expect(numbersOf(model, 'w')[0]).toBe(first);
      expect([model.hasExternalData, model.externalBytes, model.sizeBytes]).toEqual([
        true,
        2048,
        readFileSync(at('m.onnx')).length + 2048,
      ]);
      expect(model.externalFiles).toEqual([at('w.bin')]);
    }
  });

  test('nothing is read before it is asked for', () => {
    const model = readModel(save({ location: 'w.bin' }, values(0)));
    writeFileSync(at('w.bin'), values(7));
    expect(numbersOf(model, 'w')[0]).toBe(7);
  });

  test('in a folder below, and through a link that stays inside', () => {
    mkdirSync(at('sub'));
    writeFileSync(at('sub/w.bin'), values(3));
    expect(numbersOf(readModel(save({ location: 'sub/w.bin' })), 'w')[0]).toBe(3);
    symlinkSync(at('sub/w.bin'), at('link.bin'));
    expect(numbersOf(readModel(save({ location: 'link.bin' })), 'w')[0]).toBe(3);
  });

  test('the file that shrank since is an error, not zeros', () => {
    const model = readModel(save({ location: 'w.bin' }, values(0)));
    writeFileSync(at('w.bin'), Buffer.alloc(100));
    expect(failureOf(() => numbersOf(model, 'w'), folder)).toEqual({
      code: 'E-EXTERNAL-RANGE',
      what: 'cannot read DIR/w.bin',
      facts: [
        'why: the file ended early',
        'try: keep the data file in its place, unchanged, until the model is written',
      ],
    });
    rmSync(at('w.bin'));
    expect(failureOf(() => numbersOf(model, 'w'), folder).code).toBe('E-EXTERNAL-RANGE');
  });
});

describe('what is wrong', () => {
  test('missing', () => {
    expect(failureOf(() => readModel(save({ location: 'w.bin' })), folder)).toEqual({
      code: 'E-EXTERNAL-MISSING',
      what: 'the external data file w.bin is missing',
      facts: [
        'where: tensor w expects it at DIR/w.bin',
        "try: copy the file into the model's folder; the two belong together",
      ],
    });
    mkdirSync(at('w.bin'));
    expect(failureOf(() => readModel(at('m.onnx')), folder).code).toBe('E-EXTERNAL-MISSING');
  });

  test('given as bytes', () => {
    save({ location: 'w.bin' }, values(0));
    expect(failureOf(() => readModel(readFileSync(at('m.onnx'))))).toEqual({
      code: 'E-EXTERNAL-MISSING',
      what: 'tensor w is in the file w.bin, but the model was given as bytes',
      facts: ['why: bytes have no folder to look for that file in', 'try: give the path of the model file instead'],
    });
  });

  test('short', () => {
    expect(failureOf(() => readModel(save({ location: 'w.bin', length: '2048' }, Buffer.alloc(2000))), folder)).toEqual(
      {
        code: 'E-EXTERNAL-RANGE',
        what: 'tensor w does not fit its external data file w.bin',
        facts: [
          'why: it needs bytes 0 to 2048, and the file has 2000',
          "try: copy the whole data file into the model's folder again",
        ],
      },
    );
  });

  test.each([
    ['length', { length: '2044' }, 'its shape needs 2048 bytes, its length entry says "2044"'],
    ['no number for a length', { length: 'all' }, 'its shape needs 2048 bytes, its length entry says "all"'],
    ['negative offset', { offset: '-4' }, 'its offset is "-4"'],
    ['no number for an offset', { offset: 'start' }, 'its offset is "start"'],
    ['offset past every integer', { offset: '99999999999999999999' }, 'its offset is "99999999999999999999"'],
  ])('wrong %s', (_, entries, why) => {
    expect(failureOf(() => readModel(save({ location: 'w.bin', ...entries }, values(0))), folder)).toEqual({
      code: 'E-EXTERNAL-RANGE',
      what: 'tensor w does not fit its external data file w.bin',
      facts: [`why: ${why}`, 'try: export the model again: its description of the data file is wrong'],
    });
  });

  test.each(['../w.bin', 'sub/../../w.bin', '/etc/hostname', '', '.', '..', 'outside/w.bin', 'file.bin'])(
    'outside the folder: "%s"',
    (location) => {
      // Two links that lead out: a folder and a file.
      const elsewhere = mkdtempSync(join(tmpdir(), 'prune-compile-'));
      writeFileSync(join(elsewhere, 'w.bin'), values(0));
      symlinkSync(elsewhere, at('outside'));
      symlinkSync(join(elsewhere, 'w.bin'), at('file.bin'));
      expect(failureOf(() => readModel(save({ location })), folder)).toEqual({
        code: 'E-EXTERNAL-PATH',
        what: `tensor w refers to external data outside the model's folder: "${location}"`,
        facts: [
          'why: a model may only read files in its own folder; anything else could expose or overwrite your files',
          "try: move the data file into the model's folder and export again",
        ],
      });
      rmSync(elsewhere, { recursive: true });
    },
  );
});

describe('writing', () => {
  test('external again: edited and unedited weights, small ones inside', () => {
    writeFileSync(at('w.bin'), Buffer.concat([values(0), values(1000)]));
    const bytes = modelOf(
      identity('a', 'y'),
      identity('b', 'z'),
      identity('s', 'o'),
      external(
        'a',
        { location: 'w.bin', offset: '0', length: '2048' },
        chunk(16, message(chunk(1, 'k'), chunk(2, 'v'))),
      ),
      external('b', { location: 'w.bin', offset: '2048', length: '2048' }),
      initializer('s', [2], 1, chunk(9, values(5).subarray(0, 8))),
      chunk(12, valueInfo('o', 1, [2])),
    );
    writeFileSync(at('m.onnx'), bytes);
    const model = readModel(at('m.onnx'));
    const b = model.graph.values.get('b');
    if (b?.initializer === undefined) throw new Error('b is gone');
    const cut = sliceTensor(b.initializer, [Array.from({ length: 300 }, (_, index) => index + 1)]);
    const editor = new Editor(model.graph);
    editor.transaction('cut', () => editor.rewriteInitializer(b, cut));
    const size = writeModel(model, at('out.onnx'));
    expect(readdirSync(folder).toSorted()).toEqual(['m.onnx', 'out.onnx', 'out.onnx.data', 'w.bin']);
    expect(readFileSync(at('out.onnx.data')).length).toBe(2048 + 1200);
    expect(size).toBe(readFileSync(at('out.onnx')).length + 2048 + 1200);
    const again = readModel(at('out.onnx'));
    expect(numbersOf(again, 'a')).toEqual(numbersOf(model, 'a'));
    expect(numbersOf(again, 'b').slice(0, 2)).toEqual([1001, 1002]);
    expect(numbersOf(again, 's')).toEqual([5, 6]);
    expect(again.proto.graph?.initializer?.[0]?.metadataProps?.[0]?.value).toBe('v');
    // The same model as one message has all weights inside.
    const inside = readModel(encodeModel(again));
    expect([inside.hasExternalData, numbersOf(inside, 'a')[511]]).toEqual([false, 511]);
  });

  test('a message that would be too large puts its weights beside it', () => {
    const bytes = modelOf(
      identity('w', 'y'),
      identity('s', 'o'),
      initializer('w', [512], 1, chunk(4, values(9))),
      initializer('s', [2], 1, chunk(9, values(5).subarray(0, 8))),
      chunk(12, valueInfo('o', 1, [2])),
    );
    const model = readModel(bytes);
    writeModel(model, at('out.onnx'), { largestMessage: 1000 });
    expect(readFileSync(at('out.onnx')).length).toBeLessThan(1000);
    expect(readFileSync(at('out.onnx.data')).equals(values(9))).toBe(true);
    expect(numbersOf(readModel(at('out.onnx')), 'w')[1]).toBe(10);
    writeModel(model, at('whole.onnx'), { largestMessage: bytes.length });
    expect(readFileSync(at('whole.onnx')).equals(bytes)).toBe(true);
    // One byte less, and it is the graph that makes it too large.
    writeModel(model, at('split.onnx'), { largestMessage: bytes.length - 1 });
    expect(existsSync(at('split.onnx.data'))).toBe(true);
    expect(failureOf(() => encodeModel(model, { largestMessage: 1000 }))).toEqual({
      code: 'E-MODEL-TOO-LARGE',
      what: 'the model is too large for one piece: 2056 bytes',
      facts: [
        'why: an ONNX message holds at most 1000 bytes',
        'try: --output FILE: weights then go into FILE.data beside it',
      ],
    });
  });

  test('the data file of the input is never replaced', () => {
    writeFileSync(at('out.onnx.data'), values(0));
    const model = readModel(save({ location: 'out.onnx.data' }));
    expect(failureOf(() => writeModel(model, at('out.onnx')), folder)).toEqual({
      code: 'E-OUTPUT-IS-INPUT',
      what: 'DIR/out.onnx.data holds weights of the input',
      facts: [
        'why: the input is never overwritten, because the result is compared with it',
        'try: --output with another name or folder',
      ],
    });
    expect(readdirSync(folder).toSorted()).toEqual(['m.onnx', 'out.onnx.data']);
  });

  test('a failure on the way leaves nothing behind, and what was there as it was', () => {
    writeFileSync(at('out.onnx'), 'old');
    const model = readModel(save({ location: 'w.bin' }, values(0)));
    rmSync(at('w.bin'));
    expect(failureOf(() => writeModel(model, at('out.onnx')), folder).code).toBe('E-EXTERNAL-RANGE');
    expect(readFileSync(at('out.onnx'), 'utf8')).toBe('old');
    expect(readdirSync(folder).toSorted()).toEqual(['m.onnx', 'out.onnx']);
    expect(failureOf(() => writeFiles([{ path: at('no/such/out.onnx'), chunks: [] }]), folder)).toMatchObject({
      code: 'E-OUTPUT-UNWRITABLE',
      what: 'cannot write DIR/no/such/out.onnx',
    });
  });
});

test('external tensors of attributes, subgraphs and 4-bit types come inside', () => {
  writeFileSync(at('w.bin'), Buffer.concat([values(0), Buffer.of(0x21, 0x03)]));
  const where = [entry('location', 'w.bin'), entry('offset', '0'), entry('length', '2048'), int(14, 1)];
  const tensor = message(int(1, 512), int(2, 1), ...where);
  const constant = chunk(
    1,
    message(chunk(2, 'c'), chunk(4, 'Constant'), chunk(5, message(chunk(1, 'value'), chunk(5, tensor), int(20, 4)))),
  );
  const body = message(
    identity('inner', 'inner.y'),
    chunk(2, 'body'),
    initializer('inner', [512], 1, ...where),
    chunk(12, valueInfo('inner.y')),
  );
  const branch = chunk(
    1,
    message(
      chunk(1, 'x'),
      chunk(2, 'z'),
      chunk(4, 'If'),
      chunk(5, message(chunk(1, 'then_branch'), chunk(6, body), int(20, 5))),
    ),
  );
  const packed = initializer(
    'q',
    [3],
    22,
    entry('location', 'w.bin'),
    entry('offset', '2048'),
    entry('length', '2'),
    int(14, 1),
  );
  writeFileSync(
    at('m.onnx'),
    modelOf(constant, branch, identity('q', 'p'), packed, chunk(11, valueInfo('x', 9, [])), chunk(12, valueInfo('p'))),
  );
  const model = readModel(at('m.onnx'));
  expect(model.graph.nodes[0]?.tensor('value')?.numbers()[511]).toBe(511);
  const again = decodeModel(encodeModel(model), 'again').graph;
  expect(again?.node?.[0]?.attribute?.[0]?.t?.rawData?.length).toBe(2048);
  expect(again?.node?.[1]?.attribute?.[0]?.g?.initializer?.[0]?.rawData?.length).toBe(2048);
  expect([...(again?.initializer?.[0]?.rawData ?? [])]).toEqual([0x21, 0x03]);
  expect(JSON.stringify(again)).not.toContain('w.bin');
});
