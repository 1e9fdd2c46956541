/**
 * Tensors outside the model file: located and checked when the model is read, loaded when their
 * bytes are asked for.
 */
import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { messageOf, PruneCompileError } from '../errors.js';
import type { TensorProto } from './proto.js';

export interface DataRange {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

export class ExternalData {
  readonly #folder: string | undefined;
  readonly #sizes = new Map<string, number>();

  /** `modelPath` is undefined for models that came as bytes: they cannot have external data. */
  constructor(modelPath: string | undefined) {
    this.#folder = modelPath === undefined ? undefined : dirname(resolve(modelPath));
  }

  /** Paths of the data files that tensors were found in. */
  files(): string[] {
    return [...this.#sizes.keys()];
  }

  /**
   * Checks that the range exists and lies inside the model's folder, without reading it. `length`:
   * what dims and type need.
   */
  locate(tensor: TensorProto, length: number): DataRange {
    const entries = new Map((tensor.externalData ?? []).map(({ key, value }) => [key, value ?? '']));
    const location = entries.get('location') ?? '';
    const path = this.#resolve(tensor, location);
    const size = this.#size(tensor, path, location);
    const misfit = (why: string, advice: string) =>
      new PruneCompileError('E-EXTERNAL-RANGE', {
        what: `tensor ${label(tensor)} does not fit its external data file ${location}`,
        facts: [
          ['why', why],
          ['try', advice],
        ],
      });
    const again = 'export the model again: its description of the data file is wrong';
    const offset = Number(entries.get('offset') ?? 0);
    if (!Number.isSafeInteger(offset) || offset < 0) throw misfit(`its offset is "${entries.get('offset')}"`, again);
    const stated = entries.get('length');
    if (stated !== undefined && Number(stated) !== length)
      throw misfit(`its shape needs ${length} bytes, its length entry says "${stated}"`, again);
    if (offset + length > size) {
      const why = `it needs bytes ${offset} to ${offset + length}, and the file has ${size}`;
      throw misfit(why, "copy the whole data file into the model's folder again");
    }
    return { path, offset, length };
  }

  /** Fills `into` with the bytes of the range from `start` on. */
  read({ path, offset }: DataRange, start: number, into: Uint8Array): void {
    let file: number | undefined;
    try {
      file = openSync(path, 'r');
      let done = 0;
      while (done < into.length) {
        const length = Math.min(into.length - done, 2 ** 30);
        const count = readSync(file, into, done, length, offset + start + done);
        if (count === 0) throw new Error('the file ended early');
        done += count;
      }
    } catch (error) {
      throw new PruneCompileError('E-EXTERNAL-RANGE', {
        what: `cannot read ${path}`,
        facts: [
          ['why', messageOf(error)],
          ['try', 'keep the data file in its place, unchanged, until the model is written'],
        ],
        cause: error,
      });
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  #resolve(tensor: TensorProto, location: string): string {
    if (this.#folder === undefined) {
      throw new PruneCompileError('E-EXTERNAL-MISSING', {
        what: `tensor ${label(tensor)} is in the file ${location}, but the model was given as bytes`,
        facts: [
          ['why', 'bytes have no folder to look for that file in'],
          ['try', 'give the path of the model file instead'],
        ],
      });
    }
    const path = resolve(this.#folder, location);
    const outside = (folder: string, file: string) => {
      const inside = relative(folder, file);
      return inside === '' || inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside);
    };
    const escapes =
      location === '' || isAbsolute(location) || outside(this.#folder, path) || this.#linksOutside(path, outside);
    if (escapes) {
      throw new PruneCompileError('E-EXTERNAL-PATH', {
        what: `tensor ${label(tensor)} refers to external data outside the model's folder: "${location}"`,
        facts: [
          ['why', 'a model may only read files in its own folder; anything else could expose or overwrite your files'],
          ['try', "move the data file into the model's folder and export again"],
        ],
      });
    }
    return path;
  }

  #linksOutside(path: string, outside: (folder: string, file: string) => boolean): boolean {
    try {
      return outside(realpathSync(this.#folder ?? ''), realpathSync(path));
    } catch {
      return false; // missing: #size reports it
    }
  }

  #size(tensor: TensorProto, path: string, location: string): number {
    let size = this.#sizes.get(path);
    if (size === undefined) {
      try {
        const stat = statSync(path);
        if (!stat.isFile()) throw new Error('it is not a file');
        size = stat.size;
      } catch (error) {
        throw new PruneCompileError('E-EXTERNAL-MISSING', {
          what: `the external data file ${location} is missing`,
          facts: [
            ['where', `tensor ${label(tensor)} expects it at ${path}`],
            ['try', "copy the file into the model's folder; the two belong together"],
          ],
          cause: error,
        });
      }
      this.#sizes.set(path, size);
    }
    return size;
  }
}

function label(tensor: TensorProto): string {
  return tensor.name ?? '(without a name)';
}
