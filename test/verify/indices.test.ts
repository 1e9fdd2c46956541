/** Inputs that are whole numbers: rows of tables, pixels, and what decides. */
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { BOOL, FLOAT, INT32, INT64, UINT8 } from '../../src/ir/tensor.js';
import { verifyModels } from '../../src/verify/verify.js';

const WIDTH = 4;

interface TableOptions {
  readonly rows?: number;
  /** A row that is not as it should be. */
  readonly wrong?: number;
  readonly build?: (g: GraphBuilder, table: { data: Float32Array; dims: number[] }, ids: string) => string;
  readonly type?: number;
  readonly batch?: number | string;
}

function gathered(g: GraphBuilder, table: { data: Float32Array; dims: number[] }, ids: string): string {
  return g.op('Gather', [g.initializer('table', table.dims, table.data), ids]);
}

function lookup({ rows = 100, wrong, build = gathered, type = INT64, batch = 1 }: TableOptions = {}): Uint8Array {
  const g = graphBuilder();
  const ids = g.input('ids', [batch, 8], type);
  const data = normals(3, 'table', rows * WIDTH);
  if (wrong !== undefined) data[wrong * WIDTH + 1] = (data[wrong * WIDTH + 1] ?? 0) + 0.01;
  g.output(g.op('Sigmoid', [build(g, { data, dims: [rows, WIDTH] }, ids)]));
  return g.bytes();
}

describe('rows of tables', () => {
  test.each([0, 1, 2, 57, 98, 99])('a wrong weight in row %i of 100 is found', async (wrong) => {
    const result = await verifyModels(lookup(), lookup({ wrong }));
    expect(result.equal).toBe(false);
    expect(result.reason).toMatch(/differs by/);
  });

  const ways: Readonly<Record<string, TableOptions>> = {
    'indices of 32 bits': { type: INT32 },
    'indices behind Cast, Reshape and Unsqueeze': {
      type: INT32,
      build: (g, table, ids) => {
        const cast = g.op('Cast', [ids], { to: INT64 });
        return gathered(g, table, g.squeeze(g.unsqueeze(g.reshape(cast, [8]), [0]), [0]));
      },
    },
    'a constant added to the indices': {
      build: (g, table, ids) => gathered(g, table, g.add(ids, { data: [2n], dims: [1], dataType: INT64 })),
    },
    'a table with a mask on it': {
      build: (g, { data, dims }, ids) => {
        const mask = { data: new Float32Array(data.length).fill(1), dims };
        return g.op('Gather', [g.mul(g.initializer('table', dims, data), mask), ids]);
      },
    },
    'a lookup inside a branch': {
      build: (g, table, ids) => {
        const stored = g.initializer('table', table.dims, table.data);
        const branch = (name: string) => {
          const inner = graphBuilder();
          inner.output(inner.op('Gather', [stored, ids], {}, { outputs: [name] }));
          return { graph: inner.graph() };
        };
        const few = g.op('Less', [
          g.op('ReduceMin', [ids], { keepdims: 0 }),
          { data: [50n], dims: [], dataType: INT64 },
        ]);
        return g.op('If', [few], { then_branch: branch('few'), else_branch: branch('many') });
      },
    },
    GatherND: {
      build: (g, table, ids) =>
        g.op('GatherND', [g.initializer('table', table.dims, table.data), g.unsqueeze(ids, [2])]),
    },
  };
  test.each(Object.entries(ways))('%s', async (_, options) => {
    expect((await verifyModels(lookup(options), lookup(options))).equal).toBe(true);
    expect((await verifyModels(lookup(options), lookup({ ...options, wrong: 57 }))).equal).toBe(false);
  });
});

