/**
 * fold-shapes: writes the target of a Reshape down where everything but one extent is known.
 *
 *   x -> Shape -> Gather(0) -> Unsqueeze -> Concat(·, -1) -> Reshape     =>     Reshape(x, [0, -1])
 *
 * Exact? Bitwise: the same elements under the same shape for every input. Declines when two extents
 * depend on the input in different ways. Cost: none; fewer nodes run. It lets channels through that
 * a computed target would pin.
 */
import { elementsOf, symbolOf } from '../src/graph-info/shape-elements.js';
import type { Extent } from '../src/ops/site.js';
import type { GraphInfo } from '../src/graph-info/graph-info.js';
import type { Node } from '../src/ir/graph.js';
import { INT64, product, Tensor } from '../src/ir/tensor.js';
import { type Pass, UNCHANGED } from './pass.js';

export const foldShapes: Pass = {
  name: 'fold-shapes',
  summary: 'write computed Reshape targets down as constants',
  exactness: 'bitwise',
  async run({ editor, graphInfo }) {
    const facts = await graphInfo();
    const targets = facts.graph.nodes
      .map((node) => ({ node, target: constantTarget(node, facts) }))
      .filter((entry): entry is { node: Node; target: number[] } => entry.target !== undefined);
    if (targets.length === 0) return UNCHANGED;
    const changed = editor.transaction('fold shapes', () => {
      for (const { node, target } of targets) {
        const name = `${node.outputs[0]?.name ?? 'reshape'}_target`;
        editor.setInput(node, 1, editor.addInitializer(name, Tensor.fromNumbers(INT64, [target.length], target)));
      }
    });
    return {
      changed,
      gains: false,
      remarks: [{ kind: 'applied', message: `replaced ${targets.length} computed Reshape targets by constants` }],
    };
  },
};

/**
 * The target as numbers with at most one -1, or undefined when it is constant already or cannot be
 * known.
 */
function constantTarget(node: Node, graphInfo: GraphInfo): number[] | undefined {
  const [data, shape] = node.inputs;
  if (node.opType !== 'Reshape' || node.domain !== '' || graphInfo.constants.has(shape)) return undefined;
  const dims = graphInfo.shapes.of(data);
  const elements = shape === undefined ? undefined : elementsOf(shape, graphInfo);
  if (data === undefined || dims === undefined || elements === undefined) return undefined;
  const zeroCopies = node.int('allowzero', 0) === 0;
  const own = dims.map((dim, axis) => (typeof dim === 'number' ? dim : symbolOf(dim, data, axis)));
  const wanted = elements.map((entry, axis) => (entry === 0 && zeroCopies ? own[axis] : entry));
  const resolved = resolveRest(wanted, own);
  if (resolved === undefined) return undefined;
  let rest = 0;
  const target = resolved.map((entry, axis) => {
    if (typeof entry === 'number' && entry !== -1) return entry;
    if (zeroCopies && entry === own[axis]) return 0;
    rest++;
    return -1;
  });
  return rest > 1 ? undefined : target;
}

/** Replaces -1 by what is left of the element count, where symbols cancel. */
function resolveRest(
  wanted: readonly (Extent | undefined)[],
  own: readonly Extent[],
): (Extent | undefined)[] | undefined {
  if (wanted.includes(undefined)) return undefined;
  const at = wanted.indexOf(-1);
  if (at < 0) return [...wanted];
  const symbols = own.filter((extent) => typeof extent === 'string');
  for (const extent of wanted) {
    if (typeof extent !== 'string') continue;
    const same = symbols.indexOf(extent);
    if (same < 0) return undefined;
    symbols.splice(same, 1);
  }
  const numbers = (extents: readonly (Extent | undefined)[]) =>
    product(extents.filter((extent) => typeof extent === 'number' && extent !== -1) as number[]);
  const rest = numbers(own) / numbers(wanted);
  if (!Number.isInteger(rest)) return undefined;
  const [symbol, ...others] = symbols;
  if (others.length > 0 || (symbol !== undefined && rest !== 1)) return [...wanted];
  return wanted.with(at, symbol ?? rest);
}
