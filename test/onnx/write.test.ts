/** What an edit changes in the file besides the graph: recorded shapes, metadata, inputs. */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { Editor } from '../../src/ir/editor.js';
import { COMPUTED_EXTENT, type Value } from '../../src/ir/graph.js';
import { sliceTensor } from '../../src/ir/slice.js';
import { FLOAT } from '../../src/ir/tensor.js';
import { type Model, readModel } from '../../src/onnx/read.js';
import { encodeModel, typeOf, type WriteOptions } from '../../src/onnx/write.js';

/** Two 1x1 convolutions, 4 channels between them, every value's shape on record. */
function sample(initializersAsInputs = false): Model {
  const g = graphBuilder({ initializersAsInputs });
  const x = g.input('x', ['batch', 2, 8, 8]);
  const first = g.initializer(
    'w1',
    [4, 2, 1, 1],
    Float32Array.from({ length: 8 }, (_, index) => index),
  );
  const second = g.initializer(
    'w2',
    [3, 4, 1, 1],
    Float32Array.from({ length: 12 }, (_, index) => index),
  );
  const h = g.conv(x, first, { outputs: ['h'] });
  g.valueInfo(h, ['batch', 4, 8, 8]);
  if (!initializersAsInputs) g.valueInfo('w1', [4, 2, 1, 1]);
  g.output(g.conv(h, second, { outputs: ['y'] }), ['batch', 3, 8, 8]);
  return readModel(g.bytes());
}

function valueOf(model: Model, name: string): Value {
  const value = model.graph.values.get(name);
  if (value === undefined) throw new Error(`${name} is gone`);
  return value;
}

function shrink(model: Model): void {
  const editor = new Editor(model.graph);
  editor.transaction('shrink', () => {
    for (const [name, kept] of [
      ['w1', [[0, 2]]],
      ['w2', [undefined, [0, 2]]],
    ] as const) {
      const value = valueOf(model, name);
      if (value.initializer !== undefined) editor.rewriteInitializer(value, sliceTensor(value.initializer, kept));
    }
  });
}

function recorded(model: Model, options: WriteOptions = {}): Record<string, string[]> {
  const graph = readModel(encodeModel(model, options)).proto.graph;
  const entries = [...(graph?.valueInfo ?? []), ...(graph?.input ?? [])];
  return Object.fromEntries(
    entries.map(({ name = '', type }) => [
      name,
      (type?.tensorType?.shape?.dim ?? []).map(({ dimParam, dimValue }) => dimParam ?? String(dimValue)),
    ]),
  );
}

describe('value_info', () => {
  test('weights follow their tensor; other values follow the shapes that are given', () => {
    const model = sample();
    shrink(model);
    const shapes = new Map<string, readonly (string | number)[]>([['h', ['batch', 2, 8, 8]]]);
    expect(recorded(model, { shapes })).toEqual({
      h: ['batch', '2', '8', '8'],
      w1: ['2', '2', '1', '1'],
      x: ['batch', '2', '8', '8'],
    });
  });

  test('a value whose shape is not known any more is dropped', () => {
    const model = sample();
    shrink(model);
    expect(recorded(model, { shapes: new Map() })).toEqual({ w1: ['2', '2', '1', '1'], x: ['batch', '2', '8', '8'] });
  });

  test('an extent that is not known any more is left open', () => {
    const model = sample();
    shrink(model);
    const shapes = new Map<string, readonly (string | number)[]>([['h', ['batch', '', 8, 8]]]);
    expect(recorded(model, { shapes })['h']).toEqual(['batch', 'undefined', '8', '8']);
  });

  test('a value that is gone is dropped', () => {
    const model = sample();
    const editor = new Editor(model.graph);
    editor.transaction('rewire', () => {
      const [first, second] = model.graph.nodes;
      if (first === undefined || second === undefined) throw new Error('no nodes');
      editor.setInput(second, 0, valueOf(model, 'x'));
      editor.removeNode(first);
    });
    expect(Object.keys(recorded(model))).not.toContain('h');
  });

  test('graph inputs that are weights follow their tensor', () => {
    const model = sample(true);
    shrink(model);
    expect(recorded(model)).toMatchObject({
      w1: ['2', '2', '1', '1'],
      w2: ['3', '2', '1', '1'],
      x: ['batch', '2', '8', '8'],
    });
  });
});

describe('metadata', () => {
  test('is added, and replaced where the key is there', () => {
    const once = readModel(encodeModel(sample(), { metadata: { tool: '1', other: 'a' } }));
    const twice = readModel(encodeModel(once, { metadata: { tool: '2' } }));
    expect(twice.proto.metadataProps?.map(({ key, value }) => [key, value])).toEqual([
      ['other', 'a'],
      ['tool', '2'],
    ]);
  });
});

describe('attributes', () => {
  test('every kind that can be set is written and read', () => {
    const model = sample();
    const editor = new Editor(model.graph);
    const [node] = model.graph.nodes;
    if (node === undefined) throw new Error('no nodes');
    const tensor = valueOf(model, 'w1').initializer;
    if (tensor === undefined) throw new Error('no tensor');
    editor.transaction('set', () => {
      editor.setAttribute(node, 'group', { kind: 'int', value: 2 });
      editor.setAttribute(node, 'pads', { kind: 'ints', value: [1, -1] });
      editor.setAttribute(node, 'f', { kind: 'float', value: 0.5 });
      editor.setAttribute(node, 'fs', { kind: 'floats', value: [1, 2.5] });
      editor.setAttribute(node, 's', { kind: 'string', value: 'größer' });
      editor.setAttribute(node, 't', { kind: 'tensor', value: tensor });
    });
    const [again] = readModel(encodeModel(model)).graph.nodes;
    expect([again?.int('group', 0), again?.ints('pads'), again?.float('f', 0), again?.string('s', '')]).toEqual([
      2,
      [1, -1],
      0.5,
      'größer',
    ]);
    expect(again?.attributes.get('fs')).toMatchObject({ kind: 'floats', value: [1, 2.5] });
    expect([...(again?.tensor('t')?.numbers() ?? [])]).toEqual([...tensor.numbers()]);
  });
});

test('extents that only the compiler has a name for are left open', () => {
  const { type } = typeOf('x', FLOAT, ['batch', 3, `${COMPUTED_EXTENT}["x",2]`, '']);
  expect(type?.tensorType?.shape?.dim).toEqual([{ dimParam: 'batch' }, { dimValue: 3 }, {}, { dimParam: '' }]);
});
