/** Where the files of a compilation go, and the compiled model on its way there. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Compiled } from '../compile.js';
import { PruneCompileError } from '../errors.js';
import { requirePlace } from '../files/write-files.js';
import { STDIN } from './context.js';
import { checkEarlier, checkOutput, STDOUT, type Wanted } from './destination.js';
import type { OutputKind } from './earlier-output.js';
import type { Source } from './engine.js';
import { BrokenPipe, type Io, writeTo } from './io.js';
import type { Options } from './options.js';
import type { OutputFiles } from './output-files.js';

/** Mistakes about files, found before any work is done. */
export function checkPlaces(model: string, to: string, options: Options): void {
  if (to === STDOUT && options.json === true) {
    throw new PruneCompileError('E-USAGE', {
      what: 'the model and the JSON cannot both go to standard output',
      facts: [['try', '--report report.json for the JSON, or --output FILE for the model']],
    });
  }
  // That the input is missing is said by whoever reads it; its folder is the output's, and may be
  // missing too.
  if (model !== STDIN && !existsSync(model)) return;
  const { masks = [], maskMap } = options;
  const inputs = model === STDIN ? [] : [model];
  const others = [
    ...masks.map((path) => ({ path, what: 'the file with the masks' })),
    ...(maskMap === undefined ? [] : [{ path: maskMap, what: 'the file given to --mask-map' }]),
  ];
  const taken = new Map<string, OutputKind>();
  for (const wanted of [...(to === STDOUT ? [] : [modelAt(to)]), ...sideFiles(options)]) {
    checkOutput(wanted, inputs, others);
    // A copy of what comes through a pipe is known as such when that was read.
    const mayBeCopy = wanted.kind === 'model' && model === STDIN;
    if (options.force !== true && !mayBeCopy) checkEarlier(wanted, wanted.kind === 'model' ? model : undefined);
    const place = requirePlace(wanted.path, wanted.option);
    const other = taken.get(place);
    if (other !== undefined && other !== wanted.kind)
      throw new PruneCompileError('E-USAGE', {
        what: `${wanted.path} cannot be both ${WHAT[other]} and ${WHAT[wanted.kind]}`,
      });
    taken.set(place, wanted.kind);
  }
}

const WHAT: Readonly<Record<OutputKind, string>> = {
  model: 'the model',
  report: 'a report',
  channels: 'the kept channels',
  'state dict': 'the small weights',
  masks: 'the masks',
  'cost table': 'the cost table',
  exploration: 'the exploration',
};

function modelAt(path: string): Wanted {
  return { path, kind: 'model', option: '--output', canStream: true };
}

function sideFiles({ report = [], channels, stateDict }: Options): Wanted[] {
  return [
    ...report.map(reportAt),
    ...(channels === undefined ? [] : [channelsAt(channels)]),
    ...(stateDict === undefined ? [] : [stateDictAt(stateDict)]),
  ];
}

export function reportAt(path: string): Wanted {
  return { path, kind: 'report', option: '--report' };
}

export function channelsAt(path: string): Wanted {
  return { path, kind: 'channels', option: '--channels' };
}

export function stateDictAt(path: string): Wanted {
  return { path, kind: 'state dict', option: '--state-dict' };
}

/** The compiled model: staged with the other files, or held as bytes for standard output. */
export class CompiledOutput {
  readonly sizeBytes: number;
  /** For whoever runs the model: where it is now. */
  readonly source: Source;
  /** The files that were read: none of them may be replaced. */
  readonly inputs: readonly string[];

  private constructor(source: Source, sizeBytes: number, inputs: readonly string[]) {
    this.source = source;
    this.sizeBytes = sizeBytes;
    this.inputs = inputs;
  }

  static write(compiled: Compiled, to: string, files: OutputFiles): CompiledOutput {
    const inputs = filesOf(compiled);
    if (to === STDOUT) {
      const bytes = compiled.encode();
      return new CompiledOutput(bytes, bytes.length, inputs);
    }
    const { path, result } = files.write(modelAt(to), (staged) => compiled.write(staged));
    return new CompiledOutput(path, result, inputs);
  }

  /** To standard output, where it was asked for there; a file is published with the others. */
  async send(io: Io): Promise<void> {
    if (typeof this.source !== 'string') await send(this.source, io);
  }
}

/**
 * A reader that leaves early is its own business with a table; a model that did not arrive is a
 * failure.
 */
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
