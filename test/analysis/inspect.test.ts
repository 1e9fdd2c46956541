/** inspect and why on a residual network: what could go, and what holds the rest. */
import { describe, expect, test } from 'vitest';
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { inspectModel } from '../../src/inspect.js';
import { renderInspection } from '../../src/report/inspection.js';
import { explainNode } from '../../src/why.js';

/**
 * x -> stem (4) -> [a (4, filter 1 zero) -> b (4, filter 2 zero)] + stem -> head; Shrink has no
 * row.
 */
function residual(unknown = false): Uint8Array {
  const g = graphBuilder();
  const weights = (name: string, rows: number, columns: number, zeroFilter?: number) => {
    const data = normals(11, name, rows * columns);
    if (zeroFilter !== undefined) data.fill(0, zeroFilter * columns, (zeroFilter + 1) * columns);
    return { data, dims: [rows, columns, 1, 1] };
  };
  const x = g.input('x', [1, 3, 6, 6]);
  const stem = g.conv(x, weights('stem', 4, 3), { name: 'stem' });
  const inner = g.conv(stem, weights('a', 4, 4, 1), { name: 'a' });
  const branch = g.conv(
    unknown ? g.op('Trilu', [inner], {}, { name: 'triangle' }) : g.relu(inner),
    weights('b', 4, 4, 2),
    {
      name: 'b',
    },
  );
  g.output(g.conv(g.add(stem, branch, { name: 'sum' }), weights('head', 2, 4), { name: 'head' }), [1, 2, 6, 6]);
  return g.bytes();
}

describe('inspect', () => {
  test('counts zero filters, constants and what can go', async () => {
    const { layers, removableChannels } = await inspectModel(residual());
    const of = (name: string) => layers.find(({ node }) => node === name);
    expect(of('a')).toMatchObject({ outputChannels: 4, zeroFilters: 1, constantChannels: 1, removableChannels: 1 });
    expect(of('b')).toMatchObject({ outputChannels: 4, zeroFilters: 1, constantChannels: 1, removableChannels: 0 });
    expect(removableChannels).toBe(1);
  });

  test('names operators without a row that stand in the way', async () => {
    const { unknownOps, remarks } = await inspectModel(residual(true));
    expect(unknownOps).toEqual([{ op: 'Trilu', count: 1 }]);
    expect(remarks.some(({ message }) => message.includes('Trilu'))).toBe(true);
  });
});

describe('what has no figures is said', () => {
  test('layers inside subgraphs', async () => {
    const kernel = { data: normals(1, 'w', 16), dims: [4, 4, 1, 1] };
    const branch = (depth: number): { graph: ReturnType<GraphBuilder['graph']> } => {
      const g = graphBuilder();
      const own = g.conv('x', kernel, { name: `inside${depth}` });
      g.output(depth === 0 ? own : g.op('If', [{ data: [true], dims: [] }], twice(depth - 1), { name: `if${depth}` }));
      return { graph: g.graph() };
    };
    const twice = (depth: number) => ({ then_branch: branch(depth), else_branch: branch(depth) });
    const g = graphBuilder();
    g.input('x', [1, 4, 6, 6]);
    g.output(g.conv(g.op('If', [{ data: [true], dims: [] }], twice(1)), kernel, { name: 'outside' }));
    const inspection = await inspectModel(g.bytes());
    // Two branches with one layer each, and two more in each.
    expect(inspection.subgraphLayers).toBe(6);
    expect(inspection.layers.map(({ node }) => node)).toEqual(['outside']);
    expect(renderInspection(inspection)).toContain(
      'not counted: 6 layers inside If, Loop or Scan, which are compiled on their own',
    );
  });

  test('a layer in a form that no rule knows', async () => {
    const g = graphBuilder();
    const weights = { data: normals(1, 'w', 32), dims: [2, 4, 4] };
    g.output(g.op('MatMul', [g.input('x', [2, 3, 4]), weights], {}, { name: 'batch' }));
    const text = renderInspection(await inspectModel(g.bytes()));
    expect(text).toContain('no channels are known that could go');
    expect(text).toContain('no layer has constant weights of a supported form');
  });

  test('a product of one row without a batch axis is a layer', async () => {
    const g = graphBuilder();
    const weights = normals(1, 'w', 32).map((value, at) => (at % 8 === 0 ? 0 : value));
    const hidden = g.op('MatMul', [g.input('x', [4]), { data: weights, dims: [4, 8] }], {}, { name: 'first' });
    g.output(g.op('MatMul', [hidden, { data: normals(1, 'v', 16), dims: [8, 2] }], {}, { name: 'last' }));
    const { layers, removableChannels } = await inspectModel(g.bytes());
    expect(layers).toMatchObject([
      { node: 'first', outputChannels: 8, zeroFilters: 1, removableChannels: 1 },
      { node: 'last', outputChannels: 2 },
    ]);
    expect(removableChannels).toBe(1);
  });
});

