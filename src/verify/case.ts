/** One run of both models. */
import type { Feeds } from '../runtime/feeds.js';
import type { Shapes } from '../runtime/inputs.js';

export interface Case {
  readonly shapes: Shapes;
  readonly seed: number;
  readonly feeds: Feeds;
}
