/**
 * The dense contender of a pruned model: what it would cost had nobody pruned it.
 *
 *     weight, mask -> Mul -> Conv            weight -> Conv            (zeros in the weight refilled)
 *
 * Exact? No: it is a timing model only. Dense kernels do not skip zeros, so its time is that of the
 * network before pruning; refilling makes sure that nothing on the way (a kernel, a compiler)
 * profits from zeros.
 */
import type { Graph, Node, Value } from '../ir/graph.js';
import { Abandon, Editor } from '../ir/editor.js';
import { isFloating, Tensor } from '../ir/tensor.js';
import type { Model } from '../onnx/read.js';
import { encodeModel } from '../onnx/write.js';
import { Random } from '../runtime/random.js';

export interface DenseVariant {
  readonly bytes: Uint8Array;
  /** Mul nodes of a constant 0/1 mask that were taken out of the way. */
  readonly bypassedMasks: number;
  /** Zero weights that got a value. */
  readonly refilledWeights: number;
}

/**
 * Refilled weights are about a hundredth of the layer's root mean square: 100 layers of them change
 * the signal's energy by 1e-4 each, so that activations neither overflow nor die, and they are far
 * from denormal, which would be slow.
 */
const REFILL_SCALE = 0.01;
/** Root mean square taken for a layer whose weights are all zero. */
const EMPTY_LAYER_RMS = 0.05;

/** Ops whose weights count, with the inputs that may hold them. */
const WEIGHT_INPUTS: ReadonlyMap<string, readonly number[]> = new Map([
  ['Conv', [1]],
  ['ConvTranspose', [1]],
  ['Gemm', [0, 1]],
  ['MatMul', [0, 1]],
]);
/** Ops through which a weight or a mask is still that weight or mask. */
const PASS_THROUGH = new Set(['Identity', 'Cast', 'Transpose', 'Reshape']);

/** The model itself is left as it was. */
export function denseVariant(model: Model, seed = 1): DenseVariant {
  let result: DenseVariant | undefined;
  const editor = new Editor(model.graph);
  // The edits are made to the model at hand, written out and rolled back: no second copy of its
  // weights is held.
  editor.transaction('dense variant', () => {
    const bypassedMasks = bypassMasks(editor);
    const refilledWeights = refillWeights(editor, seed);
    result = { bytes: encodeModel(model), bypassedMasks, refilledWeights };
    throw new Abandon();
  });
  if (result === undefined) throw new Error('the dense variant was not written');
  return result;
}

function bypassMasks(editor: Editor): number {
  let count = 0;
  for (const node of editor.graph.nodes) {
    const weight = maskedWeight(node);
    const product = node.outputs[0];
    if (weight === undefined || product === undefined || product.isSeenOutside) continue;
    editor.replaceAllUsesWith(product, weight);
    count++;
  }
  return count;
}

/**
 * The operand of a Mul that the other operand, a constant of zeros and ones, masks; both operand
 * orders occur.
 */
function maskedWeight(node: Node): Value | undefined {
  if (node.qualifiedOp !== 'Mul') return undefined;
  const [a, b] = node.inputs;
  if (a === undefined || b === undefined) return undefined;
  const [left, right] = [constantOf(a), constantOf(b)];
  if (left === undefined || right === undefined) return undefined;
  if (left.size >= right.size && isMask(right)) return a;
  if (right.size >= left.size && isMask(left)) return b;
  return undefined;
}

function isMask(tensor: Tensor): boolean {
  return tensor.numbers().every((value) => value === 0 || value === 1);
}

/**
 * The tensor that a value holds, seen through casts; undefined where it is computed from more than
 * that.
 */
function constantOf(value: Value): Tensor | undefined {
  const holder = holderOf(value);
  const tensor = holder?.initializer ?? holder?.producer?.tensor('value');
  return tensor !== undefined && isNumeric(tensor) ? tensor : undefined;
}

/** The initializer or Constant output at the start of a chain of pass-through nodes. */
function holderOf(value: Value): Value | undefined {
  if (value.initializer !== undefined) return value;
  const { producer } = value;
  if (producer === undefined || producer.domain !== '') return undefined;
  if (producer.opType === 'Constant') return value;
  const input = producer.inputs[0];
  return PASS_THROUGH.has(producer.opType) && input !== undefined ? holderOf(input) : undefined;
}

function isNumeric(tensor: Tensor): boolean {
  try {
    return tensor.numbers().length > 0;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

function refillWeights(editor: Editor, seed: number): number {
  let count = 0;
  for (const holder of weightHolders(editor.graph)) {
    const tensor = holder.initializer ?? holder.producer?.tensor('value');
    // A scalar zero is a constant of the arithmetic, not a weight.
    if (tensor === undefined || !isFloating(tensor.dataType) || tensor.dims.length < 2) continue;
    const filled = refilled(tensor, new Random(seed, holder.name));
    if (filled === undefined) continue;
    count += filled.count;
    if (holder.initializer !== undefined) editor.rewriteInitializer(holder, filled.tensor);
    else if (holder.producer !== undefined)
      editor.setAttribute(holder.producer, 'value', { kind: 'tensor', value: filled.tensor });
  }
  return count;
}

function weightHolders(graph: Graph): Set<Value> {
  const holders = new Set<Value>();
  for (const node of graph.nodes) {
    for (const index of node.domain === '' ? (WEIGHT_INPUTS.get(node.opType) ?? []) : []) {
      const input = node.inputs[index];
      const holder = input === undefined ? undefined : holderOf(input);
      if (holder !== undefined) holders.add(holder);
    }
  }
  return holders;
}

function refilled(tensor: Tensor, random: Random): { tensor: Tensor; count: number } | undefined {
  const values = tensor.numbers();
  let zeros = 0;
  let energy = 0;
  for (const value of values) {
    if (value === 0) zeros++;
    energy += value * value;
  }
  if (zeros === 0) return undefined;
  const alive = values.length - zeros;
  const rms = alive === 0 ? EMPTY_LAYER_RMS : Math.sqrt(energy / alive);
  // Between a half and one and a half of the scale, with either sign: none is rounded to zero
  // again, float16 included.
  const draw = () => (0.5 + random.uniform()) * (random.word() >= 2 ** 31 ? 1 : -1) * REFILL_SCALE * rms;
  const filled = values.map((value) => (value === 0 ? draw() : value));
  return { tensor: Tensor.fromNumbers(tensor.dataType, tensor.dims, filled), count: zeros };
}
