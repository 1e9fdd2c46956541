/**
 * Does pruning pay on this machine, and from where on? Every point of a grid is masked, compiled,
 * verified and timed against the dense model. What is known already is not measured again, so that
 * an exploration can be broken off at any time, and spread over machines.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { denseVariant } from '../bench/dense.js';
import { readModel } from '../onnx/read.js';
import { describeMachine } from '../runtime/machine.js';
import { TOOL } from '../version.js';
import { withConclusions } from '../exploration/conclusions.js';
import { evaluateModel } from './evaluate.js';
import { EXPLORATION_FORMAT, EXPLORATION_SCHEMA, type Exploration, type Point } from '../exploration/exploration.js';
import { requireSame } from '../exploration/combine.js';
import { keyOf, type Place, placesOf, shardOf, sortedPlaces, unionOf } from '../exploration/grid.js';
import { hashOf } from './hash.js';
import { measureInt8 } from './int8.js';
import { asFile, type Bench, measurePoint } from './point.js';
import { checkedOptions, type ExploreOptions } from './settings.js';

/**
 * Throws PruneCompileError for options and models that cannot be explored, for a command of
 * `evaluate` that fails, and where `known` is of another model or of other settings; and the
 * signal's reason. What cannot be done at one point is said in that point.
 */
export async function explore(source: string | Uint8Array, options: ExploreOptions = {}): Promise<Exploration> {
  const { signal, known, shard, budgetMs = Number.POSITIVE_INFINITY } = options;
  const start = performance.now();
  const { grid, settings, notes } = checkedOptions(options);
  const model = readModel(source);
  const name = model.path === undefined ? 'model' : basename(model.path);
  let found: Exploration = {
    format: EXPLORATION_FORMAT,
    schema: EXPLORATION_SCHEMA,
    tool: TOOL,
    date: new Date().toISOString(),
    machine: describeMachine(),
    model: { name, sha256: hashOf(source, model.externalFiles) },
    settings,
    grid,
    ...(shard !== undefined && { shard }),
    points: [],
    notes,
    conclusions: { payoffs: [], fastest: [], front: [] },
  };
  if (known !== undefined) {
    requireSame(known, found, 'what was explored before', 'this exploration');
    found = withKnown(found, known);
  }
  const places = shard === undefined ? placesOf(grid) : shardOf(placesOf(grid), shard);
  const open = placesToDo(places, found.points);
  let done = places.length - open.length;
  options.onProgress?.(done, places.length);
  if (open.length === 0 && found.points.length > 0) return found;

  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'prune-compile-explore-'));
  try {
    const bench: Bench = { source, dense: denseVariant(model).bytes, settings, folder, signal };
    const accuracy = found.dense?.accuracy ?? (await denseAccuracy(bench));
    if (found.int8 === undefined && (shard === undefined || shard.index === 1))
      found = { ...found, int8: await measureInt8(bench) };
    const begin = performance.now();
    for (const [at, place] of open.entries()) {
      signal?.throwIfAborted();
      const now = performance.now();
      // Points of one model take about as long as each other.
      const expected = at === 0 ? 0 : (now - begin) / at;
      if (at > 0 && now - start + expected > budgetMs) break;
      const { point, before } = await measurePoint(place, bench);
      const dense = found.dense ?? before;
      found = withPoint(
        { ...found, ...(dense && { dense: { ...dense, ...(accuracy !== undefined && { accuracy }) } }) },
        point,
      );
      done++;
      options.onPoint?.(found, { point, done, total: places.length });
      options.onProgress?.(done, places.length);
    }
  } finally {
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
  }
  return found;
}

/** The points of an earlier run, those outside the grid of this one as well. */
function withKnown(found: Exploration, known: Exploration): Exploration {
  const { dense, int8, points } = known;
  const grid = unionOf(found.grid, known.grid);
  return withConclusions({ ...found, grid, ...(dense && { dense }), ...(int8 && { int8 }), points });
}

/** The points that `explore` would measure, in its order. Throws E-USAGE and E-KERNELS. */
export function plannedPlaces(options: ExploreOptions): Place[] {
  const places = placesOf(checkedOptions(options).grid);
  return placesToDo(options.shard === undefined ? places : shardOf(places, options.shard), options.known?.points ?? []);
}

/** A point that failed is tried again: what it lacked may be there now. */
function placesToDo(places: readonly Place[], points: readonly Point[]): Place[] {
  const done = new Set(points.filter(({ problem }) => problem === undefined).map(keyOf));
  return places.filter((place) => !done.has(keyOf(place)));
}

function withPoint(found: Exploration, point: Point): Exploration {
  const others = found.points.filter((other) => keyOf(other) !== keyOf(point));
  return withConclusions({ ...found, points: sortedPlaces([...others, point], found.grid) });
}

async function denseAccuracy({ source, settings, folder, signal }: Bench): Promise<number | undefined> {
  if (settings.evaluate === null) return undefined;
  return evaluateModel(settings.evaluate, asFile(source, join(folder, 'dense.onnx')), signal);
}
