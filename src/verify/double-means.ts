/**
 * A model with its means taken in double precision. A float32 sum of n numbers drifts, and where
 * all of them are one number (a channel that holds a constant) every addition is rounded the same
 * way: over 224 x 224 places the mean of a constant is off by some 1e-4, whatever the input is, so
 * that no noise shows it. A compiled model has the constant itself. In double precision the mean of
 * equal float32 numbers is that number.
 *
 *   x -> ReduceMean -> y              x -> Cast(double) -> ReduceMean -> Cast(float) -> y
 *   x -> GlobalAveragePool -> y       x -> Cast(double) -> Reshape([0, 0, -1]) -> ReduceMean(2) -> Cast(float) -> Reshape(shape of y) -> y
 */
import { Editor } from '../ir/editor.js';
import type { Node } from '../ir/graph.js';
import { DOUBLE, FLOAT, INT64, Tensor } from '../ir/tensor.js';
import { readModel } from '../onnx/read.js';
import { encodeModel } from '../onnx/write.js';
import { addNode, addReduction } from './reference-nodes.js';

const REWRITERS: ReadonlyMap<string, (editor: Editor, node: Node) => void> = new Map([
  ['ReduceMean', reduceMean],
  ['GlobalAveragePool', globalAveragePool],
]);

/**
 * Undefined where there is no mean; those of native operators are taken in double precision anyway.
 * Of a model that computes in other types than float32 ONNX Runtime refuses what this gives.
 */
export function withDoubleMeans(source: string | Uint8Array): Uint8Array | undefined {
  const model = readModel(source);
  const means = model.graph.nodes.filter(({ opType, domain }) => domain === '' && REWRITERS.has(opType));
  if (means.length === 0) return undefined;
  const editor = new Editor(model.graph);
  editor.transaction('means in double precision', () => {
    for (const node of means) REWRITERS.get(node.opType)?.(editor, node);
  });
  return encodeModel(model);
}

function reduceMean(editor: Editor, node: Node): void {
  const [x] = node.inputs;
  const [y] = node.outputs;
  if (x === undefined || y === undefined) return;
  editor.setInput(node, 0, addNode(editor, 'Cast', [x], node, DOUBLE));
  const name = editor.graph.freshNodeName(`${node.label}_reference_mean`);
  const to = { kind: 'int', value: FLOAT } as const;
  editor.insertAfter(y, { opType: 'Cast', name, attributes: { to }, inputs: (inner) => [inner] });
}

/** The pool itself stays for its shape: how many axes it has, nothing here has to know. */
function globalAveragePool(editor: Editor, node: Node): void {
  const [x] = node.inputs;
  const [y] = node.outputs;
  if (x === undefined || y === undefined) return;
  const wide = addNode(editor, 'Cast', [x], node, DOUBLE);
  const rows = editor.addInitializer('reference_rows', Tensor.fromNumbers(INT64, [3], [0, 0, -1]));
  const mean = addReduction(editor, 'ReduceMean', addNode(editor, 'Reshape', [wide, rows], node), [2], node);
  const narrow = addNode(editor, 'Cast', [mean], node, FLOAT);
  const name = editor.graph.freshNodeName(`${node.label}_reference_mean`);
  editor.insertAfter(y, {
    opType: 'Reshape',
    name,
    inputs: (inner) => [narrow, addNode(editor, 'Shape', [inner], y.producer)],
  });
}
