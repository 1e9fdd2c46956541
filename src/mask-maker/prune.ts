/** From layers to what goes of each: pools, scores, choice. */
import { setImmediate } from 'node:timers/promises';
import type { Facts } from '../channels/facts.js';
import type { Choice } from './choice.js';
import type { MaskLayer } from './layers.js';
import { type Grouping, groupUnits, type Pool, poolPerLayer, type Skipped } from './pools.js';
import { checkScorable, type Scorer, scoresOf } from './scores.js';
import { choosePattern, choosePruned, scorePool } from './select.js';
import { type Units, unitsOf } from './units.js';

/** Which units compete, and the layers that have none. */
export function poolsOf(
  layers: readonly MaskLayer[],
  facts: Facts,
  choice: Choice,
  excluded: ReadonlySet<MaskLayer>,
): Grouping {
  const { granularity } = choice;
  if (granularity.kind === 'filter' || granularity.kind === 'channel')
    return groupUnits(layers, facts, choice, excluded);
  const skipped: Skipped[] = [];
  const masked = layers.filter((layer) => {
    if (excluded.has(layer)) return false;
    if (granularity.kind !== 'pattern' || layer.matrix.inputs >= granularity.of) return true;
    skipped.push({
      layer,
      why: `it has ${layer.matrix.inputs} input channels per filter, fewer than ${granularity.of}`,
    });
    return false;
  });
  return { pools: poolPerLayer(masked, (layer) => unitsOf(layer, granularity).count), skipped };
}

export interface Chosen {
  readonly layer: MaskLayer;
  readonly units: Units;
  /** One byte per unit: 1 goes. */
  readonly pruned: Uint8Array;
}

/** What goes of each layer. */
export async function prune(
  all: readonly MaskLayer[],
  pools: readonly Pool[],
  choice: Choice,
  scorer: Scorer,
  signal: AbortSignal | undefined,
): Promise<Chosen[]> {
  const { granularity } = choice;
  const pooled = new Set(pools.flatMap(({ parts }) => parts.map(({ layer }) => layer)));
  const layers = all.filter((layer) => pooled.has(layer));
  checkScorable(layers, scorer);
  const scored = new Map<MaskLayer, { units: Units; scores: Float64Array }>();
  for (const layer of layers) {
    // Scores of a large layer take a second; Ctrl-C is heard in between.
    await setImmediate();
    signal?.throwIfAborted();
    const units = unitsOf(layer, granularity);
    scored.set(layer, { units, scores: scoresOf(layer, units, scorer) });
  }
  const scoresFor = (layer: MaskLayer) => scored.get(layer)?.scores ?? new Float64Array(0);
  const pruned = new Map<MaskLayer, Uint8Array>(
    layers.map((layer) => [layer, new Uint8Array(scored.get(layer)?.units.count ?? 0)]),
  );
  if (granularity.kind === 'pattern')
    for (const layer of layers) pruned.set(layer, choosePattern(layer.matrix, scoresFor(layer), granularity));
  else {
    const isPerFilter = choice.criterion === 'bn-scale' || choice.criterion === 'random';
    const perUnit = ({ outputs, inputs, taps }: MaskLayer['matrix']) =>
      isPerFilter ? 1 : granularity.kind === 'channel' ? outputs * taps : inputs * taps;
    const ranked = pools.map((pool) => scorePool(pool, scoresFor, perUnit));
    for (const [index, gone] of choosePruned(ranked, choice).entries())
      for (const part of pools[index]?.parts ?? []) mark(pruned.get(part.layer), part, gone);
  }
  return layers.flatMap((layer) => {
    const { units } = scored.get(layer) ?? {};
    return units === undefined ? [] : [{ layer, units, pruned: pruned.get(layer) ?? new Uint8Array(units.count) }];
  });
}

/** From a pool's units to those of one of its layers. */
function mark(pruned: Uint8Array | undefined, { locals, perUnit }: Pool['parts'][number], gone: Uint8Array): void {
  if (locals === undefined) pruned?.set(gone);
  else
    for (const [at, local] of locals.entries())
      if (gone[Math.floor(at / perUnit)] === 1 && pruned !== undefined) pruned[local] = 1;
}
