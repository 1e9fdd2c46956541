/**
 * sparse_initializer and sparse_value are read as the dense tensors that ONNX Runtime makes of
 * them, and written in the smaller form.
 */
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { PruneCompileError } from '../../src/errors.js';
import { inspectModel } from '../../src/inspect.js';
import { DOUBLE, FLOAT, INT32, INT64, Tensor } from '../../src/ir/tensor.js';
import { encodeProto } from '../../src/onnx/encode.js';
import { AttributeType, type ModelProto, type SparseTensorProto } from '../../src/onnx/proto.js';
import { readModel } from '../../src/onnx/read.js';
import { writeTensor } from '../../src/onnx/tensors.js';
import { encodeModel } from '../../src/onnx/write.js';
import { verifyModels } from '../../src/verify/verify.js';

const DIMS = [8, 3, 3, 3];
const DEAD = [2, 5];
type Form = 'linear' | 'coordinates';

/** Four of five elements are zero, and two filters altogether. */
const DENSE = normals(6, 'w', 216).map((value, at) =>
  at % 5 === 0 && !DEAD.includes(Math.floor(at / 27)) ? value : 0,
);

function sparse(
  name: string,
  form: Form,
  dense: Float32Array = DENSE,
  dims: readonly number[] = DIMS,
): SparseTensorProto {
  const places = [...dense.keys()].filter((at) => dense[at] !== 0);
  const values = places.map((at) => dense[at] ?? 0);
  const coordinates = places.flatMap((place) => {
    let rest = place;
    return dims
      .toReversed()
      .map((extent) => {
        const index = rest % extent;
        rest = Math.floor(rest / extent);
        return index;
      })
      .toReversed();
  });
  const shape = form === 'linear' ? [places.length] : [places.length, dims.length];
  return {
    values: writeTensor(name, Tensor.fromNumbers(FLOAT, [places.length], values)),
    indices: writeTensor('', Tensor.fromNumbers(INT64, shape, form === 'linear' ? places : coordinates)),
    dims: [...dims],
  };
}

/** x -> Conv(w) -> Relu -> Conv -> y, with w as the model is told. */
function network(put: (model: ModelProto) => void): Uint8Array {
  const g = graphBuilder();
  const x = g.input('x', [1, 3, 8, 8]);
  g.initializer('w', DIMS, DENSE);
  const hidden = g.relu(g.conv(x, 'w', { bias: { data: [1, 2, 0, 3, 4, 0, 5, 6] } }));
  g.output(g.conv(hidden, { data: normals(6, 'v', 32), dims: [4, 8, 1, 1] }));
  const model = g.model();
  put(model);
  return encodeProto(model);
}

function asInitializer(tensor: SparseTensorProto): Uint8Array {
  return network(({ graph }) => {
    if (graph === undefined) return;
    graph.initializer = (graph.initializer ?? []).filter(({ name }) => name !== 'w');
    graph.sparseInitializer = [tensor];
  });
}

function asConstant(tensor: SparseTensorProto): Uint8Array {
  return network(({ graph }) => {
    if (graph === undefined) return;
    graph.initializer = (graph.initializer ?? []).filter(({ name }) => name !== 'w');
    const attribute = [{ name: 'sparse_value', type: AttributeType.SPARSE_TENSOR, sparseTensor: tensor }];
    graph.node = [{ opType: 'Constant', name: 'sparse', input: [], output: ['w'], attribute }, ...(graph.node ?? [])];
  });
}

const PLACES = { sparse_initializer: asInitializer, 'sparse_value of a Constant': asConstant } as const;
const FORMS: readonly Form[] = ['linear', 'coordinates'];
const CASES = FORMS.flatMap((form) => Object.entries(PLACES).map(([place, put]) => ({ form, place, put })));

describe.each(CASES)('$place, $form indices', ({ form, put }) => {
  const model = put(sparse('w', form));

  test('counts and loses its zeros as the dense model does', async () => {
    const dense = await compileModel(
      network(() => undefined),
      { align: 1 },
    );
    const { report, ...compiled } = await compileModel(model, { align: 1 });
    expect(report.before.zeros).toBe(dense.report.before.zeros);
    expect(report.after).toMatchObject({ channels: 10, parameters: dense.report.after.parameters });
    expect(await verifyModels(model, compiled.encode())).toMatchObject({ equal: true });
    expect(
      await verifyModels(
        network(() => undefined),
        compiled.encode(),
      ),
    ).toMatchObject({ equal: true });
    expect((await inspectModel(model)).layers[0]).toMatchObject({ zeroFilters: 2 });
  });

  test('is written as it was read where nothing changed', () => {
    expect(Buffer.from(encodeModel(readModel(model))).equals(model)).toBe(true);
  });
});

