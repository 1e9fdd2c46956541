/** Sessions for users of the package: onnxruntime-node's own, with the sparse operators registered where a model has them. */
import type { InferenceSession } from 'onnxruntime-node';
import { createPlain } from './session.js';

/**
 * `InferenceSession.create` of onnxruntime-node for models that may have sparse operators: the same arguments, the same session.
 * Throws E-KERNELS where the model has such operators and the native library cannot be used; whatever else ONNX Runtime throws passes through.
 */
export async function createSession(
  model: string | Uint8Array,
  options: InferenceSession.SessionOptions = {},
): Promise<InferenceSession> {
  return createPlain(model, options);
}
