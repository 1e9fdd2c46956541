/** Layers inside branches and bodies lose channels of their own. Outside nothing notices. */
import { describe, expect, test } from 'vitest';
import { type Dim, graphBuilder, type GraphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { BOOL, INT64 } from '../../src/ir/tensor.js';
import { compileModel } from '../../src/compile.js';
import { readModel } from '../../src/onnx/read.js';
import type { GraphProto, NodeProto } from '../../src/onnx/proto.js';
import { verifyModels } from '../../src/verify/verify.js';
import { weights } from './dead-pair.js';

const IMAGE: readonly Dim[] = ['n', 2, 5, 5];
const SMALL: readonly Dim[] = [1, 2, 5, 5];
const DEAD = [0, 2, 3];

/** Six filters, of which three are dead, a Relu, and as many filters as come in. */
function pair(g: GraphBuilder, x: string, name: string, outer?: GraphBuilder): string {
  const holder = outer ?? g;
  const stored = (wish: string, { data, dims }: ReturnType<typeof weights>) =>
    holder.initializer(`${name}.${wish}`, dims, data);
  const first = stored('w1', weights(`${name}.w1`, [6, 2, 3], { filters: DEAD }));
  const second = stored('w2', weights(`${name}.w2`, [2, 6, 3]));
  const bias = holder.initializer(`${name}.b1`, [6], [0.5, 1, -0.5, 0, 0.25, 0.75]);
  const at = (layer: string) => ({ kernel: [3, 3], pads: 1, name: `${name}/${layer}` });
  return g.conv(g.relu(g.conv(x, first, { ...at('first'), bias }), { name: `${name}/relu` }), second, at('second'));
}

function branch(x: string, name: string, outer?: GraphBuilder, opset = 17): { graph: GraphProto } {
  const g = graphBuilder({ name, opset });
  g.output(pair(g, x, name, outer));
  return { graph: g.graph() };
}

/** A branch, by what the sum of the image is. */
function choice(outer: boolean, opset = 17): Uint8Array {
  const g = graphBuilder({ opset });
  const x = g.relu(g.input('x', IMAGE));
  const isLarge = g.op('Greater', [g.op('ReduceMean', [x], { keepdims: 0 }), { data: [0.4], dims: [] }]);
  const holder = outer ? g : undefined;
  const branches = {
    then_branch: branch(x, 'large', holder, opset),
    else_branch: branch(x, 'small', holder, opset),
  };
  g.output(g.relu(g.op('If', [isLarge], branches)));
  return g.bytes();
}

/** Three turns of a body, which hands the image on. */
function loop({
  isTyped = true,
  inner,
}: { isTyped?: boolean; inner?: (g: GraphBuilder, image: string) => string } = {}) {
  const body = graphBuilder({ name: 'body' });
  body.input('turn', [], INT64);
  const goesOn = body.op('Identity', [body.input('goesOn', [], BOOL)]);
  const image = body.input('image', SMALL);
  body.output(goesOn, [], BOOL);
  body.output(body.op('Tanh', [inner === undefined ? pair(body, image, 'body') : inner(body, image)]));
  const graph = body.graph();
  if (!isTyped) for (const entry of graph.input ?? []) delete entry.type;
  const g = graphBuilder();
  const x = g.input('x', SMALL);
  g.output(g.op('Loop', [{ data: [3n], dims: [] }, { data: [true], dims: [] }, x], { body: { graph } }));
  return g.bytes();
}

function scan(): Uint8Array {
  const body = graphBuilder({ name: 'body' });
  const [state, slice] = [body.input('state', SMALL), body.input('slice', SMALL)];
  const next = body.op('Tanh', [body.add(state, pair(body, slice, 'body'))]);
  body.output(next);
  body.output(body.relu(next));
  const g = graphBuilder();
  const x = g.input('x', [3, ...SMALL]);
  const attributes = { body: { graph: body.graph() }, num_scan_inputs: 1 };
  const state0 = g.op('ConstantOfShape', [int64(SMALL.map(Number))]);
  for (const output of g.ops('Scan', [state0, x], attributes, { outputs: 2 })) g.output(output);
  return g.bytes();
}

/** Filters of all convolutions, subgraphs included. */
function filters(bytes: Uint8Array): number {
  const { proto, graph } = readModel(bytes);
  const outside = new Map([...graph.initializers()].map(({ name, initializer }) => [name, initializer.dims[0] ?? 0]));
  const count = ({ node = [], initializer = [] }: GraphProto, known: ReadonlyMap<string, number>): number => {
    const visible = new Map([
      ...known,
      ...initializer.map(({ name = '', dims = [] }) => [name, Number(dims[0])] as const),
      ...node.flatMap(({ output = [], attribute = [] }) =>
        attribute.flatMap(({ t }) => (t === undefined ? [] : [[output[0] ?? '', Number(t.dims?.[0])] as const])),
      ),
    ]);
    const own = node.filter(({ opType, metadataProps = [] }) => opType === 'Conv' && metadataProps.length === 0);
    const inner = node.flatMap((each: NodeProto) => (each.attribute ?? []).flatMap(({ g }) => g ?? []));
    const total = own.reduce((sum, { input = [] }) => sum + (visible.get(input[1] ?? '') ?? 0), 0);
    return inner.reduce((sum, each) => sum + count(each, visible), total);
  };
  return count(proto.graph ?? {}, outside);
}

describe('channels go', () => {
  test.each([
    ['in branches with weights of their own', choice(false), 6],
    ['in branches whose weights lie outside', choice(true), 6],
    ['in the body of a Loop', loop(), 3],
    ['in the body of a Scan', scan(), 3],
    [
      'in a branch inside a body',
      loop({
        inner: (g, image) => {
          const isLarge = g.op('Greater', [g.op('ReduceMean', [image], { keepdims: 0 }), { data: [0.1], dims: [] }]);
          return g.op('If', [isLarge], { then_branch: branch(image, 'large', g), else_branch: branch(image, 'small') });
        },
      }),
      6,
    ],
  ])('%s', async (_, bytes, removed) => {
    const compiled = await compileModel(bytes, { align: 1 });
    const output = compiled.encode();
    expect(filters(bytes) - filters(output)).toBe(removed);
    expect(await verifyModels(bytes, output)).toMatchObject({ equal: true });
    expect((await compileModel(output, { align: 1 })).report.changed).toBe(false);
  });

  test.each([
    [7, true],
    [8, true],
    [8, false],
    [9, true],
  ])('as old formats have it: opset %d, weights outside %s', async (opset, outer) => {
    const bytes = choice(outer, opset);
    const compiled = await compileModel(bytes, { align: 1 });
    const output = compiled.encode();
    expect(compiled.report.changed).toBe(true);
    expect(await verifyModels(bytes, output)).toMatchObject({ equal: true });
    expect((await compileModel(output, { align: 1 })).report.changed).toBe(false);
    expect(filters(bytes) - filters(output)).toBe(6);
  });

  test('what is left outside is what somebody still reads', async () => {
    const { graph } = readModel((await compileModel(choice(true), { align: 1 })).encode());
    expect([...graph.initializers()].map(({ name }) => name).filter((name) => name.startsWith('large'))).toEqual([]);
  });

  test('the report says where', async () => {
    const { report } = await compileModel(loop(), { align: 1 });
    expect(report.remarks.filter(({ kind }) => kind === 'applied').map(({ node }) => node)).toContainEqual(
      expect.stringContaining('inside Loop'),
    );
  });
});

describe('left as they are', () => {
  test('a body of inputs without a type is said', async () => {
    const { report } = await compileModel(loop({ isTyped: false }), { align: 1 });
    expect(report.changed).toBe(false);
    expect(report.remarks.map(({ message }) => message)).toContainEqual(
      expect.stringContaining('the subgraph body of Loop stays as it is'),
    );
  });

  test('nothing dead inside', async () => {
    const body = (g: GraphBuilder, image: string) => g.conv(image, weights('plain', [2, 2, 3]), { pads: 1 });
    const bytes = loop({ inner: body });
    expect((await compileModel(bytes, { align: 1 })).encode()).toEqual(bytes);
  });
});
