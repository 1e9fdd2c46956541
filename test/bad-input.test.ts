/**
 * Bad input, word for word as the user reads it: what happened, why, what to do. And nothing is
 * written.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { graphBuilder } from '../fixtures/networks/graph-builder.js';
import { normals } from '../fixtures/networks/random.js';
import { compileModel } from '../src/compile.js';
import { failureFrom, type Failure } from './onnx/failure.js';
import { chunk, identity, initializer, int, message, modelOf, valueInfo } from './onnx/wire.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'prune-compile-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);

/** What compiling the file (given its contents) says. */
async function refusal(name: string, contents?: Uint8Array | string): Promise<Failure> {
  if (contents !== undefined) writeFileSync(at(name), contents);
  const before = readdirSync(folder);
  try {
    const compiled = await compileModel(at(name));
    compiled.write(at('out.onnx'));
  } catch (error) {
    expect(readdirSync(folder)).toEqual(before);
    return failureFrom(error, folder);
  }
  throw new Error(`${name} was compiled`);
}

function network(opset = 17, weights = normals(1, 'w', 216)): Uint8Array {
  const g = graphBuilder({ opset });
  const x = g.input('x', [1, 3, 8, 8]);
  g.output(g.relu(g.conv(x, g.initializer('conv1.weight', [8, 3, 3, 3], weights), { name: '/conv1/Conv' })));
  return g.bytes();
}

const EXPORT_FILE = 'try: a file written by torch.onnx.export, tf2onnx or another ONNX exporter';
const AGAIN = 'try: copy or download the file again and compare its size';
const CHECKPOINT = 'try: the ONNX export of that network; masks come from a checkpoint, the model does not';

test('no such file', async () => {
  expect(await refusal('m.onnx')).toEqual({
    code: 'E-INPUT-MISSING',
    what: 'there is no file DIR/m.onnx',
    facts: ['try: the path of an .onnx file'],
  });
});

test('a folder', async () => {
  mkdirSync(at('models'));
  expect(await refusal('models')).toEqual({
    code: 'E-INPUT-UNREADABLE',
    what: 'cannot read DIR/models: it is a directory',
    facts: ['try: the path of an .onnx file'],
  });
});

test.each<[string, Uint8Array | string, string, string]>([
  ['empty', '', 'it is empty', EXPORT_FILE],
  ['text', 'hello, this is a model\n', 'it is text', EXPORT_FILE],
  ['JSON', '{"model": 1}', 'it is text, perhaps JSON', EXPORT_FILE],
  ['a PNG', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), 'it is a PNG image', EXPORT_FILE],
  [
    'a checkpoint',
    Buffer.from('PK\x03\x04\x00\x00\x08\x08', 'latin1'),
    'it is a zip archive, as PyTorch checkpoints are',
    CHECKPOINT,
  ],
  [
    'an old checkpoint',
    Buffer.from('80028a0a6cfc9c46', 'hex'),
    'it is a Python pickle, as old PyTorch checkpoints are',
    CHECKPOINT,
  ],
  [
    'an LFS pointer',
    'version https://git-lfs.github.com/spec/v1\noid sha256:0\n',
    'it is a Git LFS pointer, not the file itself',
    'try: git lfs pull, in the repository it came from',
  ],
  [
    'a web page',
    '<!DOCTYPE html><html></html>',
    'it is a web page: the download went wrong',
    'try: download the file itself',
  ],
  ['gzip', Buffer.from('1f8b0800', 'hex'), 'it is compressed with gzip', 'try: unpack it first: gunzip'],
  [
    'TensorFlow Lite',
    Buffer.from('\x1c\0\0\0TFL3', 'latin1'),
    'it is a TensorFlow Lite model',
    'try: convert it: python -m tf2onnx.convert --tflite',
  ],
  [
    'ORT format',
    Buffer.from('\x14\0\0\0ORTM', 'latin1'),
    "it is in ONNX Runtime's own ORT format, which cannot be turned back",
    'try: the .onnx file it was made from',
  ],
  [
    'another message',
    message(chunk(1, Uint8Array.of(1, 2)), int(3, 5)),
    'it has no graph or names no operator set',
    EXPORT_FILE,
  ],
])('not ONNX: %s', async (_, contents, why, advice) => {
  expect(await refusal('m.onnx', contents)).toEqual({
    code: 'E-MODEL-NOT-ONNX',
    what: 'DIR/m.onnx is not an ONNX model',
    facts: [`why: ${why}`, advice],
  });
});

test('cut off', async () => {
  const whole = network();
  expect(await refusal('m.onnx', whole.subarray(0, 600))).toEqual({
    code: 'E-MODEL-TRUNCATED',
    what: 'DIR/m.onnx is damaged or incomplete',
    facts: ['why: it begins like an ONNX model, but the file ends after 600 bytes, in the middle of a field', AGAIN],
  });
  // Where the last field, the operator sets, begins: all before it is whole.
  expect(await refusal('m.onnx', whole.subarray(0, whole.length - 6))).toEqual({
    code: 'E-MODEL-TRUNCATED',
    what: 'DIR/m.onnx is damaged or incomplete',
    facts: ['why: it begins like an ONNX model, but its operator sets are missing', AGAIN],
  });
  for (let length = 3; length < whole.length; length += 41)
    expect((await refusal('m.onnx', whole.subarray(0, length))).code).toBe('E-MODEL-TRUNCATED');
});

