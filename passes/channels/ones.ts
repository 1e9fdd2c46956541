/**
 * Tensors of ones in the place of a convolution's input, where nothing that the input is made of is
 * to be computed any more.
 *
 * The size is static. The ones are still made at run time, from one element of a model input (a
 * number is never greater than itself, NaN included). Were they constants, ONNX Runtime would fold
 * the convolution into a stored map; adding a stored map takes the data out of the blocked layout,
 * so that two reorders, an Add and a Relu run on their own. A computed convolution of provably the
 * same shape is summed inside another one's kernel instead.
 */
import type { AnalyzedNode } from '../../src/channels/analyzed-node.js';
import type { Editor } from '../../src/ir/editor.js';
import type { NodeSpec } from '../../src/ir/node-spec.js';
import type { GraphInfo } from '../../src/graph-info/graph-info.js';
import { COMPILER_PREFIX, type Dim, type Graph, type Node, type Value } from '../../src/ir/graph.js';
import { makesOnes } from '../../src/ir/origin.js';
import { INT64, product, Tensor } from '../../src/ir/tensor.js';
import { once } from './once.js';

const AXIS_0 = { axis: { kind: 'int', value: 0 } } as const;

/**
 * [1 or the batch, 1, spatial…] of ones for the reader `at`. `dims`: its spatial extents.
 */
export function onesLike(
  editor: Editor,
  { shapes }: GraphInfo,
  at: AnalyzedNode,
  dims: readonly number[],
  dataType: number,
): Value {
  const batch = at.site.inDims(0)?.[0] ?? '';
  const source = modelInput(editor.graph, shapes, batch);
  const shape: Dim[] = [source === undefined ? 1 : batch, 1, ...dims];
  const name = `${COMPILER_PREFIX}ones_${dataType}_${shape.join('x')}`;
  return once(editor.graph, ['ones', dataType, ...shape], () => {
    if (source === undefined) {
      const ones = new Float64Array(product(dims)).fill(1);
      return editor.addInitializer(name, Tensor.fromNumbers(dataType, [1, 1, ...dims], ones));
    }
    const make = atStart(editor);
    const one = runtimeOne(editor, source, batch, dataType, make);
    const target =
      typeof batch === 'number' ? integers(editor, [batch, 1, ...dims]) : shapeWithBatch(editor, source, dims, make);
    return make({ opType: 'Expand', inputs: [one, target], name, declared: { dataType, dims: shape } });
  });
}

/**
 * Whether onesLike gives the reader's own batch, and not a batch of 1 that is only good for adding.
 */
export function onesHaveBatch({ graph, shapes }: GraphInfo, at: AnalyzedNode): boolean {
  const batch = at.site.inDims(0)?.[0] ?? '';
  return batch === 1 || modelInput(graph, shapes, batch) !== undefined;
}

/**
 * The model input whose leading extent is the batch, so that the ones can be given the very shape
 * of the data. None where the batch has no name, or where the opset (Expand-8, Greater-9 for all
 * floats) cannot make ones at run time. Where the batch is a number an element of the input is
 * read, so that one which may be empty is none either.
 */
function modelInput(graph: Graph, shapes: GraphInfo['shapes'], batch: Dim): Value | undefined {
  if (graph.opset < 9 || batch === '') return undefined;
  const isFit = (value: Value) => {
    const dims = shapes.of(value);
    if (typeof batch === 'string') return dims?.[0] === batch;
    return dims?.every((dim) => typeof dim === 'number' && dim > 0) === true;
  };
  // Only what a convolution reads is surely of a floating-point type.
  return graph.inputs.find(
    (value) => value.initializer === undefined && isFit(value) && value.uses.some(({ node }) => node.opType === 'Conv'),
  );
}

type Make = (spec: Pick<NodeSpec, 'opType' | 'inputs' | 'attributes' | 'declared'> & { name: string }) => Value;

/**
 * Adds nodes one after the other at the start of the graph: they depend on model inputs and
 * constants alone.
 */
function atStart(editor: Editor): Make {
  const anchor = editor.graph.nodes.find((node) => !makesOnes(node));
  return (spec) => addNode(editor, spec, anchor);
}

function addNode(editor: Editor, { name, ...spec }: Parameters<Make>[0], anchor: Node | undefined): Value {
  const node = editor.addNode(
    { ...spec, name: editor.graph.freshNodeName(name), outputs: [name], origin: { kind: 'ones' } },
    anchor,
  );
  const [value] = node.outputs;
  if (value === undefined) throw new Error(`${spec.opType} has one output`);
  return value;
}

/**
 * [1] holding 1: from the batch where it is symbolic (an empty one too), else from an element of
 * the input.
 */
function runtimeOne(editor: Editor, source: Value, batch: Dim, dataType: number, make: Make): Value {
  return once(editor.graph, ['one', dataType], () => {
    const name = `${COMPILER_PREFIX}one_${dataType}`;
    const cast = { to: { kind: 'int', value: dataType } } as const;
    if (typeof batch === 'string') {
      const size = batchOf(editor, source, make);
      const always = make({ opType: 'Equal', inputs: [size, size], name: `${COMPILER_PREFIX}always` });
      return make({ opType: 'Cast', inputs: [always], name, attributes: cast });
    }
    const flat = make({ opType: 'Reshape', inputs: [source, integers(editor, [-1])], name: `${COMPILER_PREFIX}flat` });
    const element = make({
      opType: 'Gather',
      inputs: [flat, integers(editor, [0])],
      name: `${COMPILER_PREFIX}element`,
      attributes: AXIS_0,
    });
    const never = make({ opType: 'Greater', inputs: [element, element], name: `${COMPILER_PREFIX}never` });
    const always = make({ opType: 'Not', inputs: [never], name: `${COMPILER_PREFIX}always` });
    return make({ opType: 'Cast', inputs: [always], name, attributes: cast });
  });
}

/** [batch] as INT64, read from the model input. */
function batchOf(editor: Editor, source: Value, make: Make): Value {
  return once(editor.graph, ['batch', source], () => {
    const whole = make({ opType: 'Shape', inputs: [source], name: `${COMPILER_PREFIX}shape_of_${source.name}` });
    const name = `${COMPILER_PREFIX}batch_of_${source.name}`;
    return make({ opType: 'Gather', inputs: [whole, integers(editor, [0])], name, attributes: AXIS_0 });
  });
}

/** [batch, 1, spatial…] as INT64. */
function shapeWithBatch(editor: Editor, source: Value, dims: readonly number[], make: Make): Value {
  const inputs = [batchOf(editor, source, make), integers(editor, [1, ...dims])];
  return make({ opType: 'Concat', inputs, name: `${COMPILER_PREFIX}shape_${dims.join('x')}`, attributes: AXIS_0 });
}

function integers(editor: Editor, values: readonly number[]): Value {
  return once(editor.graph, ['integers', ...values], () =>
    editor.addInitializer(`${COMPILER_PREFIX}${values.join('x')}`, Tensor.fromNumbers(INT64, [values.length], values)),
  );
}
