/**
 * remove-dead-nodes: drops nodes whose results nobody reads and initializers that no node reads any
 * more.
 *
 *   x -> Conv -> y          x -> Conv -> y
 *   x -> Shape -> s    =>                        (nothing reads s)
 *
 * Exact? Bitwise: an unread value has no influence. Declines for: graph outputs, values that
 * subgraphs read, and graph inputs that are not initializers. Cost: one walk backwards.
 */
import type { Editor } from '../src/ir/editor.js';
import type { Node, Value } from '../src/ir/graph.js';
import { type Pass, UNCHANGED } from './pass.js';

export const removeDeadNodes: Pass = {
  name: 'remove-dead-nodes',
  summary: 'drop nodes and initializers that nothing reads',
  exactness: 'bitwise',
  run({ editor }) {
    const { nodes, initializers } = findDead(editor);
    if (nodes.length + initializers.length === 0) return Promise.resolve(UNCHANGED);
    const changed = editor.transaction('remove dead nodes', () => {
      // A dead subgraph holds what it captures until it is gone: what is dead then shows in the
      // next round.
      for (let dead = nodes; dead.length > 0; dead = findDead(editor).nodes)
        for (const node of dead) editor.removeNode(node);
      for (const value of findDead(editor).initializers) editor.removeValue(value);
    });
    return Promise.resolve({ changed, gains: false, remarks: [] });
  },
};

/** Dead nodes in reverse order, so that each can be removed after its readers. */
function findDead({ graph }: Editor): { nodes: Node[]; initializers: Value[] } {
  const dead = new Set<Node>();
  const isRead = (value: Value | undefined): boolean =>
    value !== undefined && (value.isSeenOutside || value.uses.some(({ node }) => !dead.has(node)));
  for (const node of graph.nodes.toReversed()) if (!node.outputs.some(isRead)) dead.add(node);
  const initializers = [...graph.initializers()].filter((value) => !isRead(value));
  return { nodes: [...dead], initializers };
}
