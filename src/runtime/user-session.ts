/** Sessions for users of the package: onnxruntime-node's own, with the sparse operators registered. */
import * as ort from 'onnxruntime-node';
import { loadKernels } from './kernels.js';

/**
 * `InferenceSession.create` of onnxruntime-node for models that may have sparse operators: the same arguments, the same session.
 * Throws E-KERNELS where the native library is missing; whatever else ONNX Runtime throws passes through.
 */
export async function createSession(
  model: string | Uint8Array,
  options: ort.InferenceSession.SessionOptions = {},
): Promise<ort.InferenceSession> {
  loadKernels();
  return typeof model === 'string'
    ? ort.InferenceSession.create(model, options)
    : ort.InferenceSession.create(model, options);
}
