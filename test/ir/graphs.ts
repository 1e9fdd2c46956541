/**
 * A small graph with everything an edit can break: shared weights, two outputs, a subgraph that
 * reads from outside.
 */
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import type { Node, Value } from '../../src/ir/graph.js';
import { type Model, readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';

export function sample(): Model {
  const branch = graphBuilder({ name: 'branch' });
  branch.output(branch.op('Neg', ['captured'], {}, { outputs: ['inner'] }));
  const g = graphBuilder({ initializersAsInputs: true });
  const x = g.input('x', ['n', 2, 4, 4]);
  const w = g.initializer('w', [2, 2, 1, 1], [1, 2, 3, 4]);
  const a = g.conv(x, w, { name: 'first', outputs: ['a'] });
  const captured = g.relu(a, { name: 'relu', outputs: ['captured'] });
  const b = g.conv(captured, w, { name: 'second', outputs: ['b'] });
  const condition = g.constant({ data: [true], dims: [] }, { name: 'condition', outputs: ['flag'] });
  const chosen = g.op(
    'If',
    [condition],
    { then_branch: { graph: branch.graph() }, else_branch: { graph: branch.graph() } },
    { name: 'if', outputs: ['chosen'] },
  );
  g.output(g.add(b, chosen, { name: 'add', outputs: ['y'] }));
  g.output(a);
  return readModel(g.bytes());
}

export function nodeOf({ graph }: Model, name: string): Node {
  const node = graph.findNode(name);
  if (node === undefined) throw new Error(`there is no node ${name}`);
  return node;
}

export function valueOf({ graph }: Model, name: string): Value {
  const value = graph.values.get(name);
  if (value === undefined) throw new Error(`there is no value ${name}`);
  return value;
}

/**
 * All that can be seen of the graph: the bytes it is written as, and the links between its parts.
 */
export function stateOf(model: Model): string {
  const links = [...model.graph.values.values()]
    .map(({ name, producer, uses, capturedBy, isGraphInput, isGraphOutput, initializer }) =>
      JSON.stringify({
        name,
        producer: producer?.name,
        uses: uses.map(({ node, index }) => `${node.name}:${index}`).toSorted(),
        capturedBy: capturedBy.map((node) => node.name).toSorted(),
        isGraphInput,
        isGraphOutput,
        dims: initializer?.dims,
      }),
    )
    .toSorted();
  return [Buffer.from(encodeModel(model)).toString('base64'), ...links].join('\n');
}
