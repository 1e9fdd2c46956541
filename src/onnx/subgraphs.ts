/** Graphs inside nodes, as a file has them: branches of If, bodies of Loop and Scan. */
import type { AttributeProto, GraphProto, NodeProto } from './proto.js';

/** An attribute holds one graph or a list of them; nobody has both. */
export function graphsOf({ g, graphs = [] }: AttributeProto): readonly GraphProto[] {
  return g === undefined ? graphs : [g, ...graphs];
}

/** Not those that are nested inside them. */
export function subgraphsOf({ attribute = [] }: NodeProto): GraphProto[] {
  return attribute.flatMap(graphsOf);
}