test('an opset too old or too new', async () => {
  for (const opset of [6, 99]) {
    expect(await refusal('m.onnx', network(opset))).toEqual({
      code: 'E-MODEL-OPSET',
      what: `DIR/m.onnx uses opset ${opset}`,
      facts: [
        'why: the operators of opsets 7 to 25 are known; in others they may mean something else',
        'try: export again with opset_version=17, or convert with onnx.version_converter',
      ],
    });
  }
  const other = message(int(1, 8), chunk(7, identity('x', 'y')), chunk(8, message(chunk(1, 'com.example'), int(2, 1))));
  expect(await refusal('m.onnx', other)).toEqual({
    code: 'E-MODEL-OPSET',
    what: 'DIR/m.onnx uses no operators of the ai.onnx domain',
    facts: [
      'why: only these operators can be pruned; the model uses com.example',
      'try: the model as the training framework exported it, before a converter replaced its operators',
    ],
  });
});

test('a graph that does not hold together', async () => {
  expect(
    await refusal('m.onnx', modelOf(identity('nowhere', 'y'), chunk(11, valueInfo('x')), chunk(12, valueInfo('z')))),
  ).toEqual({
    code: 'E-MODEL-INVALID',
    what: 'DIR/m.onnx is not a valid ONNX graph',
    facts: [
      'why: Identity -> y reads nowhere before it is computed',
      'why: graph output z is not computed',
      'try: python -c "import onnx; onnx.checker.check_model(\'model.onnx\')" and export the model again',
    ],
  });
});

test('external data that is missing, or outside the folder', async () => {
  const outside = (location: string) =>
    modelOf(
      identity('w', 'y'),
      initializer('w', [2], 1, chunk(13, message(chunk(1, 'location'), chunk(2, location))), int(14, 1)),
      chunk(12, valueInfo('y')),
    );
  expect(await refusal('m.onnx', outside('m.onnx.data'))).toEqual({
    code: 'E-EXTERNAL-MISSING',
    what: 'the external data file m.onnx.data is missing',
    facts: [
      'where: tensor w expects it at DIR/m.onnx.data',
      "try: copy the file into the model's folder; the two belong together",
    ],
  });
  expect(await refusal('m.onnx', outside('../../etc/passwd'))).toEqual({
    code: 'E-EXTERNAL-PATH',
    what: 'tensor w refers to external data outside the model\'s folder: "../../etc/passwd"',
    facts: [
      'why: a model may only read files in its own folder; anything else could expose or overwrite your files',
      "try: move the data file into the model's folder and export again",
    ],
  });
});

test('NaN in the weights', async () => {
  const weights = normals(1, 'w', 216);
  weights[7] = Number.NaN;
  expect(await refusal('m.onnx', network(17, weights))).toEqual({
    code: 'E-MODEL-NAN',
    what: 'the weights conv1.weight contain NaN (not a number)',
    facts: [
      'where: read by /conv1/Conv (Conv)',
      'why: a model with NaN weights has no defined output to preserve',
      'try: find where training diverged; export from an earlier checkpoint',
    ],
  });
});

test('infinite weights, stored or computed; infinite constants elsewhere are nothing bad', async () => {
  const weights = normals(1, 'w', 216);
  weights[7] = Number.NEGATIVE_INFINITY;
  expect(await refusal('m.onnx', network(17, weights))).toEqual({
    code: 'E-MODEL-INFINITE',
    what: 'the weights conv1.weight contain infinite values',
    facts: [
      'where: read by /conv1/Conv (Conv)',
      'why: 0 x infinity is NaN, so removing a zero channel in front of these weights would change the output',
      'try: find where training or a conversion overflowed; export from an earlier checkpoint, or in a wider type',
    ],
  });
  const scaled = (factor: number) => {
    const g = graphBuilder();
    const product = g.mul(
      { data: new Float32Array(16).fill(1e30), dims: [4, 4] },
      { data: [factor] },
      { name: 'scale' },
    );
    const rows = g.op('MatMul', [g.input('x', [2, 4]), product], {}, { name: 'rows' });
    g.output(g.add(rows, { data: [0, Number.NEGATIVE_INFINITY, 0, 0] }));
    return g.bytes();
  };
  expect((await refusal('m.onnx', scaled(1e20))).facts[0]).toBe(
    'where: read by rows (MatMul), computed by scale (Mul)',
  );
  expect((await compileModel(scaled(1e-20))).report.changed).toBe(false);
});

test('a model that ONNX Runtime cannot load', async () => {
  const g = graphBuilder();
  const x = g.input('x', [1, 3, 8, 8]);
  g.output(g.op('Mystery', [x], {}, { name: 'node_1', domain: 'com.example' }));
  const { code, what, facts } = await refusal('m.onnx', g.bytes());
  expect([code, what, facts.at(-1)]).toEqual([
    'E-MODEL-RUNTIME',
    'ONNX Runtime cannot load the model',
    'try: check that the model runs at all: python -c "import onnxruntime; onnxruntime.InferenceSession(\'model.onnx\')"',
  ]);
  expect(facts[0]).toMatch(/^why: .*com\.example.*Mystery/);
});

test('a copy of a model is compiled; the input is not touched', async () => {
  writeFileSync(at('a.onnx'), network());
  copyFileSync(at('a.onnx'), at('b.onnx'));
  const compiled = await compileModel(at('b.onnx'));
  compiled.write(at('out.onnx'));
  expect(readdirSync(folder).toSorted()).toEqual(['a.onnx', 'b.onnx', 'out.onnx']);
});
