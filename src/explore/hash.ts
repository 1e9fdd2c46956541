/** Which model it is: its bytes and those of its data files. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';

const CHUNK = 2 ** 20;

export function hashOf(source: string | Uint8Array, externalFiles: readonly string[]): string {
  const hash = createHash('sha256');
  if (typeof source === 'string') addFile(source, hash);
  else hash.update(source);
  for (const path of externalFiles) addFile(path, hash);
  return hash.digest('hex');
}

function addFile(path: string, hash: ReturnType<typeof createHash>): void {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(CHUNK);
    for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer))
      hash.update(buffer.subarray(0, read));
  } finally {
    closeSync(file);
  }
}
