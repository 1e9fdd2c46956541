/** What guarded-session.ts and the process it starts (guarded-child.ts) say to each other. */
import * as ort from 'onnxruntime-node';
import { byName } from '../names.js';
import type { SessionOptions } from './session.js';

/** A tensor without its class, which does not go from one process to another. */
export interface PlainTensor {
  readonly type: ort.Tensor.Type;
  readonly data: ort.Tensor.DataType;
  readonly dims: readonly number[];
}

export type NamedTensors = readonly (readonly [name: string, tensor: PlainTensor])[];

export type Request =
  | { readonly kind: 'create'; readonly model: string | Uint8Array; readonly options: SessionOptions }
  | { readonly kind: 'run'; readonly feeds: NamedTensors }
  | { readonly kind: 'memory' };

export type Answer =
  | {
      readonly kind: 'created';
      readonly inputs: readonly ort.InferenceSession.ValueMetadata[];
      readonly outputs: readonly ort.InferenceSession.ValueMetadata[];
    }
  /** Beyond what the process took before it had a model. */
  | { readonly kind: 'memory'; readonly peakBytes: number }
  | { readonly kind: 'results'; readonly results: NamedTensors }
  | { readonly kind: 'failed'; readonly message: string };

export function plainTensors(tensors: Readonly<Record<string, ort.Tensor>>): NamedTensors {
  return Object.entries(tensors).map(([name, { type, data, dims }]) => [name, { type, data, dims: [...dims] }]);
}

export function fromPlain(tensors: NamedTensors): Record<string, ort.Tensor> {
  return byName(
    tensors.map(([name, { type, data, dims }]) => [name, new ort.Tensor(type, data as Float32Array, dims)] as const),
  );
}