test('what was cut stays without its zeros where that is smaller', async () => {
  const compiled = await compileModel(asInitializer(sparse('w', 'linear')), { align: 1 });
  expect(readModel(compiled.encode()).proto.graph?.sparseInitializer).toHaveLength(1);
  const full = Float32Array.from(DENSE, (value, at) => (DEAD.includes(Math.floor(at / 27)) ? 0 : value + 1));
  const other = await compileModel(asInitializer(sparse('w', 'linear', full)), { align: 1 });
  expect(readModel(other.encode()).proto.graph?.sparseInitializer).toHaveLength(0);
  expect(other.report.after).toMatchObject({ channels: 10 });
});

test('one without any value is all zeros', async () => {
  const model = asInitializer(sparse('w', 'linear', new Float32Array(216)));
  expect((await inspectModel(model)).layers[0]).toMatchObject({ zeroFilters: 8 });
});

test('a -0 is a value', async () => {
  const { indices, dims } = sparse(
    'w',
    'linear',
    Float32Array.from({ length: 216 }, (_, at) => (at === 3 ? 1 : 0)),
  );
  const negative = {
    values: writeTensor('w', Tensor.fromNumbers(FLOAT, [1], [-0])),
    dims: dims ?? [],
    ...(indices && { indices }),
  };
  const { initializer } = readModel(asInitializer(negative)).graph.value('w');
  expect(initializer?.numbers()[3]).toBe(-0);
});

describe('damaged ones are refused', () => {
  const indices = (dims: readonly number[], places: readonly number[], dataType = INT64) =>
    writeTensor('', Tensor.fromNumbers(dataType, dims, places));
  const three = writeTensor('w', Tensor.fromNumbers(FLOAT, [3], [1, 2, 3]));
  const damages: Readonly<Record<string, SparseTensorProto>> = {
    'an index beyond the end': { values: three, indices: indices([3], [0, 1, 216]), dims: DIMS },
    'a negative index': { values: three, indices: indices([3], [-1, 1, 2]), dims: DIMS },
    'a coordinate beyond its axis': {
      values: writeTensor('w', Tensor.fromNumbers(FLOAT, [1], [1])),
      indices: indices([1, 4], [0, 3, 0, 0]),
      dims: DIMS,
    },
    'indices in disorder': { values: three, indices: indices([3], [5, 4, 6]), dims: DIMS },
    'repeated indices': { values: three, indices: indices([3], [4, 4, 6]), dims: DIMS },
    'fewer indices than values': { values: three, indices: indices([2], [4, 6]), dims: DIMS },
    'coordinates of another rank': { values: three, indices: indices([3, 2], [0, 1, 0, 2, 1, 1]), dims: DIMS },
    'indices of another type': { values: three, indices: indices([3], [1, 2, 3], INT32), dims: DIMS },
    'no indices': { values: three, dims: DIMS },
    'no values': { indices: indices([3], [1, 2, 3]), dims: DIMS },
    'values that are no list': {
      values: writeTensor('w', Tensor.fromNumbers(FLOAT, [3, 1], [1, 2, 3])),
      indices: indices([3], [1, 2, 3]),
      dims: DIMS,
    },
    'impossible dims': { values: three, indices: indices([3], [1, 2, 3]), dims: [8, -3, 3, 3] },
    'dims beyond all memory': {
      values: writeTensor('w', Tensor.fromNumbers(DOUBLE, [3], [1, 2, 3])),
      indices: indices([3], [1, 2, 3]),
      dims: [2 ** 20, 2 ** 20],
    },
  };
  test.each(Object.entries(damages))('%s', (_, damaged) => {
    for (const put of Object.values(PLACES)) {
      const model = put(damaged);
      expect(() => readModel(model)).toThrow(PruneCompileError);
      expect(() => readModel(model)).toThrow(expect.objectContaining({ code: 'E-MODEL-INVALID' }) as Error);
    }
  });
});
