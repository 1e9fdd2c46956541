/**
 * Sessions for users of the package: onnxruntime-node's own, with the sparse operators registered
 * where a model has them.
 */
import type { InferenceSession } from 'onnxruntime-node';
import { createPlain } from './session.js';

/**
 * `InferenceSession.create` of onnxruntime-node for models that may have sparse operators: the same
 * arguments, the same session. Throws E-KERNELS where the model has such operators and the native
 * library cannot be used; whatever else ONNX Runtime throws passes through.
 */
export function createSession(
  model: string | Uint8Array | ArrayBufferLike,
  options?: InferenceSession.SessionOptions,
): Promise<InferenceSession>;
export function createSession(
  buffer: ArrayBufferLike,
  byteOffset: number,
  byteLength?: number,
  options?: InferenceSession.SessionOptions,
): Promise<InferenceSession>;
export async function createSession(
  model: string | Uint8Array | ArrayBufferLike,
  offsetOrOptions: number | InferenceSession.SessionOptions = {},
  byteLength?: number,
  options: InferenceSession.SessionOptions = {},
): Promise<InferenceSession> {
  if (typeof model === 'string' || model instanceof Uint8Array) return createPlain(model, optionsOf(offsetOrOptions));
  if (typeof offsetOrOptions === 'object') return createPlain(new Uint8Array(model), offsetOrOptions);
  return createPlain(new Uint8Array(model, offsetOrOptions, byteLength), options);
}

/** Only a part of a buffer begins at an offset. */
function optionsOf(given: number | InferenceSession.SessionOptions): InferenceSession.SessionOptions {
  return typeof given === 'object' ? given : {};
}
