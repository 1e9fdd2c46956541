/** A file that is one TensorProto, as the test sets of ONNX models have (`input_0.pb`). */
import protobuf from 'protobufjs';
import { messageOf, PruneCompileError } from '../errors.js';
import type { Tensor } from '../ir/tensor.js';
import { ExternalData } from './external-data.js';
import type { TensorProto } from './proto.js';
import { TensorType } from './schema.js';
import { readTensor } from './tensors.js';

export interface TensorFile {
  readonly name: string;
  /** Undefined where its elements are no plain numbers. */
  readonly tensor: Tensor | undefined;
}

/** Throws E-MODEL-INVALID for anything else. */
export function readTensorFile(bytes: Uint8Array): TensorFile {
  const proto = decoded(bytes);
  if (proto.dataType === undefined || proto.dataType === 0) throw noTensor('it has no data type');
  return { name: proto.name ?? '', tensor: readTensor(proto, new ExternalData(undefined)) };
}

function decoded(bytes: Uint8Array): TensorProto {
  try {
    const reader = protobuf.Reader.create(bytes);
    // Elements that a writer did not pack are among them.
    reader.discardUnknown = false;
    return TensorType.decode(reader);
  } catch (error) {
    throw noTensor(messageOf(error), error);
  }
}

function noTensor(why: string, cause?: unknown): PruneCompileError {
  return new PruneCompileError('E-MODEL-INVALID', {
    what: 'the file is no TensorProto',
    facts: [['why', `it is no TensorProto: ${why}`]],
    cause,
  });
}
