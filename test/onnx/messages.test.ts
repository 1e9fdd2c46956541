/**
 * What the codec reads it writes again byte for byte: every message, every kind of attribute, and
 * what it does not know.
 */
import { describe, expect, test } from 'vitest';
import { readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';
import {
  chunk,
  type Field,
  float32,
  float64,
  future,
  identity,
  initializer,
  int,
  message,
  modelOf,
  valueInfo,
  varint,
} from './wire.js';

function expectSame(bytes: Buffer): void {
  expect(Buffer.from(encodeModel(readModel(bytes))).toString('hex')).toBe(bytes.toString('hex'));
}

const floats = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
const entry = (key: string, value: string, ...more: Field[]) => message(chunk(1, key), chunk(2, value), ...more);
const tensor = (...data: Field[]) => message(int(1, 2), int(2, 1), ...data);
const smallGraph = (name: string, ...more: Field[]) =>
  message(identity('x', `${name}.y`), chunk(2, name), chunk(12, valueInfo(`${name}.y`)), ...more);

/** AttributeProto: name 1, then its value's field, type 20. */
const attribute = (name: string, type: number, value: readonly Field[], ...more: Field[]) =>
  chunk(5, message(chunk(1, name), ...value, int(20, type), ...more));

/** SparseTensorProto of two values among nine places. */
const places = Buffer.from(BigInt64Array.of(1n, 7n).buffer);
const sparseTensor = message(
  chunk(1, tensor(chunk(9, floats(1, 2)))),
  chunk(2, message(int(1, 2), int(2, 7), chunk(9, places))),
  int(3, 9),
);

const opset = chunk(8, message(chunk(1, ''), int(2, 17)));

describe('attributes', () => {
  const kinds: Record<string, Field> = {
    'float 0': attribute('a', 1, [float32(2, 0)]),
    'int 0': attribute('a', 2, [int(3, 0)]),
    'int64 extremes': attribute('a', 7, [int(8, -(2n ** 63n)), int(8, 2n ** 63n - 1n), int(8, 2n ** 53n + 1n)]),
    string: attribute('a', 3, [chunk(4, 'text')]),
    'string of no encoding': attribute('a', 3, [chunk(4, Uint8Array.of(0xff, 0xfe, 0, 0x80))]),
    'empty string': attribute('a', 3, [chunk(4, '')]),
    tensor: attribute('a', 4, [chunk(5, tensor(chunk(9, floats(1, 2))))]),
    graph: attribute('a', 5, [chunk(6, smallGraph('g'))]),
    floats: attribute('a', 6, [float32(7, 1.5), float32(7, Number.NaN)]),
    strings: attribute('a', 8, [chunk(9, 'a'), chunk(9, ''), chunk(9, 'b')]),
    tensors: attribute('a', 9, [chunk(10, tensor(chunk(9, floats(1, 2)))), chunk(10, tensor(chunk(4, floats(3, 4))))]),
    graphs: attribute('a', 10, [chunk(11, smallGraph('g')), chunk(11, smallGraph('h'))]),
    'sparse tensor': chunk(5, message(chunk(1, 'a'), int(20, 11), chunk(22, sparseTensor))),
    'sparse tensors': chunk(5, message(chunk(1, 'a'), int(20, 12), chunk(23, message(chunk(1, tensor()))))),
    type: attribute('a', 13, [chunk(14, chunk(1, int(1, 1)))]),
    types: attribute('a', 14, [chunk(15, chunk(1, int(1, 1))), chunk(15, chunk(4, chunk(1, chunk(1, int(1, 7)))))]),
    'doc string': chunk(5, message(chunk(1, 'a'), int(3, 1), chunk(13, 'why'), int(20, 2))),
    'reference to a function attribute': chunk(5, message(chunk(1, 'a'), int(20, 2), chunk(21, 'outer'))),
    'a type of the future': attribute('a', 99, [], future()),
    'without a type (IR 3)': chunk(5, message(chunk(1, 'a'), int(3, 0))),
  };
  test.each(Object.entries(kinds))('%s', (_, field) => {
    expectSame(modelOf(identity('x', 'y', field), chunk(11, valueInfo('x')), chunk(12, valueInfo('y'))));
  });
});

describe('unknown fields survive', () => {
  const nested: Record<string, Buffer> = {
    model: message(modelOf(identity('x', 'y'), chunk(11, valueInfo('x'))), future()),
    graph: modelOf(identity('x', 'y'), chunk(11, valueInfo('x')), future()),
    node: modelOf(identity('x', 'y', future()), chunk(11, valueInfo('x'))),
    'node metadata': modelOf(
      identity('x', 'y', chunk(9, entry('namespace', 'm: M', future()))),
      chunk(11, valueInfo('x')),
    ),
    'node device configuration': modelOf(identity('x', 'y', chunk(10, entry('a', 'b'))), chunk(11, valueInfo('x'))),
    attribute: modelOf(identity('x', 'y', attribute('a', 2, [int(3, 1)], future())), chunk(11, valueInfo('x'))),
    'tensor attribute': modelOf(
      identity('x', 'y', attribute('a', 4, [chunk(5, tensor(chunk(9, floats(1, 2)), future()))])),
      chunk(11, valueInfo('x')),
    ),
    subgraph: modelOf(
      identity('x', 'y', attribute('a', 5, [chunk(6, smallGraph('g', future()))])),
      chunk(11, valueInfo('x')),
    ),
    initializer: modelOf(
      identity('w', 'y'),
      initializer('w', [2], 1, chunk(9, floats(1, 2)), chunk(16, entry('k', 'v')), future()),
    ),
    'large initializer': modelOf(
      identity('w', 'y'),
      initializer('w', [2048], 1, chunk(9, new Uint8Array(8192)), chunk(12, 'doc'), future()),
    ),
    'value info': modelOf(
      identity('x', 'y'),
      chunk(11, message(valueInfo('x'), chunk(3, 'doc'), chunk(4, entry('k', 'v')), future())),
    ),
    type: modelOf(
      identity('x', 'y'),
      chunk(11, message(chunk(1, 'x'), chunk(2, message(chunk(1, int(1, 1)), chunk(6, 'IMAGE'), future())))),
    ),
    dimension: modelOf(
      identity('x', 'y'),
      chunk(
        11,
        message(
          chunk(1, 'x'),
          chunk(
            2,
            chunk(
              1,
              message(int(1, 1), chunk(2, chunk(1, message(chunk(2, 'batch'), chunk(3, 'DATA_BATCH'), future())))),
            ),
          ),
        ),
      ),
    ),
    'operator set': message(
      modelOf(identity('x', 'y'), chunk(11, valueInfo('x'))),
      chunk(8, message(chunk(1, 'com.microsoft'), int(2, 1), future())),
    ),
    'quantization annotation': modelOf(
      identity('x', 'y'),
      chunk(11, valueInfo('x')),
      chunk(14, message(chunk(1, 'x'), chunk(2, entry('SCALE_TENSOR', 's')), future())),
    ),
  };
  test.each(Object.entries(nested))('%s', (_, bytes) => expectSame(bytes));
});

describe('whole models', () => {
  const graph = chunk(7, message(identity('x', 'y'), chunk(11, valueInfo('x')), chunk(12, valueInfo('y'))));

  test('every field of the model', () => {
    const body = chunk(7, identity('a', 'b').subarray(2));
    const withDefault = chunk(11, message(chunk(1, 'alpha'), float32(2, 0.5), int(20, 1)));
    const fn = message(
      chunk(1, 'F'),
      chunk(4, 'a'),
      chunk(5, 'b'),
      chunk(6, 'beta'),
      body,
      chunk(8, 'doc'),
      chunk(9, opset.subarray(2)),
      chunk(10, 'my'),
      withDefault,
      chunk(12, valueInfo('b')),
      chunk(13, 'o'),
      chunk(14, entry('k', 'v')),
      future(),
    );
    const fixedFn = message(...splitSorted(fn));
    expectSame(
      message(
        int(1, 10),
        chunk(2, 'pytorch'),
        chunk(3, '2.15'),
        chunk(4, 'ai.example'),
        int(5, 3),
        chunk(6, 'doc'),
        graph,
        opset,
        chunk(14, entry('author', 'me')),
        chunk(14, entry('', '')),
        chunk(20, message(chunk(1, 'training'), future())),
        chunk(25, fixedFn),
        chunk(26, 'configuration'),
      ),
    );
  });

  test.each<[string, Field]>([
    ['sequence', chunk(4, chunk(1, chunk(1, int(1, 1))))],
    ['map', chunk(5, message(int(1, 7), chunk(2, chunk(1, int(1, 1)))))],
    ['opaque', chunk(7, message(chunk(1, 'domain'), chunk(2, 'name')))],
    ['sparse tensor', chunk(8, int(1, 1))],
    ['optional', chunk(9, chunk(1, chunk(1, int(1, 1))))],
  ])('an input of type %s', (_, type) => {
    const denotation = chunk(6, 'IMAGE');
    const ordered = (type[0] ?? 0) < 6 * 8 ? message(type, denotation) : message(denotation, type);
    expectSame(modelOf(identity('x', 'y'), chunk(11, message(chunk(1, 'x'), chunk(2, ordered)))));
  });

  test('strings, 4-bit types and sparse initializers', () => {
    const sparse = message(
      chunk(1, message(int(1, 1), int(2, 1), chunk(8, 's'), chunk(9, floats(3)))),
      chunk(2, message(int(1, 1), int(2, 7), chunk(9, new Uint8Array(8)))),
      int(3, 4),
    );
    expectSame(
      modelOf(
        identity('t', 'a'),
        identity('q', 'b'),
        identity('s', 'c'),
        identity('f', 'd'),
        initializer('t', [2], 8, chunk(6, 'a'), chunk(6, 'b')),
        initializer('q', [3], 22, chunk(9, Uint8Array.of(0x21, 0x03))),
        initializer('f', [3], 23, chunk(5, Uint8Array.of(0x21, 0x03))),
        chunk(12, valueInfo('a')),
        chunk(15, sparse),
      ),
    );
  });

  test('absent optional inputs and outputs', () => {
    const node = chunk(
      1,
      message(chunk(1, 'x'), chunk(1, ''), chunk(1, 'w'), chunk(2, 'y'), chunk(2, ''), chunk(2, 'z'), chunk(4, 'Foo')),
    );
    const bytes = modelOf(node, initializer('w', [2], 1, chunk(9, floats(1, 2))), chunk(11, valueInfo('x')));
    const [read] = readModel(bytes).graph.nodes;
    expect(read?.inputs.map((value) => value?.name)).toEqual(['x', undefined, 'w']);
    expect(read?.outputs.map((value) => value?.name)).toEqual(['y', undefined, 'z']);
    expectSame(bytes);
  });

  test('typed data, packed, unpacked and in several pieces', () => {
    const packed = Buffer.concat([varint(1), varint(-2n), varint(2n ** 62n)]);
    expectSame(
      modelOf(
        identity('a', 'o'),
        initializer('a', [2], 1, chunk(4, floats(1)), chunk(4, floats(2))),
        initializer('b', [3], 7, chunk(7, packed)),
        initializer('d', [1], 11, chunk(10, Buffer.from(Float64Array.of(0.1).buffer))),
        initializer('e', [2], 13, chunk(11, Buffer.concat([varint(1), varint(2n ** 64n - 1n)]))),
      ),
    );
  });

  test('an unpacked element is moved behind the packed fields, and stays', () => {
    const bytes = modelOf(identity('a', 'o'), initializer('a', [2], 11, float64(10, 1), float64(10, 2)));
    const again = encodeModel(readModel(bytes));
    expect([...(readModel(again).graph.values.get('a')?.initializer?.numbers() ?? [])]).toEqual([1, 2]);
  });
});

/** Splits a message into its fields and sorts them by number, as every writer does. */
function splitSorted(bytes: Buffer): Field[] {
  const fields: { id: number; field: Field }[] = [];
  for (let at = 0; at < bytes.length;) {
    const start = at;
    const next = () => {
      let value = 0;
      for (let shift = 1; ; shift *= 128) {
        const byte = bytes[at++] ?? 0;
        value += (byte & 127) * shift;
        if (byte < 128) return value;
      }
    };
    const tag = next();
    const wire = tag % 8;
    if (wire === 0) next();
    else at += wire === 2 ? next() : wire === 5 ? 4 : 8;
    fields.push({ id: Math.floor(tag / 8), field: bytes.subarray(start, at) });
  }
  return fields.toSorted((one, other) => one.id - other.id).map(({ field }) => field);
}
