/**
 * The bias of a layer in codes takes over what removed channels with constant codes gave to its
 * sums: whole numbers, so that the sums are the same to the bit (src/channels/coded-layers.ts).
 */
import { type CodedLayer, ofOutput } from '../../src/channels/coded-layers.js';
import type { CodeCompensation } from '../../src/channels/removal-plan.js';
import type { WeightMatrix } from '../../src/channels/weight-matrix.js';
import type { Editor } from '../../src/ir/editor.js';
import type { Node, Use } from '../../src/ir/graph.js';
import { FLOAT, INT32, Tensor } from '../../src/ir/tensor.js';

/** A constant operand as it is now: already cut, where it is stored or where an alias of it is. */
export type OperandNow = (node: Node, index: number) => Tensor | undefined;

/** Per kept output what the absorbed channels gave: sums of products of two differences of codes. */
export function offsetsInCodes(
  { absorbed, layer: { inputScale, inputZero, weightScales } }: CodeCompensation,
  matrix: WeightMatrix,
  outputs: readonly number[],
): Float64Array {
  return Float64Array.from(outputs, (output) => {
    const scale = ofOutput(weightScales, output);
    let total = 0;
    for (const { index, constant } of absorbed) {
      const code = Math.round((constant - inputZero) / inputScale);
      for (let tap = 0; tap < matrix.taps; tap++) total += code * Math.round(matrix.at(output, index, tap) / scale);
    }
    return total;
  });
}

/** `outputs`: those that are kept. */
export function addToCodes(
  editor: Editor,
  { read, layer }: CodeCompensation,
  { offsets, outputs, operandNow }: { offsets: Float64Array; outputs: readonly number[]; operandNow: OperandNow },
): void {
  const { node } = read.at;
  const index = read.relation.bias?.index;
  if (index === undefined) throw new Error(`${node.label} can have no bias`);
  if (read.relation.codes !== undefined) {
    addToOwnCodes(editor, { node, index }, offsets, operandNow(node, index));
    return;
  }
  const present = layer.bias === undefined ? undefined : operandNow(layer.bias.node, 0)?.numbers();
  const values = offsets.map((offset, at) => offset + (present?.[at] ?? 0));
  const name = layer.bias?.codes.name ?? `${node.label}_bias_quantized`;
  const codes = editor.addInitializer(name, Tensor.fromNumbers(INT32, [values.length], values));
  const decoder = layer.bias?.node;
  const [decoded] = decoder?.outputs ?? [];
  if (decoder !== undefined && decoded?.hasSingleUse === true) {
    editor.rewriteOperand({ node: decoder, index: 0 }, codes);
    return;
  }
  const scale = decoder?.inputs[1] ?? biasScale(editor, layer, outputs, `${name}_scale`);
  const scales = decoder === undefined ? scale.initializer : operandNow(decoder, 1);
  const isPerOutput = (scales?.size ?? 1) > 1;
  const made = editor.addNode(
    {
      opType: 'DequantizeLinear',
      name: editor.graph.freshNodeName(`${name}_decoded`),
      inputs: [codes, scale],
      outputs: [`${name}_decoded`],
      // Opset 10 knows one scale alone, and no axis.
      ...(isPerOutput && { attributes: { axis: { kind: 'int', value: 0 } } }),
    },
    node,
  );
  editor.setInput(node, index, made.outputs[0]);
}

/** The layer's bias is codes, not decoded ones. */
function addToOwnCodes(editor: Editor, { node, index }: Use, offsets: Float64Array, present: Tensor | undefined): void {
  const values = present?.numbers() ?? [];
  const total = offsets.map((offset, at) => offset + (values[at] ?? 0));
  const name = node.inputs[index]?.name ?? `${node.label}_bias`;
  editor.rewriteOperand({ node, index }, editor.addInitializer(name, Tensor.fromNumbers(INT32, [total.length], total)));
}

/** That of the sums: the input's times the weights'. */
function biasScale(
  editor: Editor,
  { inputScale, weightScales }: CodedLayer,
  outputs: readonly number[],
  name: string,
): ReturnType<Editor['addInitializer']> {
  const isOne = weightScales.length === 1;
  const scales = (isOne ? [0] : outputs).map((output) => inputScale * ofOutput(weightScales, output));
  return editor.addInitializer(name, Tensor.fromNumbers(FLOAT, isOne ? [] : [scales.length], scales));
}
