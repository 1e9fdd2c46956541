/** What a session is run with. */
import * as ort from 'onnxruntime-node';

/** Input name -> tensor. */
export type Feeds = Readonly<Record<string, ort.Tensor>>;

export function doubles(values: Float64Array, dims: readonly number[]): ort.Tensor {
  return new ort.Tensor(values, dims);
}
