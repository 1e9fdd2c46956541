/**
 * What is put back to balance groups, against every other choice: on small networks all subsets of
 * the channels that could go are tried.
 *
 * DIFFERENTIAL_SEED and DIFFERENTIAL_RUNS explore other cases than the fixed ones.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { Blockers } from '../../src/channels/blockers.js';
import type { Facts } from '../../src/channels/facts.js';
import { type GroupedLayer, groupedLayer } from '../../src/channels/grouped-layers.js';
import { readModel } from '../../src/onnx/read.js';
import { passContext } from '../../src/pipeline.js';
import { weights } from '../passes/dead-pair.js';

const SEED = Number(process.env.DIFFERENTIAL_SEED ?? 1);
const RUNS = Number(process.env.DIFFERENTIAL_RUNS ?? 120);

const WIDTH = 12;
/** 2 ** 12 subsets of each network are tried. */
const MOST_FREE = 12;

/** Grouped layers behind each other, all of one width. */
interface Network {
  readonly layers: readonly {
    readonly groups: number;
    /** By how many channels it sees its input turned: then its groups are others. */
    readonly turn: number;
    readonly dead: readonly number[];
  }[];
  /** Zero filters of the 1x1 convolution before. */
  readonly dead: readonly number[];
}

const dead = fc.uniqueArray(fc.nat(WIDTH - 1), { minLength: 2, maxLength: 8 });
const networks: fc.Arbitrary<Network> = fc.record({
  layers: fc.array(fc.record({ groups: fc.constantFrom(2, 3, 4, 6), turn: fc.constantFrom(0, 1, 5), dead }), {
    minLength: 1,
    maxLength: 3,
  }),
  dead,
});

function bytesOf({ layers, dead: first }: Network): Uint8Array {
  const g = graphBuilder();
  let value = g.relu(g.conv(g.input('x', [1, 2, 3, 3]), weights('first', [WIDTH, 2, 1], { filters: first })));
  for (const [at, { groups, turn, dead: filters }] of layers.entries()) {
    const part = (start: number, end: number) => g.slice(value, { axes: [1], starts: [start], ends: [end] });
    if (turn > 0) value = g.concat([part(turn, WIDTH), part(0, turn)]);
    const kernel = weights(`layer${at}`, [WIDTH, WIDTH / groups, 1], { filters });
    value = g.relu(g.conv(value, kernel, { group: groups }));
  }
  g.output(g.conv(value, weights('last', [2, WIDTH, 1])));
  return g.bytes();
}

function groupedLayers({ nodes }: Facts): GroupedLayer[] {
  return nodes.flatMap((at) => groupedLayer(at) ?? []);
}

/** Classes of grouped layers that nothing but a group could keep. */
function freeClasses(facts: Facts, blockers: Blockers): number[] {
  const roots = new Set<number>();
  for (const { input, output } of groupedLayers(facts))
    for (const { axis } of [input, output])
      for (let index = 0; index < axis.extent; index++) roots.add(facts.positions.classOf(axis.base + index));
  return [...roots].filter((root) => (blockers.get(root)?.kind ?? 'group') === 'group');
}

function isBalanced({ positions }: Facts, layers: readonly GroupedLayer[], going: ReadonlySet<number>): boolean {
  return layers.every((layer) => {
    layer.count((axis, index) => going.has(positions.classOf(axis.base + index)), true);
    for (let group = 0; group < layer.groups; group++)
      if (layer.input.excess(group) !== 0 || layer.output.excess(group) !== 0) return false;
    return true;
  });
}

test(`no other choice removes more, in ${RUNS} networks`, async () => {
  let putBack = 0;
  const property = fc.asyncProperty(networks, async (network) => {
    const facts = await passContext(readModel(bytesOf(network))).facts();
    const blockers = new Blockers(facts);
    const layers = groupedLayers(facts);
    const free = freeClasses(facts, blockers);
    fc.pre(free.length > 0 && free.length <= MOST_FREE);
    const going = new Set(free.filter((root) => !blockers.has(root)));
    expect(isBalanced(facts, layers, going)).toBe(true);
    for (let subset = 0; subset < 2 ** free.length; subset++) {
      const other = new Set(free.filter((_, at) => ((subset >> at) & 1) === 1));
      if (other.size > going.size) expect(isBalanced(facts, layers, other), [...other].join()).toBe(false);
    }
    putBack += free.length - going.size;
  });
  await fc.assert(property, { seed: SEED, numRuns: RUNS });
  expect(putBack).toBeGreaterThan(RUNS);
});
