/**
 * A float32 model in codes of eight bits, to see how fast that is: calibrated on random inputs, so
 * that its speed is that of a calibrated model and its accuracy says nothing.
 */
import { findShapes, randomFeeds, type Shapes } from '../runtime/inputs.js';
import { createSession } from '../runtime/session.js';
import { calibrate, weightBits } from './calibrate.js';
import { quantized, requireQuantisable } from './quantize.js';

const SEEDS = [1, 2, 3];

/** Throws RangeError for operators, and TypeError for types, that it does not quantise. */
export async function quantizedForTiming(model: Uint8Array, overrides: Shapes = {}): Promise<Uint8Array> {
  requireQuantisable(model);
  const session = await createSession(model);
  try {
    const { plan, shapes } = await findShapes(session, { overrides });
    const feeds = SEEDS.map((seed) => randomFeeds(plan.inputs, shapes, seed));
    return quantized(model, await calibrate(model, feeds), { weightBits: weightBits() });
  } finally {
    await session.release();
  }
}
