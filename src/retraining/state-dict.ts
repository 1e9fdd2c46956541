/**
 * The small weights as a PyTorch state dict: the parameters' names and layouts, in a safetensors
 * file.
 */
import { PruneCompileError } from '../errors.js';
import { elementBytes, INT64, Tensor } from '../ir/tensor.js';
import { writeSafetensorsTensors } from '../masks/formats/safetensors.js';
import { TOOL } from '../version.js';
import { type Channels, COUNTER, type Missing, type SmallState } from './channels.js';
import type { Axes } from './parameter-names.js';

/**
 * Of a shared weight the first layer's is taken; where others keep other channels the channels say
 * so. Throws E-STATE-DICT.
 */
export function stateDictOf({ weights, missing, listed }: SmallState): ReadonlyMap<string, Tensor> {
  if (missing.length > 0) throw notLoadable(missing);
  const tensors = new Map<string, Tensor>();
  for (const { name, tensor, axes } of weights) {
    if (tensors.has(name)) continue;
    tensors.set(name, inParameterLayout(tensor, axes));
    // load_state_dict is strict about it.
    if (!/(^|\.)running_var$/.test(name)) continue;
    const counter = name.replace(/running_var$/, COUNTER);
    if (listed?.has(counter) !== false && !tensors.has(counter))
      tensors.set(counter, Tensor.fromNumbers(INT64, [], [0]));
  }
  return tensors;
}

const SHOWN = 5;

/** A part of a state dict is none: what is missing would be what the module began with. */
function notLoadable(missing: readonly Missing[]): PruneCompileError {
  const lines = missing
    .slice(0, SHOWN)
    .map(({ parameter, where, why }) => `${parameter ?? 'a weight'} of ${where}: ${why}`);
  const more = missing.length > SHOWN ? [`and ${missing.length - SHOWN} more`] : [];
  return new PruneCompileError('E-STATE-DICT', {
    what: `the state dict would miss ${missing.length} of the model's parameters, and could not be loaded`,
    facts: [
      ['missing', [...lines, ...more].join('\n')],
      [
        'try',
        '--channels alone: it has the kept indices of every layer. Or export again with the names: docs/retrain.md',
      ],
    ],
  });
}

export function encodeStateDict(tensors: ReadonlyMap<string, Tensor>, { unheld, addedBiases }: Channels): Uint8Array {
  return writeSafetensorsTensors(tensors, {
    format: 'pt',
    'prune-compile.version': TOOL.version,
    'prune-compile.addedBiases': JSON.stringify(addedBiases),
    'prune-compile.unheld': JSON.stringify(unheld),
  });
}

/** The parameter's axes, taken from the operand's when its bytes are asked for. */
function inParameterLayout(tensor: Tensor, axes: Axes): Tensor {
  const dims = axes.map((axis) => (axis === undefined ? 1 : (tensor.dims[axis] ?? 1)));
  const order = axes.filter((axis) => axis !== undefined);
  const isInOrder = order.every((axis, at) => at === 0 || axis > (order[at - 1] ?? 0));
  if (isInOrder) return new Tensor(tensor.dataType, dims, () => tensor.bytes());
  const strides = axes.map((axis) =>
    axis === undefined ? 0 : tensor.dims.slice(axis + 1).reduce((product, extent) => product * extent, 1),
  );
  const size = elementBytes(tensor.dataType) ?? 1;
  return new Tensor(tensor.dataType, dims, () => {
    const source = tensor.bytes();
    const bytes = new Uint8Array(source.length);
    const index = dims.map(() => 0);
    for (let at = 0, from = 0; at < bytes.length; at += size) {
      bytes.set(source.subarray(from * size, (from + 1) * size), at);
      for (let axis = dims.length - 1; axis >= 0; axis--) {
        from += strides[axis] ?? 0;
        index[axis] = (index[axis] ?? 0) + 1;
        if (index[axis] !== dims[axis]) break;
        from -= (strides[axis] ?? 0) * (dims[axis] ?? 1);
        index[axis] = 0;
      }
    }
    return bytes;
  });
}
