/** The small weights as a PyTorch state dict: the parameters' names and layouts, in a safetensors file. */
import { elementBytes, INT64, Tensor } from '../ir/tensor.js';
import { writeSafetensorsTensors } from '../masks/formats/safetensors.js';
import { TOOL } from '../version.js';
import type { Channels, SmallWeight } from './channels.js';

/** Of a shared weight the first layer's is taken; where others keep other channels the channels say so. */
export function stateDictOf(weights: readonly SmallWeight[]): ReadonlyMap<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  for (const { name, tensor, isReversed } of weights) {
    if (tensors.has(name)) continue;
    tensors.set(name, isReversed ? transposed(tensor) : tensor);
    // A counter that no inference needs; load_state_dict is strict about it.
    if (name.endsWith('.running_var') || name === 'running_var')
      tensors.set(name.replace(/running_var$/, 'num_batches_tracked'), Tensor.fromNumbers(INT64, [], [0]));
  }
  return tensors;
}

export function encodeStateDict(tensors: ReadonlyMap<string, Tensor>, { unheld, addedBiases }: Channels): Uint8Array {
  return writeSafetensorsTensors(tensors, {
    format: 'pt',
    'prune-compile.version': TOOL.version,
    'prune-compile.addedBiases': JSON.stringify(addedBiases),
    'prune-compile.unheld': JSON.stringify(unheld),
  });
}

/** A matrix with its axes exchanged, made when its bytes are asked for. */
function transposed(tensor: Tensor): Tensor {
  const [rows = 1, columns = 1] = tensor.dims;
  const size = elementBytes(tensor.dataType) ?? 1;
  return new Tensor(tensor.dataType, [columns, rows], () => {
    const source = tensor.bytes();
    const bytes = new Uint8Array(source.length);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const from = (row * columns + column) * size;
        bytes.set(source.subarray(from, from + size), (column * rows + row) * size);
      }
    return bytes;
  });
}
