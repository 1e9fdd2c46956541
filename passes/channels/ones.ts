/** Tensors of ones with the height and width of a convolution's input: the input of a ones convolution. */
import type { NodeSite } from '../../src/analysis/facts.js';
import type { Editor } from '../../src/ir/editor.js';
import type { Value } from '../../src/ir/graph.js';
import { INT64, Tensor } from '../../src/ir/tensor.js';

/** Names of everything made here begin so; the ones are shared by all readers of the same size. */
const PREFIX = 'prune_compile';

/** [1, 1, spatial…] of ones: a constant for static sizes, else made from the shape of the input at run time. */
export function onesLike(editor: Editor, { node, site }: NodeSite, dims: readonly number[] | undefined, dataType: number): Value {
  const [data] = node.inputs;
  if (data === undefined) throw new Error(`${node.label} has no input`);
  const one = (shape: readonly number[], count: number) => Tensor.fromNumbers(dataType, shape, new Float64Array(count).fill(1));
  if (dims !== undefined) {
    const name = `${PREFIX}/ones_${dataType}_${dims.join('x')}`;
    const size = dims.reduce((total, dim) => total * dim, 1);
    return editor.graph.values.get(name) ?? editor.addInitializer(name, one([1, 1, ...dims], size));
  }
  const name = `${PREFIX}/ones_${dataType}_like_${data.name}`;
  const present = editor.graph.values.get(name);
  // An earlier reader of the same input may have made it, and comes first in the graph.
  if (present?.producer !== undefined && editor.graph.nodes.indexOf(present.producer) < editor.graph.nodes.indexOf(node)) return present;
  const rank = site.inDims(0)?.length ?? 4;
  const spatial = spatialShape(editor, data, node, rank);
  const make = (opType: string, inputs: readonly Value[], output: string, attributes: Parameters<Editor['addNode']>[0]['attributes'] = {}) => {
    const [value] = editor.addNode({ opType, name: editor.graph.freshName(output), inputs, outputs: [output], attributes }, node).outputs;
    if (value === undefined) throw new Error(`${opType} has one output`);
    return value;
  };
  const leading = integers(editor, `${PREFIX}/1x1`, [1, 1]);
  const shape = make('Concat', [leading, spatial], `${name}_shape`, { axis: { kind: 'int', value: 0 } });
  return make('ConstantOfShape', [shape], name, { value: { kind: 'tensor', value: one([1], 1) } });
}

/** The spatial part of the shape of `data`, as INT64. */
function spatialShape(editor: Editor, data: Value, anchor: NodeSite['node'], rank: number): Value {
  const { opset } = editor.graph;
  const output = `${PREFIX}/size_of_${data.name}`;
  const node = (opType: string, inputs: readonly Value[], name: string, attributes = {}) => {
    const [value] = editor.addNode({ opType, name: editor.graph.freshName(name), inputs, outputs: [name], attributes }, anchor).outputs;
    if (value === undefined) throw new Error(`${opType} has one output`);
    return value;
  };
  // Shape has a start from opset 15 on; Slice takes its bounds as inputs from opset 10 on.
  if (opset >= 15) return node('Shape', [data], output, { start: { kind: 'int', value: 2 } });
  const whole = node('Shape', [data], `${output}_whole`);
  if (opset >= 10) return node('Slice', [whole, integers(editor, `${PREFIX}/2`, [2]), integers(editor, `${PREFIX}/rank_${rank}`, [rank])], output);
  return node('Slice', [whole], output, { starts: { kind: 'ints', value: [2] }, ends: { kind: 'ints', value: [rank] } });
}

function integers(editor: Editor, name: string, values: readonly number[]): Value {
  return editor.graph.values.get(name) ?? editor.addInitializer(name, Tensor.fromNumbers(INT64, [values.length], values));
}
