/** The minimum cut against all possible selections, on small random networks with random costs. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { findCandidates, type SparseLayer } from '../../passes/sparse/candidates.js';
import { Network } from '../../passes/sparse/minimum-cut.js';
import { addedMoves, cheapestSelection } from '../../passes/sparse/select.js';
import type { Value } from '../../src/ir/graph.js';
import { readModel } from '../../src/onnx/read.js';
import { inspectGraph } from '../../src/graph-info/inspect-graph.js';

interface Step {
  /** Which of the values so far is read; modulo their number. */
  readonly from: number;
  /** The value that is added after the layer, if any. */
  readonly added: number | undefined;
  /** Whether a dense operator reads the result as well. */
  readonly isReadDensely: boolean;
  /** Whether it is an output of the model itself. */
  readonly isOutput: boolean;
  readonly won: number;
  readonly move: number;
}

const steps = fc.array(
  fc.record({
    from: fc.nat(9),
    added: fc.option(fc.nat(9), { nil: undefined }),
    isReadDensely: fc.boolean(),
    isOutput: fc.boolean(),
    won: fc.integer({ min: -8, max: 8 }),
    move: fc.integer({ min: 0, max: 6 }),
  }),
  { minLength: 1, maxLength: 7 },
);

function randomModel(list: readonly Step[]): Uint8Array {
  const g = graphBuilder();
  const values = [g.input('x', [1, 2, 3, 3])];
  const pick = (index: number) => values[index % values.length] ?? 'x';
  for (const { from, added, isReadDensely, isOutput } of list) {
    const made = g.conv(pick(from), { data: [1, 0, 0.5, 0], dims: [2, 2, 1, 1] });
    const value = added === undefined ? made : g.add(made, pick(added));
    if (isReadDensely) g.output(g.op('Abs', [value]));
    if (isOutput) g.output(value);
    values.push(value);
  }
  g.output(g.op('Neg', [pick(values.length - 1)]));
  return g.bytes();
}

/**
 * Computed independently: the native operators that use a value in the blocked layout, as producer,
 * image or residual, and whether there are other users.
 */
function usersOf(value: Value, layers: readonly SparseLayer[]): { layers: SparseLayer[]; others: boolean } {
  const own = layers.filter(({ x, residual, output }) => [x, residual, output].includes(value));
  const isOurs = (node: (typeof value.uses)[number]['node'], index: number) =>
    own.some(({ nodes, x, residual }) => {
      if (nodes[0] === node) return index === 0 && x === value;
      return nodes.includes(node) && residual === value;
    });
  const isMade = own.some(({ output }) => output === value);
  return {
    layers: own,
    others: !isMade || value.isGraphOutput || value.uses.some(({ node, index }) => !isOurs(node, index)),
  };
}

test('no other selection takes less time', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const layers = findCandidates(await inspectGraph(readModel(randomModel(list))));
      expect(layers).toHaveLength(list.length);
      const won = new Map(layers.map((layer, at) => [layer, list[at]?.won ?? 0]));
      const values = [...new Set(layers.flatMap(({ x, output, residual }) => [x, output, residual ?? x]))];
      const prices = new Map(values.map((value, at) => [value, list[at % list.length]?.move ?? 0]));
      const move = (value: Value) => prices.get(value) ?? 0;
      const seconds = (selected: readonly SparseLayer[]) => {
        const moved = values.filter((value) => {
          const { layers: own, others } = usersOf(value, layers);
          const sparse = own.filter((layer) => selected.includes(layer)).length;
          return sparse > 0 && (others || sparse < own.length);
        });
        const gain = selected.reduce((total, layer) => total + (won.get(layer) ?? 0), 0);
        return moved.reduce((total, value) => total + move(value), 0) - gain;
      };
      const all = Array.from({ length: 2 ** layers.length }, (_, bits) =>
        layers.filter((_layer, at) => ((bits >> at) & 1) === 1),
      );
      const selected = cheapestSelection({ won, move });
      expect(seconds(selected)).toBe(Math.min(...all.map(seconds)));
      for (const layer of layers.filter((other) => !selected.includes(other))) {
        const more = seconds([...selected, layer]) - seconds(selected);
        expect(addedMoves(layer, selected, move)).toBe(more + (won.get(layer) ?? 0));
      }
    }),
    { numRuns: 300 },
  );
});

test('a layer that wins nothing stays dense, even if it costs nothing', () => {
  const network = new Network();
  const [source, sink, node] = [network.addNode(), network.addNode(), network.addNode()];
  network.addEdge(source, node, 2);
  network.addEdge(node, sink, 2);
  expect([...network.cut(source, sink)]).toEqual([source]);
});

test('a path of unlimited edges is an error', () => {
  const network = new Network();
  const [source, sink] = [network.addNode(), network.addNode()];
  network.addEdge(source, sink, Number.POSITIVE_INFINITY);
  expect(() => network.cut(source, sink)).toThrow('no cut separates');
});
