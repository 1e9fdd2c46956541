import picocolors from 'picocolors';
import type { Io, Output } from './io.js';

export type Colors = ReturnType<typeof picocolors.createColors>;

/** Colours where a person watches and does not mind them (https://no-color.org). */
export function colorsFor(output: Output, env: Io['env']): Colors {
  const unwanted = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return picocolors.createColors(output.isTTY === true && !unwanted);
}
