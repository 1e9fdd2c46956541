/** The compiled model on its way out: staged beside its destination, or held as bytes for standard output. */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Compiled } from '../compile.js';
import { PruneCompileError } from '../errors.js';
import { type Context, STDIN } from './context.js';
import { checkOutput, StagedOutput, STDOUT } from './destination.js';
import type { Source } from './engine.js';
import { BrokenPipe, type Io, writeTo } from './io.js';
import type { Options } from './options.js';

/** Mistakes about files, found before any work is done. */
export function checkPlaces(model: string, to: string, options: Options): void {
  if (to === STDOUT && options.json === true) {
    throw new PruneCompileError('E-USAGE', {
      what: 'the model and the JSON cannot both go to standard output',
      facts: [['try', '--report report.json for the JSON, or --output FILE for the model']],
    });
  }
  // That the input is missing is said by whoever reads it; its folder is the output's, and may be missing too.
  if (model !== STDIN && !existsSync(model)) return;
  const { masks = [], maskMap } = options;
  const inputs = [...(model === STDIN ? [] : [model]), ...masks, ...(maskMap === undefined ? [] : [maskMap])];
  if (to !== STDOUT) checkOutput(to, inputs, '--output');
  const taken = new Map([[resolve(to), 'the model']]);
  for (const { path, option, what } of sideFiles(options)) {
    checkOutput(path, inputs, option);
    const other = taken.get(resolve(path));
    // Two reports of one name are one report.
    if (other !== undefined && other !== what)
      throw new PruneCompileError('E-USAGE', { what: `${path} cannot be both ${other} and ${what}` });
    taken.set(resolve(path), what);
  }
}

function sideFiles({ report = [], channels, stateDict }: Options) {
  return [
    ...report.map((path) => ({ path, option: '--report', what: 'a report' })),
    ...(channels === undefined ? [] : [{ path: channels, option: '--channels', what: 'the kept channels' }]),
    ...(stateDict === undefined ? [] : [{ path: stateDict, option: '--state-dict', what: 'the small weights' }]),
  ];
}

export class CompiledOutput {
  readonly sizeBytes: number;
  readonly #io: Io;
  readonly #held: StagedOutput | Uint8Array;
  /** The files that were read: none of them may be replaced. */
  readonly inputs: readonly string[];
  #published = false;

  private constructor(held: StagedOutput | Uint8Array, sizeBytes: number, inputs: readonly string[], io: Io) {
    this.#held = held;
    this.sizeBytes = sizeBytes;
    this.inputs = inputs;
    this.#io = io;
  }

  static write(compiled: Compiled, to: string, { io, onFinish }: Context): CompiledOutput {
    const inputs = filesOf(compiled);
    if (to === STDOUT) {
      const bytes = compiled.encode();
      return new CompiledOutput(bytes, bytes.length, inputs, io);
    }
    const staged = new StagedOutput(to);
    onFinish(() => staged.discard());
    return new CompiledOutput(staged, compiled.write(staged.path), inputs, io);
  }

  /** For whoever runs the model: where it is now. */
  get source(): Source {
    return this.#held instanceof StagedOutput ? this.#held.path : this.#held;
  }

  /** Whether the model is where it was asked for: what goes with it may then be written. */
  get isPublished(): boolean {
    return this.#published;
  }

  /** Puts the model where it was asked for; once. */
  async publish(): Promise<void> {
    if (this.#published) return;
    this.#published = true;
    if (this.#held instanceof StagedOutput) this.#held.publish(this.inputs);
    else await send(this.#held, this.#io);
  }
}

/** A reader that leaves early is its own business with a table; a model that did not arrive is a failure. */
async function send(bytes: Uint8Array, io: Io): Promise<void> {
  try {
    await writeTo(io.stdout, bytes);
  } catch (error) {
    if (!(error instanceof BrokenPipe)) throw error;
    throw new PruneCompileError('E-OUTPUT-UNWRITABLE', {
      what: 'cannot write the model to standard output',
      facts: [['why', 'its reader closed it']],
      cause: error,
    });
  }
}

/** The input model and its external data: none of them may be replaced. */
function filesOf({ input }: Compiled): string[] {
  const { path, proto } = input;
  if (path === undefined) return [];
  const locations = (proto.graph?.initializer ?? []).flatMap(({ externalData }) =>
    (externalData ?? []).flatMap(({ key, value }) => (key === 'location' && typeof value === 'string' ? [value] : [])),
  );
  return [path, ...[...new Set(locations)].map((location) => join(dirname(path), location))];
}
