/** Scattered zeros in an exported model: in every layer but grouped ones the smallest weights go, wherever they stand. */
import { Editor } from '../../src/ir/editor.js';
import { FLOAT, Tensor } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';

const LAYERS = new Set(['Conv', 'Gemm', 'MatMul']);
/** Weights fewer than this are not worth pruning to anybody. */
const FEWEST = 1000;

export function scatterZeros(bytes: Uint8Array, share: number): Uint8Array {
  const model = readModel(bytes);
  const editor = new Editor(model.graph);
  editor.transaction('scattered zeros', () => {
    for (const node of model.graph.nodes) {
      const [, value] = node.inputs;
      const tensor = value?.initializer;
      if (!LAYERS.has(node.opType) || node.int('group', 1) !== 1 || value === undefined) continue;
      if (tensor === undefined || tensor.dataType !== FLOAT || tensor.size < FEWEST) continue;
      editor.setInitializer(value, Tensor.fromNumbers(FLOAT, tensor.dims, pruned(tensor, share)));
    }
  });
  return encodeModel(model);
}

/** The threshold is that of a sample: the share of zeros is right to a percent. */
function pruned(tensor: Tensor, share: number): Float32Array {
  const weights = Float32Array.from(tensor.numbers());
  const step = Math.max(1, Math.floor(weights.length / 10007));
  const sample = weights
    .filter((_, at) => at % step === 0)
    .map((value) => Math.abs(value))
    .toSorted();
  const least = sample[Math.floor(share * sample.length)] ?? 0;
  return weights.map((value) => (Math.abs(value) < least ? 0 : value));
}
