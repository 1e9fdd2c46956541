/**
 * What is known of a model's graph before any pass runs: shapes, constants, and that it can be
 * worked on at all.
 */
import { PruneCompileError } from '../errors.js';
import { SPARSE_DOMAIN } from '../ir/graph.js';
import { type Model, requireOutputs } from '../onnx/read.js';
import { findConstants } from './constants.js';
import { withKnownExtents } from './extent-keys.js';
import type { GraphInfo } from './graph-info.js';
import { inferShapes } from './shapes.js';
import { checkAttributes, checkExtents } from './validity.js';

/** Throws E-MODEL-… where the model cannot be worked on. */
export async function inspectGraph(model: Model): Promise<GraphInfo> {
  checkModel(model);
  return findGraphInfo(model);
}

/** Throws E-MODEL-INVALID and E-MODEL-SPARSE, without running anything. */
export function checkModel(model: Model): void {
  requireOutputs(model);
  refuseSparse(model);
  checkAttributes(model.proto);
}

/**
 * Of the graph as it is now. Throws E-MODEL-… where ONNX Runtime cannot load it or extents
 * contradict each other.
 */
export async function findGraphInfo({ graph, proto }: Model): Promise<GraphInfo> {
  const shapes = await inferShapes(graph, proto);
  const graphInfo = withKnownExtents({ graph, shapes, constants: await findConstants(graph, proto, shapes) });
  checkExtents(graphInfo);
  return graphInfo;
}

/** Packed weights are known to the native operators alone. */
function refuseSparse({ graph, path }: Model): void {
  const node = graph.nodes.find(({ domain }) => domain === SPARSE_DOMAIN);
  if (node === undefined) return;
  const why =
    'its weights are packed for native operators: only their values and places are there, and no rule knows what they compute';
  throw new PruneCompileError('E-MODEL-SPARSE', {
    what: `${path ?? 'the model'} was compiled with --sparse already`,
    facts: [
      ['where', `${node.label} (${node.qualifiedOp})`],
      ['why', why],
      ['try', 'the model that it was compiled from; prune-compile inspect lists the layers of this one'],
    ],
  });
}
