/** A file that is written beside the model: a report, kept channels. Written as atomically as models. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf, PruneCompileError } from '../errors.js';
import { writeFiles } from '../onnx/write.js';

/** `what` and `option` are for the message when it cannot be written. The folder is made only where the user did not name it. */
export function writeSideFile(
  path: string,
  contents: string | Uint8Array,
  what: string,
  option: string,
  { makesFolder = false } = {},
): void {
  try {
    if (makesFolder) mkdirSync(dirname(path), { recursive: true });
    writeFiles([{ path, chunks: [typeof contents === 'string' ? Buffer.from(contents) : contents] }]);
  } catch (error) {
    throw new PruneCompileError('E-OUTPUT-UNWRITABLE', {
      what: `cannot write ${what} ${path}`,
      facts: [
        ['why', error instanceof PruneCompileError ? (error.facts[0]?.[1] ?? error.what) : messageOf(error)],
        ['try', `${option} with a path in a folder you may write to`],
      ],
      cause: error,
    });
  }
}
