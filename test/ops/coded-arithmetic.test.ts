/** What the rows of operators on codes say of constants, against ONNX Runtime, code by code. */
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { float, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import type { Tensor } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { operatorOf } from '../../src/ops/registry.js';
import { Random } from '../../src/runtime/random.js';
import { createSession } from '../../src/runtime/session.js';

const CODES = 256;

interface Case {
  readonly type: string;
  readonly operands: 1 | 2;
  readonly attributes?: Parameters<ReturnType<typeof graphBuilder>['op']>[2];
}

const CASES: readonly Case[] = [
  { type: 'QLinearAdd', operands: 2 },
  { type: 'QLinearMul', operands: 2 },
  { type: 'QLinearLeakyRelu', operands: 1, attributes: { alpha: float(0.3) } },
  { type: 'QLinearSigmoid', operands: 1 },
  { type: 'QLinearGlobalAveragePool', operands: 1 },
  { type: 'QLinearAveragePool', operands: 1, attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] } },
  { type: 'QLinearConcat', operands: 1, attributes: { axis: 1 } },
];

/** Every code of each operand, along axis 0 and axis 1, on images of 2 x 2. */
async function agreement({ type, operands, attributes = {} }: Case, isSigned: boolean, seed: number): Promise<number> {
  const random = new Random(seed, type);
  const coding = () => {
    const zero = Math.floor(random.uniform() * CODES);
    const data = isSigned ? Int8Array.of(zero - 128) : Uint8Array.of(zero);
    return [
      { data: [0.002 * 2 ** (6 * random.uniform())], dims: [] },
      { data, dims: [] },
    ];
  };
  const g = graphBuilder();
  const dataType = isSigned ? 3 : 2;
  const names = ['a', 'b'].slice(0, operands);
  const inputs = names.flatMap((name, at) => {
    const dims = at === 0 ? [CODES, 1, 2, 2] : [1, CODES, 2, 2];
    return [g.op('Cast', [g.input(name, dims)], { to: dataType }), ...coding()];
  });
  const parameters = type === 'QLinearConcat' ? [...coding(), ...inputs] : [...inputs, ...coding()];
  const y = g.op(type, parameters, attributes, { domain: 'com.microsoft', name: 'y' });
  g.output(g.op('Cast', [y], { to: 1 }));
  const bytes = g.bytes();
  const first = isSigned ? -128 : 0;
  const feed = (at: number) => {
    const values = Float32Array.from({ length: CODES * 4 }, (_, index) => first + Math.floor(index / 4));
    return new ort.Tensor(values, at === 0 ? [CODES, 1, 2, 2] : [1, CODES, 2, 2]);
  };
  const session = await createSession(bytes, { optimize: false });
  const [result] = Object.values(await session.run(Object.fromEntries(names.map((name, at) => [name, feed(at)]))));
  await session.release();
  if (result === undefined) throw new Error('no output');
  const { graph } = readModel(bytes);
  const node = graph.nodes.find(({ name }) => name === 'y');
  const relation =
    node &&
    operatorOf(node)?.axes?.({
      node,
      opset: 17,
      inDims: (index) => (index < 6 ? [CODES, CODES, 2, 2] : undefined),
      outDims: () => [CODES, CODES, 2, 2],
      constant: (index): Tensor | undefined => node.inputs[index]?.initializer,
      ownExtents: () => undefined,
      integers: () => undefined,
    });
  if (node === undefined || relation?.kind !== 'pointwise') throw new Error('no relation');
  const of = [0, 1].slice(0, operands).map((at) => 3 * at + (type === 'QLinearConcat' ? 2 : 0));
  const [, columns = 1, ...places] = result.dims;
  const inner = places.reduce((total, extent) => total * extent, 1);
  let known = 0;
  for (let row = 0; row < CODES; row++)
    for (let column = 0; column < columns; column++) {
      const values = node.inputs.map((_, index) =>
        of.includes(index) ? first + (index === of[0] ? row : column) : undefined,
      );
      const claimed = relation.constant?.(values, 1);
      if (claimed === undefined) continue;
      known++;
      const start = (row * columns + column) * inner;
      for (let at = start; at < start + inner; at++)
        if (result.data[at] !== claimed) expect(result.data[at]).toBe(claimed);
    }
  return known / (CODES * columns);
}

describe.each([false, true])('signed codes: %s', (isSigned) => {
  test.each(CASES)('$type', async (entry) => {
    for (const seed of [1, 2, 3, 4]) expect(await agreement(entry, isSigned, seed)).toBeGreaterThan(0.75);
  });
});