describe('what is not read is said', () => {
  const notesOf = async (options: TableOptions) => (await verifyModels(lookup(options), lookup(options))).notes;

  test('nothing where all rows were read', async () => {
    expect(await notesOf({ rows: 100 })).toEqual([]);
  });

  test('a table that is too large for that', async () => {
    const notes = await notesOf({ rows: 5000 });
    expect(notes).toEqual([
      'read were 160 of the 5000 rows of "table" (by input "ids"): an error in other rows is not seen',
    ]);
  });

  test('fewer where a batch may hold many of them', async () => {
    const batched: TableOptions = { rows: 500, batch: 'n' };
    const { cases, notes } = await verifyModels(lookup(batched), lookup(batched));
    expect(notes).toEqual([]);
    expect(cases.slice(5).map(({ shapes }) => shapes['ids'])).toEqual([
      [32, 8],
      [32, 8],
    ]);
    expect((await verifyModels(lookup(batched), lookup({ ...batched, wrong: 457 }))).equal).toBe(false);
  });

  test('the smallest table that an input indexes bounds it for all', async () => {
    const build: TableOptions['build'] = (g, table, ids) =>
      g.add(gathered(g, table, ids), g.op('Gather', [g.initializer('other', [20, WIDTH], normals(4, 'o', 80)), ids]));
    const notes = await notesOf({ build });
    expect(notes).toEqual([expect.stringMatching(/^read were 20 of the 100 rows of "table"/)]);
  });

  test('a model that does not run on all of them is compared on 0 and 1', async () => {
    // Ones, and a reshape that holds for few of them.
    const build: TableOptions['build'] = (g, table, ids) => {
      const total = g.op('ReduceMax', [ids], { keepdims: 1 });
      const limit = { data: [1n], dims: [1, 1], dataType: INT64 };
      const large = g.op('Cast', [g.op('Greater', [total, limit])], { to: INT64 });
      const shape = g.add(g.reshape(large, [1]), { data: [8n], dims: [1], dataType: INT64 });
      return gathered(g, table, g.op('Reshape', [ids, shape]));
    };
    const notes = await notesOf({ build });
    expect(notes.join()).toMatch(
      /0 and 1 only, and other rows of tables are not read: .* the reference fails \(.*Reshape/,
    );
    expect((await verifyModels(lookup({ build }), lookup({ build, wrong: 1 }))).equal).toBe(false);
  });
});

test('pixels of 8 bits are from the whole range', async () => {
  const image = (cap: number) => {
    const g = graphBuilder();
    const x = g.op('Cast', [g.input('x', [1, 3, 8, 8], UINT8)], { to: FLOAT });
    g.output(g.clip(x, 0, cap));
    return g.bytes();
  };
  expect((await verifyModels(image(255), image(255))).equal).toBe(true);
  expect((await verifyModels(image(255), image(240))).equal).toBe(false);
});

interface BranchOptions {
  /** Which branch adds something else. */
  readonly wrong?: 'then' | 'else';
  readonly condition?: (g: GraphBuilder) => string;
}

/** x plus 1 or x plus 2. */
function forked({ wrong, condition = byFlag }: BranchOptions = {}): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', [1, 4]);
  const cond = condition(g);
  const branch = (name: string, value: number) => {
    const inner = graphBuilder();
    inner.output(inner.op('Add', [x, { data: [value], dims: [1] }], {}, { outputs: [name] }));
    return { graph: inner.graph() };
  };
  const branches = {
    then_branch: branch('one', wrong === 'then' ? 1.5 : 1),
    else_branch: branch('two', wrong === 'else' ? 2.5 : 2),
  };
  g.output(g.op('If', [cond], branches, { name: 'fork' }));
  return g.bytes();
}

function byFlag(g: GraphBuilder): string {
  return g.input('flag', [], BOOL);
}

function threshold(value: number): (g: GraphBuilder) => string {
  return (g) => g.op('Greater', [g.op('ReduceMax', ['x'], { keepdims: 0 }), { data: [value], dims: [] }]);
}

function equals(value: bigint): (g: GraphBuilder) => string {
  return (g) => g.op('Equal', [g.input('mode', [], INT64), { data: [value], dims: [], dataType: INT64 }]);
}

describe('branches', () => {
  const conditions: Readonly<Record<string, (g: GraphBuilder) => string>> = {
    'an input that is true or false': byFlag,
    'an input that is one of many numbers': equals(17n),
    'a threshold that random inputs are below': threshold(50),
    'a threshold that random inputs are above': threshold(-50),
  };
  test.each(Object.entries(conditions))('both run, by %s', async (_, condition) => {
    const same = await verifyModels(forked({ condition }), forked({ condition }));
    expect(same.equal).toBe(true);
    expect(same.notes.join()).not.toMatch(/never ran/);
    for (const wrong of ['then', 'else'] as const)
      expect((await verifyModels(forked({ condition }), forked({ condition, wrong }))).equal).toBe(false);
  });

  test('one that no input reaches is named', async () => {
    const condition = (g: GraphBuilder) =>
      g.op('Greater', [g.op('ReduceMax', [g.op('Sigmoid', ['x'])], { keepdims: 0 }), { data: [2], dims: [] }]);
    const { equal, notes } = await verifyModels(forked({ condition }), forked({ condition, wrong: 'then' }));
    expect(equal).toBe(true);
    expect(notes.join()).toMatch(/^never ran in these cases: the then-branch of If "fork"; an error there is not seen/);
  });

  test('inputs that were given are looked at, too', async () => {
    const inputs = [true, true].map((flag) => ({
      x: new ort.Tensor('float32', new Float32Array(4), [1, 4]),
      flag: new ort.Tensor('bool', [flag], []),
    }));
    const { notes } = await verifyModels(forked(), forked(), { inputs });
    expect(notes.join()).toMatch(/the else-branch of If "fork"/);
  });
});

test('what Where chooses between, where one of it is never taken', async () => {
  const g = graphBuilder();
  const x = g.input('x', [1, 4]);
  const condition = g.op('Less', [g.op('Sigmoid', [x]), { data: [2], dims: [] }]);
  g.output(g.op('Where', [condition, x, g.op('Neg', [x])], {}, { name: 'choice' }));
  const { notes } = await verifyModels(g.bytes(), g.bytes());
  expect(notes.join()).toMatch(/never ran in these cases: the second choice of Where "choice"/);
});
