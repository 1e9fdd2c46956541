/**
 * Functions of a model are put in the place of their calls where that is exact. ONNX Runtime, which
 * has an inliner of its own, runs the model as it was written and as it is written again.
 */
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder, scalar, type TensorLiteral } from '../../fixtures/networks/graph-builder.js';
import { attributeProto } from '../../fixtures/networks/literals.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { encodeProto } from '../../src/onnx/encode.js';
import { type AttributeProto, AttributeType, type FunctionProto, type ModelProto } from '../../src/onnx/proto.js';
import { readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';
import { createSession } from '../../src/runtime/session.js';
import { verifyModels } from '../../src/verify/verify.js';
import { weights } from '../passes/dead-pair.js';

const OWN = { domain: 'own' };

interface Body extends Omit<FunctionProto, 'node' | 'opsetImport'> {
  readonly name: string;
  readonly imports?: Readonly<Record<string, number>>;
  readonly build: (g: GraphBuilder) => void;
}

/** Constants of a body are Constant nodes. */
function functionOf({ build, imports = {}, ...rest }: Body): FunctionProto {
  const g = graphBuilder({ constantNodes: true });
  build(g);
  const versions = { '': 17, ...imports };
  const opsetImport = Object.entries(versions).map(([domain, version]) => ({ domain, version }));
  return { domain: 'own', node: g.graph().node ?? [], opsetImport, ...rest };
}

function modelOf(functions: readonly Body[], build: (g: GraphBuilder, x: string) => void): ModelProto {
  const g = graphBuilder();
  build(g, g.input('x', [2, 3, 5, 4]));
  const { opsetImport = [], ...model } = g.model();
  const hasOwn = opsetImport.some(({ domain }) => domain === 'own');
  const imported = hasOwn ? opsetImport : [...opsetImport, { domain: 'own', version: 1 }];
  return { ...model, irVersion: 10, opsetImport: imported, functions: functions.map(functionOf) };
}

/** Of an attribute of the body that the call gives. */
function reference(name: string, refAttrName: string, type: number): AttributeProto {
  return { name, refAttrName, type };
}

async function run(bytes: Uint8Array): Promise<Float32Array[]> {
  const session = await createSession(bytes, { optimize: false });
  const results = await session.run({ x: new ort.Tensor(normals(3, 'x', 120), [2, 3, 5, 4]) });
  await session.release();
  return Object.values(results).map(({ data }) => data as Float32Array);
}

/** The operators of the graph as it is read. Outputs stay what they are, bit for bit. */
async function operatorsOf(model: ModelProto): Promise<string[]> {
  const bytes = encodeProto(model);
  const read = readModel(bytes);
  const written = encodeModel(read);
  expect(await run(written)).toEqual(await run(bytes));
  return read.graph.nodes.map(({ qualifiedOp }) => qualifiedOp);
}

const PAIR: Body = {
  name: 'Pair',
  input: ['a', 'w1', 'b1', 'w2'],
  output: ['b'],
  build: (g) => {
    const hidden = g.relu(g.conv('a', 'w1', { kernel: [3, 3], pads: 1, bias: 'b1' }));
    g.op('Conv', [hidden, 'w2'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }, { outputs: ['b'] });
  },
};

/** As exporters write modules: weights are operands of the call. */
function pair(g: GraphBuilder, x: string, name: string): string {
  const first = g.initializer(
    `${name}.w1`,
    [6, 3, 3, 3],
    weights(`${name}.w1`, [6, 3, 3], { filters: [0, 2, 3] }).data,
  );
  const bias: TensorLiteral = { data: normals(2, name, 6) };
  return g.op('Pair', [x, first, bias, weights(`${name}.w2`, [3, 6, 3])], {}, { ...OWN, name });
}

describe('inlined', () => {
  test('each call with names of its own; channels inside go', async () => {
    const model = modelOf([PAIR], (g, x) => g.output(pair(g, pair(g, x, 'one'), 'two')));
    expect(await operatorsOf(model)).toEqual(['Conv', 'Relu', 'Conv', 'Conv', 'Relu', 'Conv']);
    const bytes = encodeProto(model);
    const compiled = await compileModel(bytes, { align: 1 });
    expect(compiled.report.before.channels - compiled.report.after.channels).toBe(6);
    expect(await verifyModels(bytes, compiled.encode())).toMatchObject({ equal: true });
  });

  test('a model of which nothing goes is written as it was', async () => {
    const bytes = encodeProto(
      modelOf(
        [{ name: 'Twice', input: ['a'], output: ['b'], build: (g) => g.op('Add', ['a', 'a'], {}, { outputs: ['b'] }) }],
        (g, x) => g.output(g.op('Twice', [x], {}, OWN)),
      ),
    );
    expect((await compileModel(bytes)).encode()).toEqual(bytes);
  });

  const slope = (rest: Partial<Body>): Body => ({
    name: 'Slope',
    input: ['a'],
    output: ['b'],
    build: (g) => g.op('LeakyRelu', ['a'], {}, { outputs: ['b'] }),
    ...rest,
  });
  const withReference = (model: ModelProto): ModelProto => {
    for (const { node = [] } of model.functions ?? [])
      for (const each of node)
        if (each.opType === 'LeakyRelu') each.attribute = [reference('alpha', 'slope', AttributeType.FLOAT)];
    return model;
  };

  const BY_DEFAULT = { attributeProto: [attributeProto('slope', { float: 0.25 })] };
  const NO_DEFAULT = { attribute: ['slope'] };

  test.each([
    { name: 'given', declared: NO_DEFAULT, given: { slope: { float: 0.75 } }, alpha: 0.75 },
    { name: 'left out, without a default', declared: NO_DEFAULT, given: {}, alpha: 0.01 },
    { name: 'left out, with a default', declared: BY_DEFAULT, given: {}, alpha: 0.25 },
    { name: 'given, with a default', declared: BY_DEFAULT, given: { slope: { float: 0.5 } }, alpha: 0.5 },
  ])('attributes: $name', async ({ declared, given, alpha }) => {
    const model = withReference(modelOf([slope(declared)], (g, x) => g.output(g.op('Slope', [x], given, OWN))));
    await operatorsOf(model);
    expect(readModel(encodeProto(model)).graph.nodes[0]?.float('alpha', 0.01)).toBeCloseTo(alpha);
  });

  test('functions in functions, an attribute handed on', async () => {
    const outer: Body = {
      name: 'Outer',
      input: ['a'],
      output: ['b', 'c'],
      attribute: ['slope'],
      imports: { own: 1 },
      build: (g) => {
        const once = g.op('Slope', ['a'], {}, OWN);
        g.op('Slope', [once], {}, { ...OWN, outputs: ['b'] });
        g.op('Neg', [once], {}, { outputs: ['c'] });
      },
    };
    const model = withReference(
      modelOf([outer, slope({ attribute: ['slope'] })], (g, x) => {
        const [b = '', c = ''] = g.ops('Outer', [x], { slope: { float: 0.5 } }, { ...OWN, outputs: 2 });
        g.output(g.add(b, c));
      }),
    );
    for (const each of model.functions?.[0]?.node ?? [])
      if (each.opType === 'Slope') each.attribute = [reference('slope', 'slope', AttributeType.FLOAT)];
    expect(await operatorsOf(model)).toEqual(['LeakyRelu', 'LeakyRelu', 'Neg', 'Add']);
  });

  test('inputs and outputs that a call leaves out', async () => {
    const body: Body = {
      name: 'Bounded',
      input: ['a', 'low', 'high'],
      output: ['b', 'c'],
      build: (g) => {
        g.op('Clip', ['a', 'low', 'high'], {}, { outputs: ['b'] });
        g.op('Abs', ['b'], {}, { outputs: ['c'] });
      },
    };
    const model = modelOf([body], (g, x) => {
      g.output(g.op('Bounded', [x, '', scalar(0.5)], {}, { ...OWN, outputs: ['', 'second'] }));
      g.output(g.op('Bounded', [x], {}, { ...OWN, outputs: ['third', ''] }));
      g.output('second');
    });
    model.graph?.output?.shift();
    expect(await operatorsOf(model)).toEqual(['Clip', 'Abs', 'Clip', 'Abs']);
  });

  test('subgraphs in a body, and calls in subgraphs', async () => {
    const branch = (opType: string) => {
      const g = graphBuilder({ name: opType });
      g.output(g.op(opType, ['inner'], {}, { outputs: ['made'], ...(opType === 'Pass' ? OWN : {}) }));
      return { graph: g.graph() };
    };
    const choose: Body = {
      name: 'Choose',
      input: ['a', 'flag'],
      output: ['b'],
      imports: { own: 1 },
      build: (g) => {
        g.op('Exp', ['a'], {}, { outputs: ['inner'] });
        g.op('If', ['flag'], { then_branch: branch('Neg'), else_branch: branch('Pass') }, { outputs: ['b'] });
      },
    };
    const pass: Body = {
      name: 'Pass',
      input: ['inner'],
      output: ['made'],
      build: (g) => g.op('Sqrt', ['inner'], {}, { outputs: ['made'] }),
    };
    const model = modelOf([choose, pass], (g, x) => {
      const flag = (value: boolean) => g.initializer(`flag${String(value)}`, [], [value]);
      const inner = g.op('Choose', [x, flag(true)], {}, { ...OWN, outputs: ['inner'] });
      g.output(g.add(inner, g.op('Choose', [x, flag(false)], {}, OWN)));
    });
    expect(await operatorsOf(model)).toEqual(['Exp', 'If', 'Exp', 'If', 'Add']);
    expect(readModel(encodeProto(model)).proto.functions ?? []).toHaveLength(0);
  });

  test('operator sets that only a body uses are imported', async () => {
    const gelu: Body = {
      name: 'Activation',
      input: ['a'],
      output: ['b'],
      imports: { 'com.microsoft': 1 },
      build: (g) => g.op('Gelu', ['a'], {}, { outputs: ['b'], domain: 'com.microsoft' }),
    };
    const model = modelOf([gelu], (g, x) => g.output(g.op('Activation', [x], {}, OWN)));
    expect(await operatorsOf(model)).toEqual(['com.microsoft::Gelu']);
  });
});

describe('left as they are', () => {
  const absolute = (rest: Partial<Body> = {}): Body => ({
    name: 'Absolute',
    input: ['a'],
    output: ['b'],
    build: (g) => g.op('Abs', ['a'], {}, { outputs: ['b'] }),
    ...rest,
  });

  test('functions that count on another operator set', async () => {
    const model = modelOf([absolute({ imports: { '': 13 } })], (g, x) => g.output(g.op('Absolute', [x], {}, OWN)));
    expect(await operatorsOf(model)).toEqual(['own::Absolute']);
  });

  test('a function with the name of an operator: ONNX Runtime runs its own', async () => {
    const body = absolute({ name: 'Relu', domain: '' });
    const model = modelOf([body], (g, x) => g.output(g.relu(x)));
    expect(await operatorsOf(model)).toEqual(['Relu']);
    const { graph } = readModel(encodeProto(model));
    expect(graph.nodes[0]?.domain).toBe('');
  });

  test('functions that call themselves, over others too', () => {
    const calling = (name: string, other: string) =>
      absolute({ name, imports: { own: 1 }, build: (g) => g.op(other, ['a'], {}, { ...OWN, outputs: ['b'] }) });
    const model = modelOf([calling('One', 'Two'), calling('Two', 'One')], (g, x) =>
      g.output(g.op('One', [x], {}, OWN)),
    );
    const { graph, proto } = readModel(encodeProto(model));
    expect(graph.nodes.map(({ qualifiedOp }) => qualifiedOp)).toEqual(['own::One']);
    expect(proto.functions).toHaveLength(2);
  });

  test('two functions of one name, and calls with more than the function takes', () => {
    const twice = modelOf([absolute(), absolute()], (g, x) => g.output(g.op('Absolute', [x], {}, OWN)));
    const many = modelOf([absolute()], (g, x) => g.output(g.op('Absolute', [x, x], {}, OWN)));
    for (const model of [twice, many]) {
      const { graph } = readModel(encodeProto(model));
      expect(graph.nodes.map(({ qualifiedOp }) => qualifiedOp)).toEqual(['own::Absolute']);
    }
  });

  test('what would become too many nodes', () => {
    const doubling = Array.from({ length: 30 }, (_, level) =>
      absolute({
        name: `Level${level}`,
        imports: { own: 1 },
        build: (g) => {
          const next = (a: string, outputs: readonly string[]) =>
            level === 29 ? g.op('Abs', [a], {}, { outputs }) : g.op(`Level${level + 1}`, [a], {}, { ...OWN, outputs });
          next(next('a', ['half']), ['b']);
        },
      }),
    );
    const model = modelOf(doubling, (g, x) => g.output(g.op('Level0', [x], {}, OWN)));
    expect(readModel(encodeProto(model)).graph.nodes).toHaveLength(1);
  });
});
