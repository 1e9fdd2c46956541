/** Dense int8 as a yardstick: what a user may have without any pruning, at the price of its error. */
import { cpus } from 'node:os';
import { messageOf, PruneCompileError } from '../errors.js';
import { quantizedForTiming } from '../quantise/for-timing.js';
import type { Int8 } from '../exploration/exploration.js';
import { type Bench, timed } from './point.js';

/** Where the model cannot be quantised, that is the result. */
export async function measureInt8(bench: Bench): Promise<Int8> {
  try {
    const model = await quantizedForTiming(bench.dense, bench.settings.shapes);
    const timing = await timed(model, bench);
    return { timing, sizeBytes: model.length, cpu: cpus()[0]?.model.trim() ?? 'unknown' };
  } catch (error) {
    bench.signal?.throwIfAborted();
    const isLimit = error instanceof RangeError || error instanceof TypeError || error instanceof PruneCompileError;
    if (!isLimit) throw error;
    return { problem: messageOf(error) };
  }
}
