/** What a command gets to work with. */
import type { Engine, Source } from './engine.js';
import { type Io, readAll } from './io.js';
import type { Options } from './options.js';
import type { Steps } from './steps.js';

export interface Context {
  readonly io: Io;
  readonly engine: Engine;
  readonly steps: Steps;
  /** What was typed, as it can be typed again. */
  readonly command: string;
  readonly positionals: readonly string[];
  readonly options: Options;
  /** Runs when the command ends in any way, also by Ctrl-C: temporary files go here. */
  readonly onFinish: (cleanUp: () => void) => void;
}

export const STDIN = '-';

/** A model named on the command line: a path, or bytes where it is `-`. */
export async function sourceOf(model: string, io: Io): Promise<Source> {
  return model === STDIN ? readAll(io.stdin) : model;
}

export function nameOf(model: string): string {
  return model === STDIN ? 'standard input' : model;
}

/** Lets a pending Ctrl-C be heard between two long pieces of work that never wait. */
export async function breathe(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
}

/** The fields of an object that are set: options left out must be absent, not undefined. */
export function present<T extends object>(fields: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