describe('why', () => {
  test('a dead channel of a branch is held by the layer that reads the sum', async () => {
    const { groups } = await explainNode(residual(), 'b');
    const held = groups.find(({ channels }) => channels.includes(2));
    expect(held?.state).toBe('kept');
    expect(held?.chain[0]?.reason).toContain('dead here');
    expect(held?.chain.at(-1)?.reason).toContain('needs them');
  });

  test('a removable channel is said to be one', async () => {
    const { groups } = await explainNode(residual(), 'a');
    expect(groups.find(({ channels }) => channels.includes(1))?.state).toBe('removable');
  });

  test('a dead channel of a grouped layer is held by the group that needs more', async () => {
    const g = graphBuilder();
    const weights = (name: string, dims: readonly [number, number, number, number], zeros: readonly number[]) => {
      const data = normals(11, name, dims[0] * dims[1]);
      for (const filter of zeros) data.fill(0, filter * dims[1], (filter + 1) * dims[1]);
      return { data, dims };
    };
    const x = g.input('x', [1, 3, 6, 6]);
    const first = g.relu(g.conv(x, weights('first', [8, 3, 1, 1], [0, 1, 4]), { name: 'first' }));
    const inner = g.relu(g.conv(first, weights('inner', [8, 4, 1, 1], [2, 3, 5, 6, 7]), { group: 2, name: 'inner' }));
    g.output(g.conv(inner, weights('last', [2, 8, 1, 1], []), { name: 'last' }));
    const { groups } = await explainNode(g.bytes(), 'inner');
    expect(groups.filter(({ state }) => state === 'removable').map(({ channels }) => channels)).toEqual([[2, 3, 6, 7]]);
    expect(groups.find(({ channels }) => channels.includes(5))).toEqual({
      channels: [5],
      state: 'kept',
      cause: 'group',
      chain: [
        { node: 'inner', op: 'Conv', reason: 'dead here, but fillers: groups stay equal' },
        {
          node: 'inner',
          op: 'Conv',
          reason: 'group 0 needs 2 of its 4 output channels, and every group has to keep as many',
        },
      ],
    });
    const held = (await explainNode(g.bytes(), 'first')).groups.find(({ channels }) => channels.includes(0));
    expect(held?.chain.map(({ node }) => node)).toEqual(['first', 'Relu', 'inner']);
    const { layers } = await inspectModel(g.bytes());
    expect(layers.map(({ node, removableChannels }) => [node, removableChannels])).toEqual([
      ['first', 2],
      ['inner', 4],
      ['last', 0],
    ]);
  });

  test('modules and parameters stand for their layer', async () => {
    const g = graphBuilder();
    const weight = (name: string, dims: readonly number[]) =>
      g.initializer(
        name,
        dims,
        Float32Array.from({ length: dims.reduce((all, dim) => all * dim, 1) }, () => 1),
      );
    const x = g.input('x', [1, 3, 4, 4]);
    const first = g.conv(x, weight('block.0.first.weight', [4, 3, 1, 1]), { name: '/block/block.0/first/Conv' });
    const second = g.conv(g.relu(first), weight('block.0.second.weight', [4, 4, 1, 1]), {
      name: '/block/block.0/second/Conv',
    });
    g.output(g.conv(second, weight('last.weight', [2, 4, 1, 1]), { name: '/last/Conv' }));
    const model = g.bytes();
    const own = await explainNode(model, '/block/block.0/second/Conv');
    for (const name of ['block.0.second', 'block.0.second.weight']) expect(await explainNode(model, name)).toEqual(own);
    expect((await explainNode(model, 'last')).node).toBe('/last/Conv');
    await expect(explainNode(model, 'block.0')).rejects.toThrow(
      /the module "block.0" has 2 layers\n {2}one of: .*first.*second/,
    );
  });

  test('a name that nobody has is answered with the nearest ones', async () => {
    await expect(explainNode(residual(), 'stemm')).rejects.toMatchObject({ code: 'E-NODE-UNKNOWN' });
  });
});

describe('compile options', () => {
  test('--stop-after 0 changes nothing, and passes must exist', async () => {
    expect((await compileModel(residual(), { align: 1, stopAfter: 0 })).report.changed).toBe(false);
    await expect(compileModel(residual(), { skip: ['remove-everything'] })).rejects.toMatchObject({ code: 'E-USAGE' });
  });

  test('a cancelled compile throws', async () => {
    const controller = new AbortController();
    controller.abort();
    await expect(compileModel(residual(), { signal: controller.signal })).rejects.toThrow(/abort/i);
  });
});
