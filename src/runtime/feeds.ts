/** What a session is run with. */
import * as ort from 'onnxruntime-node';
import {
  BOOL,
  DOUBLE,
  FLOAT,
  FLOAT16,
  INT16,
  INT32,
  INT64,
  INT8,
  type Tensor,
  UINT16,
  UINT32,
  UINT64,
  UINT8,
} from '../ir/tensor.js';

/** Input name -> tensor. */
export type Feeds = Readonly<Record<string, ort.Tensor>>;

export function doubles(values: Float64Array, dims: readonly number[]): ort.Tensor {
  return new ort.Tensor(values, dims);
}

type View = (buffer: ArrayBuffer) => ArrayBufferView;

const bytesOf: View = (buffer) => new Uint8Array(buffer);

/** ONNX Runtime's name of each type, and the array that it takes elements in. */
const TYPES = new Map<number, readonly [name: ort.Tensor.Type, view: View]>([
  [FLOAT, ['float32', (buffer) => new Float32Array(buffer)]],
  [DOUBLE, ['float64', (buffer) => new Float64Array(buffer)]],
  // Bit patterns: they are taken on every Node version, with or without a built-in Float16Array.
  [FLOAT16, ['float16', (buffer) => new Uint16Array(buffer)]],
  [INT64, ['int64', (buffer) => new BigInt64Array(buffer)]],
  [UINT64, ['uint64', (buffer) => new BigUint64Array(buffer)]],
  [INT32, ['int32', (buffer) => new Int32Array(buffer)]],
  [UINT32, ['uint32', (buffer) => new Uint32Array(buffer)]],
  [INT16, ['int16', (buffer) => new Int16Array(buffer)]],
  [UINT16, ['uint16', (buffer) => new Uint16Array(buffer)]],
  [INT8, ['int8', (buffer) => new Int8Array(buffer)]],
  [UINT8, ['uint8', bytesOf]],
  [BOOL, ['bool', bytesOf]],
]);

const DATA_TYPES: ReadonlyMap<string, number> = new Map([...TYPES].map(([dataType, [name]]) => [name, dataType]));

/** The ONNX data type of an input that can be fed; undefined for others. */
export function feedType(name: string): number | undefined {
  return DATA_TYPES.get(name);
}

/** Of the types above. */
export function feedOf(tensor: Tensor): ort.Tensor {
  const [name, view] = TYPES.get(tensor.dataType) ?? [];
  if (name === undefined || view === undefined)
    throw new TypeError(`tensors of data type ${tensor.dataType} cannot be fed`);
  // A copy: ONNX Runtime wants aligned memory of its own, and gives it back when the run is over.
  const { buffer } = new Uint8Array(tensor.bytes());
  return new ort.Tensor(name, view(buffer) as Float32Array, [...tensor.dims]);
}
