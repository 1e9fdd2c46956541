/** Runs one pass alone on a small graph, twice, and shows the graph before and after. */
import { expect } from 'vitest';
import { passes } from '../../passes/index.js';
import type { PassResult } from '../../passes/pass.js';
import { encodeModel } from '../../src/onnx/write.js';
import { readModel } from '../../src/onnx/read.js';
import { type ContextOptions, passContext } from '../../src/pipeline.js';
import { verifyModels } from '../../src/verify/verify.js';
import { showBoth } from '../support/show-graph.js';

export interface Ran {
  readonly result: PassResult;
  readonly again: PassResult;
  /** The graph before and after, as text. */
  readonly picture: string;
  readonly bytes: Uint8Array;
  readonly isEqual: boolean;
}

/** Widths are not rounded up where `options` leave that open. */
export async function runPass(name: string, bytes: Uint8Array, options: ContextOptions = {}): Promise<Ran> {
  const pass = passes.find((candidate) => candidate.name === name);
  if (pass === undefined) throw new Error(`no pass ${name}`);
  const model = readModel(bytes);
  const context = passContext(model, { align: 1, ...options });
  const result = await pass.run(context);
  const again = await pass.run(context);
  const written = encodeModel(model);
  const { equal } = await verifyModels(bytes, written, { seeds: [1] });
  return { result, again, picture: await showBoth(bytes, written), bytes: written, isEqual: equal };
}

/** What a pass makes of a graph: the picture, after the checks that every change must pass. */
export async function changed(name: string, bytes: Uint8Array, options?: ContextOptions): Promise<string> {
  const { result, again, picture, isEqual } = await runPass(name, bytes, options);
  expect([result.changed, isEqual, again.changed]).toEqual([true, true, false]);
  return picture;
}

/** The picture of a graph that the pass leaves as it is. */
export async function unchanged(name: string, bytes: Uint8Array, options?: ContextOptions): Promise<string> {
  const { result, picture } = await runPass(name, bytes, options);
  expect(result.changed).toBe(false);
  return picture;
}
