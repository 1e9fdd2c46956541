/**
 * What the working process and its guard (supervise.ts) know of each other. The guard removes what
 * is temporary where the worker cannot: a signal finds JavaScript busy, or inside a run of ONNX
 * Runtime, and a crash finds nobody.
 */
import { writeSync } from 'node:fs';
import { onStaging } from '../files/staging.js';

/**
 * Behind standard input, output and error: temporary places go up, one JSON text a line, and its
 * end means that the guard is gone.
 */
export const GUARD_FD = 3;

/**
 * Signals that end the command, with what shells expect of a process that one ended: 128 and its
 * number.
 */
export const SIGNAL_EXITS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
export type EndingSignal = keyof typeof SIGNAL_EXITS;
export const ENDING_SIGNALS = Object.keys(SIGNAL_EXITS) as readonly EndingSignal[];

/**
 * From now on the guard hears of staging folders. Without it the process cleans up as long as it
 * can.
 */
export function beGuarded(): void {
  onStaging((folder) => writeSync(GUARD_FD, `${JSON.stringify(folder)}\n`));
}
