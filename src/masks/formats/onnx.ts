/**
 * Masks saved as the initializers of an ONNX file: read by the codec of the models, with its limits
 * and its errors.
 */
import { isNumeric } from '../../ir/tensor.js';
import { ExternalData } from '../../onnx/external-data.js';
import { decodeModel } from '../../onnx/read.js';
import { readSparseTensor } from '../../onnx/sparse-tensors.js';
import { readTensor } from '../../onnx/tensors.js';
import { type Entry, FileTensor } from '../contents.js';
import { damaged } from './refuse.js';

/** `path` is where the file is: data files are looked for beside it. */
export function readOnnxMasks(bytes: Uint8Array, path: string): Entry {
  const model = decodeModel(bytes, path);
  const external = new ExternalData(path);
  const tensors = new Map<string, Entry>();
  const { initializer = [], sparseInitializer = [] } = model.graph ?? {};
  const stored = [
    ...initializer.map((proto) => ({ name: proto.name ?? '', tensor: readTensor(proto, external) })),
    ...sparseInitializer.map((proto) => ({
      name: proto.values?.name ?? '',
      tensor: readSparseTensor(proto, external),
    })),
  ];
  for (const { name, tensor } of stored) {
    // Strings, complex numbers and floats of eight bits: a network may have some, and none is a
    // mask.
    if (tensor === undefined || !isNumeric(tensor.dataType)) continue;
    if (tensors.has(name)) throw damaged(path, `two of its initializers are named ${name}`);
    tensors.set(
      name,
      FileTensor.contiguous(tensor.dataType, tensor.dims, () => tensor.bytes()),
    );
  }
  return tensors;
}
