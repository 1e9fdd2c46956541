/** Rows and columns of a matrix of kernels, asked all at once, against kernels asked one by one. */
import { expect, test } from 'vitest';
import { WeightMatrix } from '../../src/channels/weight-matrix.js';
import { FLOAT, product, Tensor } from '../../src/ir/tensor.js';
import { Random } from '../../src/runtime/random.js';

const layouts = [
  { name: 'filters first', dims: [70, 33, 3, 3], axes: { outAxis: 0, inAxis: 1 }, groups: 1 },
  { name: 'inputs first', dims: [33, 70], axes: { outAxis: 1, inAxis: 0 }, groups: 1 },
  { name: 'a whole word a row', dims: [5, 64, 1, 1], axes: { outAxis: 0, inAxis: 1 }, groups: 1 },
  { name: 'three groups', dims: [12, 37, 1, 3], axes: { outAxis: 0, inAxis: 1 }, groups: 3 },
  { name: 'three groups, inputs first', dims: [12, 37, 1, 3], axes: { outAxis: 1, inAxis: 0 }, groups: 3 },
  { name: 'depthwise', dims: [40, 1, 3, 3], axes: { outAxis: 0, inAxis: 1 }, groups: 40 },
];

test.each(layouts)('$name', ({ dims, axes, groups }) => {
  const random = new Random(7, 'kernels');
  const values = Float32Array.from({ length: product(dims) }, () => (random.uniform() < 0.03 ? 1 : 0));
  const matrix = new WeightMatrix(Tensor.fromNumbers(FLOAT, dims, values), axes, groups);
  const all = { outputs: [...Array(matrix.outputs).keys()], inputs: [...Array(matrix.inputs).keys()] };
  const outputs = all.outputs.filter(() => random.uniform() < 0.3);
  const inputs = all.inputs.filter(() => random.uniform() < 0.3);
  const ofInputs = all.outputs.map((output) => Number(inputs.some((input) => matrix.connects(output, input))));
  const ofOutputs = all.inputs.map((input) => Number(outputs.some((output) => matrix.connects(output, input))));
  expect([...matrix.outputsOf(inputs)]).toEqual(ofInputs);
  expect([...matrix.inputsOf(outputs)]).toEqual(ofOutputs);
  expect([...matrix.outputsOf([])]).toEqual(all.outputs.map(() => 0));
});
