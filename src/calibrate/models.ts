/**
 * Small models that stand for a kind of layer, as networks have them: pairs of layers in a row,
 * wide between the two of a pair.
 */
import type { LayerKind } from '../cost/sparse-cost.js';
import { SPARSE_DOMAIN } from '../ir/graph.js';
import { FLOAT, Tensor } from '../ir/tensor.js';
import { encodeProto } from '../onnx/encode.js';
import { type AttributeProto, AttributeType, type NodeProto, type TensorProto } from '../onnx/proto.js';
import { writeTensor } from '../onnx/tensors.js';
import { typeOf } from '../onnx/write.js';
import { Random } from '../runtime/random.js';

export interface SampleSize {
  readonly kind: LayerKind;
  /** Height and width of an image, or rows of a matrix. */
  readonly extent: number;
  /** Channels or features before the first layer and after the second, and between them. */
  readonly outer: number;
  readonly inner: number;
}

/**
 * The stages of a ResNet-50 but the last, whose 49 pixels fit no register; the feed-forward part of
 * a small transformer at 128 tokens.
 */
export const SAMPLE_SIZES: readonly SampleSize[] = [
  { kind: 'conv1x1', extent: 56, outer: 64, inner: 256 },
  { kind: 'conv1x1', extent: 28, outer: 128, inner: 512 },
  { kind: 'conv1x1', extent: 14, outer: 256, inner: 1024 },
  { kind: 'conv', extent: 56, outer: 64, inner: 64 },
  { kind: 'conv', extent: 28, outer: 128, inner: 128 },
  { kind: 'conv', extent: 14, outer: 256, inner: 256 },
  { kind: 'matmul', extent: 128, outer: 512, inner: 2048 },
];

/** Multiply-accumulates of a pair of layers. */
export function macsOf({ kind, extent, outer, inner }: SampleSize): number {
  const uses = kind === 'matmul' ? extent : extent ** 2 * (kind === 'conv' ? 9 : 1);
  return 2 * outer * inner * uses;
}

/**
 * x -> [layer -> Relu -> layer -> Relu] -> a cheap operator, so many pairs, with that share of
 * zeros anywhere in the weights.
 */
export function sampleModel({ kind, extent, outer, inner }: SampleSize, zeros: number, pairs: number): Uint8Array {
  const side = kind === 'conv' ? 3 : 1;
  const isMatMul = kind === 'matmul';
  const opType = isMatMul ? 'MatMul' : 'Conv';
  const attribute = isMatMul ? [] : [ints('kernel_shape', [side, side]), ints('pads', Array(4).fill((side - 1) / 2))];
  const layers = Array.from({ length: 2 * pairs }, (_, at) => {
    const [from, to] = at % 2 === 0 ? [outer, inner] : [inner, outer];
    const [x, w, sum, y] = [at === 0 ? 'x' : `y${at - 1}`, `w${at}`, `sum${at}`, `y${at}`];
    return {
      nodes: [
        { opType, name: `layer${at}`, input: [x, w], output: [sum], attribute },
        { opType: 'Relu', name: `relu${at}`, input: [sum], output: [y] },
      ],
      weights: weights(w, isMatMul ? [from, to] : [to, from, side, side], zeros),
    };
  });
  const end = {
    opType: isMatMul ? 'Abs' : 'GlobalAveragePool',
    name: 'end',
    input: [`y${2 * pairs - 1}`],
    output: ['y'],
  };
  return encode(
    isMatMul ? [extent, outer] : [1, outer, extent, extent],
    [...layers.flatMap(({ nodes }) => nodes), end],
    layers.map((layer) => layer.weights),
  );
}

/** Channels and side of the value that is moved: as in the first stage of a ResNet-50. */
const MOVED = { channels: 256, extent: 56 };

/**
 * Elements that the second of moveModel's forms moves: out of one layout and into the other, and
 * back.
 */
export const MOVED_ELEMENTS = 2 * MOVED.channels * MOVED.extent ** 2;

/**
 * Two cheap dense convolutions, with nothing between them or a way into the operators' layout and
 * back.
 */
export function moveModel(isMoved: boolean): Uint8Array {
  const { channels, extent } = MOVED;
  const thin = 16;
  const attribute = [ints('kernel_shape', [1, 1])];
  const moves: NodeProto[] = [
    { opType: 'Enter', domain: SPARSE_DOMAIN, name: 'enter', input: ['a'], output: ['b'] },
    { opType: 'Leave', domain: SPARSE_DOMAIN, name: 'leave', input: ['b'], output: ['c'] },
  ];
  return encode(
    [1, thin, extent, extent],
    [
      { opType: 'Conv', name: 'first', input: ['x', 'w1'], output: ['a'], attribute },
      ...(isMoved ? moves : []),
      { opType: 'Conv', name: 'second', input: [isMoved ? 'c' : 'a', 'w2'], output: ['d'], attribute },
      { opType: 'GlobalAveragePool', name: 'end', input: ['d'], output: ['y'] },
    ],
    [weights('w1', [channels, thin, 1, 1], 0), weights('w2', [thin, channels, 1, 1], 0)],
  );
}

function encode(dims: readonly number[], node: NodeProto[], initializer: TensorProto[]): Uint8Array {
  return encodeProto({
    irVersion: 8,
    opsetImport: [
      { domain: '', version: 17 },
      { domain: SPARSE_DOMAIN, version: 1 },
    ],
    graph: { name: 'sample', node, initializer, input: [typeOf('x', FLOAT, dims)], output: [{ name: 'y' }] },
  });
}

/** Small enough that sums of thousands stay far from overflow; the same in every run. */
function weights(name: string, dims: readonly number[], zeros: number): TensorProto {
  const random = new Random(1, name);
  const data = new Float32Array(dims.reduce((total, extent) => total * extent, 1)).map(() =>
    random.uniform() < zeros ? 0 : 0.1 * random.uniform() - 0.05,
  );
  return writeTensor(name, Tensor.fromNumbers(FLOAT, dims, data));
}

function ints(name: string, values: readonly number[]): AttributeProto {
  return { name, type: AttributeType.INTS, ints: [...values] };
}
