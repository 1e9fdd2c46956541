/** From a problem to an ONNX model and the input extents to run it with. */
import type { Dim } from '../../fixtures/graph-builder.js';
import type { Problem, Step } from './random-graphs.js';
import { isImage, isStatic, product, Sketch, type Value } from './sketch.js';
import * as layers from './steps-layers.js';
import * as layout from './steps-layout.js';
import * as pointwise from './steps-pointwise.js';

export interface Built {
  readonly bytes: Uint8Array;
  /** Extents of every input per test size; one size where nothing is symbolic. */
  readonly sizes: readonly Readonly<Record<string, readonly number[]>>[];
}

/** Odd and even, not square: windows and strides then meet both kinds of border. */
const SIZES = [
  [1, 7, 6],
  [2, 10, 9],
] as const;

export function buildGraph(problem: Problem): Built {
  const s = new Sketch(problem.seed, {
    opset: problem.opset,
    constantNodes: problem.weightsAre === 'constants',
    ...(problem.weightsAre === 'inputs' ? { initializersAsInputs: true } : {}),
  });
  const inputs = problem.inputs.map((channels, index) => addInput(s, `x${index}`, channels, problem.symbolic));
  for (const step of problem.steps) takeStep(s, step);
  const last = addHead(s, problem) ?? s.values.at(-1);
  const outputs = new Set([last, ...problem.extraOutputs.map((age) => s.pick(age))]);
  for (const value of outputs) if (value !== undefined) s.g.output(value.name);
  const sizes = problem.symbolic === 'none' ? [0] : [0, 1];
  return {
    bytes: s.g.bytes(),
    sizes: sizes.map((size) => Object.fromEntries(inputs.map(({ name, dims }) => [name, dims[size] ?? []]))),
  };
}

function addInput(s: Sketch, name: string, channels: number, symbolic: Problem['symbolic']): Value {
  const [[batch, height, width], [batches, higher, wider]] = SIZES;
  const isBatch = symbolic === 'batch' || symbolic === 'both';
  const isSpace = symbolic === 'space' || symbolic === 'both';
  const dims: Dim[] = [isBatch ? 'batch' : batch, channels, isSpace ? 'height' : height, isSpace ? 'width' : width];
  const second = [isBatch ? batches : batch, channels, isSpace ? higher : height, isSpace ? wider : width];
  const value: Value = { name, dims: [[batch, channels, height, width], second] };
  s.g.input(name, dims);
  s.keep(value);
  return value;
}

function takeStep(s: Sketch, step: Step): void {
  switch (step.kind) {
    case 'conv':
      return void layers.conv(s, step);
    case 'norm':
      return void layers.norm(s, step);
    case 'gate':
      return void layers.gate(s, step);
    case 'residual':
      return void layers.residual(s, step);
    case 'gemm':
      return void layers.gemm(s, step);
    case 'matmul':
      return void layers.matmul(s, step);
    case 'activation':
      return void pointwise.activation(s, step);
    case 'combine':
      return void pointwise.combine(s, step);
    case 'scale':
      return void pointwise.scale(s, step);
    case 'pool':
      return void layout.pool(s, step);
    case 'global':
      return void layout.globally(s, step);
    case 'flatten':
      return void layout.flatten(s, step);
    case 'pad':
      return void layout.pad(s, step);
    case 'slice':
      return void layout.slice(s, step);
    case 'concat':
      return void layout.concat(s, step);
    case 'transpose':
      return void layout.transpose(s, step);
    case 'shuffle':
      return void layout.shuffle(s, step);
    case 'if':
      return void layout.branch(s, step);
    case 'gather':
      return void layout.gather(s, step);
  }
}

const OPEN = { dead: 0, unread: 0, odd: 'none', bias: 'loud', holder: 'initializer' } as const;

/** A reader without masks behind the last value: what the masks let go is then not held by the model's output. */
function addHead(s: Sketch, { head }: Problem): Value | undefined {
  const image = s.values.findLast(isImage);
  if (head === 'none' || image === undefined) return undefined;
  if (head === 'conv') return layers.convolve(s, image, 3, [1, 1], OPEN);
  const flat = isStatic(image, 1)
    ? s.push(s.g.flatten(image.name), ([n = 1, ...rest]) => [n, product(rest)], image)
    : s.push(s.g.reduceMean(image.name, [2, 3], { keepDims: false }), ([n = 1, c = 1]) => [n, c], image);
  return flat && layers.project(s, flat, { out: 3, transposed: true, alpha: 1, beta: 1, biasForm: 'row', mask: OPEN });
}
