/** What is known of a graph before any rule is asked. */
import type { Graph } from '../ir/graph.js';
import type { Constants } from './constants.js';
import type { Shapes } from './shapes.js';

export { siteOf } from './site-of.js';

export interface GraphInfo {
  readonly graph: Graph;
  readonly shapes: Shapes;
  readonly constants: Constants;
}
