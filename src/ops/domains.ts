/** Domains of operators beside ai.onnx. */

/** ONNX Runtime's own. */
export const MICROSOFT = 'com.microsoft';
