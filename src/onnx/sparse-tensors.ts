/**
 * SparseTensorProto <-> Tensor: zeros that a file leaves out are zeros like others, and ONNX
 * Runtime makes such tensors dense as well.
 */
import protobuf from 'protobufjs';
import { PruneCompileError } from '../errors.js';
import { elementBytes, INT64, product, Tensor } from '../ir/tensor.js';
import type { ExternalData } from './external-data.js';
import type { SparseTensorProto } from './proto.js';
import { readDims, readTensor, writeTensor } from './tensors.js';

/** What protobuf holds in a dense form; ONNX Runtime would have to make it as well. */
const LARGEST_DENSE = 2 ** 31 - 1;

/**
 * As a dense tensor, made when somebody asks for its bytes. Undefined for values that are not plain
 * numbers (strings, 4-bit types). Throws E-MODEL-INVALID for indices out of range, in disorder or
 * repeated, and for parts that do not fit each other.
 */
export function readSparseTensor(proto: SparseTensorProto, external: ExternalData): Tensor | undefined {
  const { values: valuesProto, indices: indicesProto } = proto;
  const name = valuesProto?.name ?? '';
  if (valuesProto === undefined) throw invalid(name, 'has no values');
  const dims = readDims({ name, dims: proto.dims ?? [] });
  const values = readTensor(valuesProto, external);
  const size = elementBytes(valuesProto.dataType ?? 0);
  if (values === undefined || size === undefined) return undefined;
  if (values.dims.length !== 1)
    throw invalid(name, `has values of shape [${values.dims.join(', ')}] instead of a list`);
  if (product(dims) * size > LARGEST_DENSE)
    throw invalid(name, `would have ${product(dims) * size} bytes when dense, as ONNX Runtime makes it`);
  const [count = 0] = values.dims;
  const indices = indicesProto === undefined ? undefined : readTensor(indicesProto, external);
  if (indices === undefined && count > 0) throw invalid(name, 'has values and no indices');
  const places = placesOf(name, dims, count, indices);
  let dense: Uint8Array | undefined;
  return new Tensor(values.dataType, dims, () => (dense ??= scatter(values.bytes(), places, product(dims), size)));
}

/** Per value its place in row-major order. Indices are such places, or a coordinate per axis. */
function placesOf(name: string, dims: readonly number[], count: number, indices: Tensor | undefined): Float64Array {
  if (indices === undefined || count === 0) return new Float64Array(0);
  const isLinear = indices.dims.length === 1;
  const rank = isLinear ? 1 : dims.length;
  const isFit = indices.dims[0] === count && (isLinear || (indices.dims.length === 2 && indices.dims[1] === rank));
  if (indices.dataType !== INT64 || !isFit)
    throw invalid(
      name,
      `has indices of shape [${indices.dims.join(', ')}] and data type ${indices.dataType} for ${count} values of a tensor of ${dims.length} axes: [${count}] or [${count}, ${dims.length}] of INT64 would fit`,
    );
  const numbers = indices.numbers();
  const extents = isLinear ? [product(dims)] : dims;
  const places = new Float64Array(count);
  for (let at = 0; at < count; at++) {
    let place = 0;
    for (const [axis, extent] of extents.entries()) {
      const index = numbers[at * rank + axis] ?? -1;
      if (!(index >= 0 && index < extent)) throw invalid(name, `has an index ${index} where the extent is ${extent}`);
      place = place * extent + index;
    }
    if (at > 0 && place <= (places[at - 1] ?? 0))
      throw invalid(name, `has indices that are not in ascending order, or repeated, at its value number ${at}`);
    places[at] = place;
  }
  return places;
}

function scatter(values: Uint8Array, places: Float64Array, elements: number, size: number): Uint8Array {
  const bytes = new Uint8Array(elements * size);
  for (let at = 0; at < places.length; at++)
    bytes.set(values.subarray(at * size, (at + 1) * size), (places[at] ?? 0) * size);
  return bytes;
}

const written = new WeakMap<Tensor, SparseTensorProto | 'dense'>();

/**
 * The tensor without its zeros; undefined where that would be no smaller. Elements are zero when
 * all their bits are.
 */
export function writeSparseTensor(name: string, tensor: Tensor): SparseTensorProto | undefined {
  const known = written.get(tensor) ?? encodeSparse(name, tensor);
  written.set(tensor, known);
  return known === 'dense' ? undefined : known;
}

function encodeSparse(name: string, tensor: Tensor): SparseTensorProto | 'dense' {
  const size = elementBytes(tensor.dataType) ?? 1;
  const bytes = tensor.bytes();
  const places: number[] = [];
  const words = size === 4 ? new Uint32Array(new Uint8Array(bytes).buffer) : undefined;
  const isZero = (at: number) =>
    words === undefined ? bytes.subarray(at * size, (at + 1) * size).every((byte) => byte === 0) : words[at] === 0;
  for (let at = 0; at < tensor.size; at++) if (!isZero(at)) places.push(at);
  // As int64_data: an index then takes as many bytes as it needs.
  const indices = protobuf.Writer.create();
  for (const place of places) indices.int64(place);
  const packed = indices.finish();
  if (places.length * size + packed.length >= bytes.length) return 'dense';
  const values = new Uint8Array(places.length * size);
  for (const [at, place] of places.entries()) values.set(bytes.subarray(place * size, (place + 1) * size), at * size);
  return {
    values: writeTensor(name, Tensor.of(tensor.dataType, [places.length], values)),
    indices: { dims: [places.length], dataType: INT64, int64Data: [packed] },
    dims: [...tensor.dims],
  };
}

function invalid(name: string, fault: string): PruneCompileError {
  return new PruneCompileError('E-MODEL-INVALID', {
    what: `the sparse tensor ${name === '' ? '(without a name)' : name} ${fault}`,
    facts: [['try', 'export the model again: the file is damaged, or what wrote it does not follow the ONNX format']],
  });
}
