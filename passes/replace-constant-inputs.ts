/**
 * replace-constant-inputs: a convolution that reads nothing but constants needs nobody to compute
 * them.
 *
 *   x -> conv1 (every filter zero, shift k) -> conv2      =>      ones [N, 1, H, W] -> conv2 [Cout, 1, 3, 3]
 *
 * The output is a map that depends on the place (zero padding), not on the input, so it is no
 * constant per channel; but all of the branch before it goes. Exact? To rounding: the kernel is the
 * sum over c of k_c * W[:, c]. Declines when the size is symbolic (the ones would have to be
 * measured on the very branch that should go) and where a channel varies. Cost: one input channel
 * instead of all.
 */
import type { Facts } from '../src/channels/facts.js';
import { isCoded } from '../src/channels/coded-layers.js';
import { isOperand } from '../src/channels/positions.js';
import type { LinearRead } from '../src/channels/propagate-demand.js';
import { spatialDims } from '../src/channels/removal-plan.js';
import { WeightMatrix } from '../src/channels/weight-matrix.js';
import type { Editor } from '../src/ir/editor.js';
import { Tensor } from '../src/ir/tensor.js';
import { groupsOf } from '../src/ops/axes.js';
import { onesHaveBatch, onesLike } from './channels/ones.js';
import { type Pass, UNCHANGED } from './pass.js';

export const replaceConstantInputs: Pass = {
  name: 'replace-constant-inputs',
  summary: 'feed convolutions that read only constants from a map of ones',
  exactness: 'rounding',
  async run({ editor, facts: analyzed }) {
    const facts = await analyzed();
    const reads = facts.linearReads.filter((read) => readsOnlyConstants(read, facts));
    if (reads.length === 0) return UNCHANGED;
    const changed = editor.transaction('replace constant inputs', () => {
      for (const read of reads) replaceInput(editor, read, facts);
    });
    const remarks = reads.map(({ at, axis }) => ({
      kind: 'applied' as const,
      node: at.node.label,
      message: `all of its ${axis.extent} input channels are constant: the nodes that computed them were removed`,
    }));
    return { changed, gains: changed, remarks };
  },
};

function readsOnlyConstants(read: LinearRead, { constant, graphInfo }: Facts): boolean {
  const { axis, relation, at } = read;
  const values = constant.subarray(axis.base, axis.base + axis.extent);
  // With another batch than the reader's own the output's would be lost.
  const isStatic = spatialDims(read, 'in') !== undefined && onesHaveBatch(graphInfo, at);
  // All zero, or without padding: then every output is one constant, and other passes take the
  // branch away.
  return (
    relation.padded &&
    relation.needsCarrier !== true &&
    !isCoded(at, relation) &&
    isStatic &&
    !values.some(Number.isNaN) &&
    values.some((value) => value !== 0)
  );
}

function replaceInput(editor: Editor, read: LinearRead, { constant, graphInfo }: Facts): void {
  const { at, axis, relation } = read;
  const { index } = relation.weights;
  const operand = at.inSlots[index];
  if (operand === undefined || !isOperand(operand)) return;
  const { tensor, value } = operand;
  const matrix = new WeightMatrix(tensor, relation.weights, groupsOf(relation));
  const kernel = new Float64Array(matrix.outputs * matrix.taps);
  for (let output = 0; output < matrix.outputs; output++) {
    for (let input = 0; input < matrix.inputs; input++) {
      const scalar = constant[axis.base + input] ?? 0;
      if (scalar === 0 || !matrix.connects(output, input)) continue;
      for (let tap = 0; tap < matrix.taps; tap++) {
        const to = output * matrix.taps + tap;
        kernel[to] = (kernel[to] ?? 0) + scalar * matrix.at(output, input, tap);
      }
    }
  }
  const dims = spatialDims(read, 'in');
  if (dims === undefined) return;
  editor.setInput(at.node, 0, onesLike(editor, graphInfo, at, dims, tensor.dataType));
  const sums = editor.addInitializer(value.name, Tensor.fromNumbers(tensor.dataType, tensor.dims.with(1, 1), kernel));
  // All groups read the one channel.
  if (matrix.groups > 1) editor.setAttribute(at.node, 'group', { kind: 'int', value: 1 });
  // Its one input channel is none of those that were there.
  editor.sliceOperand({ node: at.node, index }, sums, [undefined, []], true);
}
