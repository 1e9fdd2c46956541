/** The model that a provider is tried with. */
import { FLOAT } from '../ir/tensor.js';
import { encodeProto } from '../onnx/encode.js';
import { AttributeType } from '../onnx/proto.js';

export const PROBE_SHAPE: readonly number[] = [1, 2, 4, 4];

/** Of every element of y, where every x is 1. */
export const PROBE_RESULT = 4;

/**
 *     x -> Conv 3x3, the place in the middle: 0.5 of each channel -> (1) -> MatMul with itself -> y
 *
 * All values are exact in every type that a card computes in. CUDA's convolutions are those of
 * cuDNN, and its products are not: one without the other would find a card ready that is not.
 */
export function probeModel(): Uint8Array {
  const type = { tensorType: { elemType: FLOAT, shape: { dim: PROBE_SHAPE.map((dimValue) => ({ dimValue })) } } };
  const kernel = [0, 0, 0, 0, 0.5, 0, 0, 0, 0];
  const weights = Float32Array.from([kernel, kernel, kernel, kernel].flat());
  const attributes = [
    { name: 'kernel_shape', type: AttributeType.INTS, ints: [3, 3] },
    { name: 'pads', type: AttributeType.INTS, ints: [1, 1, 1, 1] },
  ];
  return encodeProto({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph: {
      name: 'probe',
      node: [
        { name: 'convolution', opType: 'Conv', input: ['x', 'w'], output: ['c'], attribute: attributes },
        { name: 'product', opType: 'MatMul', input: ['c', 'c'], output: ['y'] },
      ],
      initializer: [{ name: 'w', dataType: FLOAT, dims: [2, 2, 3, 3], rawData: new Uint8Array(weights.buffer) }],
      input: [{ name: 'x', type }],
      output: [{ name: 'y', type }],
    },
  });
}
