/**
 * Compiles a problem's model and compares the two in ONNX Runtime, graph optimisations off on both sides.
 *
 * How close is equal? Both models sum the same products in another order. A float32 sum of K terms drifts by about
 * sqrt(K) / 2 epsilons (1.2e-7) of its largest term between two orders; here K is below 100 and at most about fifteen layers
 * follow one another, each with a gain near 1: 5 * 15 * 1.2e-7 = 9e-6 of the scale. Twice that, 2e-5, is the tolerance, and
 * constants and weights are near 1, so that a wrong removal shows as 1e-3 at least.
 *
 * Where values cancel (a difference of equals, a normalisation of a constant) the scale of the output no longer says what
 * was rounded. There the model itself is asked: every float weight moved by up to one unit in the last place is a model as
 * good as the first; what its outputs move by, times 16, is allowed instead.
 */
import * as ort from 'onnxruntime-node';
import { normals, words } from '../../fixtures/random.js';
import { compileModel, type CompileOptions } from '../../src/compile.js';
import { Editor } from '../../src/ir/editor.js';
import { SPARSE_DOMAIN } from '../../src/ir/graph.js';
import { isFloating, Tensor } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';
import { createSession } from '../../src/runtime/session.js';
import { type Built, buildGraph } from './build-graph.js';
import type { Problem } from './random-graphs.js';
import { product } from './sketch.js';

export const TOLERANCE = 2e-5;
/** Outputs smaller than this are compared as if they were this large. */
const SMALLEST_SCALE = 0.05;
const NUDGE_MULTIPLE = 16;
const NUDGES = 4;

export interface Checked {
  /** The reference does not load or run: the problem says nothing. */
  readonly skipped: boolean;
  /** Undefined when all is well. */
  readonly failure?: string;
  /** Whether the second tolerance was needed. */
  readonly cancels: boolean;
  readonly removed: number;
  /** Layers that became sparse operators. */
  readonly sparseLayers: number;
  /** Outputs of the model that such operators compute. */
  readonly sparseOutputs: number;
}

type Outputs = Readonly<Record<string, ort.Tensor>>;

export async function check(problem: Problem, options: CompileOptions): Promise<Checked> {
  const built = buildGraph(problem);
  const expected = await runAll(built.bytes, built).catch(() => undefined);
  if (expected === undefined) return { skipped: true, cancels: false, removed: 0, sparseLayers: 0, sparseOutputs: 0 };
  const compiled = await compileModel(built.bytes, options);
  const { before, after } = compiled.report;
  const removed = before.channels - after.channels;
  const sparseLayers = compiled.report.sparse?.layers ?? 0;
  const counts = { removed, sparseLayers, sparseOutputs: 0 };
  if (!compiled.report.changed) return { skipped: false, cancels: false, ...counts };
  const bytes = compiled.encode();
  const { outputs } = readModel(bytes).graph;
  counts.sparseOutputs = outputs.filter(({ producer }) => producer?.domain === SPARSE_DOMAIN).length;
  const found = await runAll(bytes, built);
  const difference = compareAll(expected, found);
  let cancels = false;
  if (difference.kind === 'shape') return { skipped: false, cancels, ...counts, failure: difference.what };
  if (difference.excess > 1) {
    cancels = true;
    const allowed = await sensitivity(built, expected);
    if (difference.error > allowed) {
      const failure = `${difference.what}: differs by ${difference.error.toExponential(1)}, allowed ${allowed.toExponential(1)}`;
      return { skipped: false, cancels, ...counts, failure };
    }
  }
  // No rule knows sparse operators: such a model is not compiled again.
  if (options.sparse === true) return { skipped: false, cancels, ...counts };
  const again = await compileModel(bytes, options);
  if (!again.report.changed) return { skipped: false, cancels, ...counts };
  const what = again.report.remarks
    .filter(({ kind }) => kind === 'applied')
    .map(({ node, message }) => `${node ?? ''} ${message}`);
  return {
    skipped: false,
    cancels,
    ...counts,
    failure: `a second compile changes more: ${what.join('; ')}`,
  };
}

async function runAll(bytes: Uint8Array, { sizes }: Built): Promise<Outputs[]> {
  const session = await createSession(bytes, { optimize: false });
  const results: Outputs[] = [];
  try {
    for (const [at, dims] of sizes.entries()) {
      const feeds = Object.entries(dims).map(
        ([name, extents]) => [name, new ort.Tensor(normals(at + 1, name, product(extents)), [...extents])] as const,
      );
      results.push(await session.run(Object.fromEntries(feeds)));
    }
    return results;
  } finally {
    await session.release();
  }
}

type Difference =
  | { readonly kind: 'shape'; readonly what: string }
  | { readonly kind: 'value'; readonly what: string; readonly error: number; readonly excess: number };

/** The worst difference of all outputs at all sizes; `excess` is how much of its tolerance it uses. */
function compareAll(expected: readonly Outputs[], found: readonly Outputs[]): Difference {
  let worst: Difference = { kind: 'value', what: '', error: 0, excess: 0 };
  for (const [at, outputs] of expected.entries()) {
    const names = [Object.keys(outputs), Object.keys(found[at] ?? {})].map(String);
    if (names[0] !== names[1]) return { kind: 'shape', what: `outputs ${names.join(' became ')}` };
    for (const [name, tensor] of Object.entries(outputs)) {
      const other = found[at]?.[name];
      const [was, is] = [tensor, other].map((side) => `${side?.type ?? ''} [${String(side?.dims)}]`);
      if (other === undefined || was !== is) return { kind: 'shape', what: `${name} ${was ?? ''} became ${is ?? ''}` };
      const { error, scale } = distance(tensor.data as Float32Array, other.data as Float32Array);
      const excess = error / (TOLERANCE * Math.max(SMALLEST_SCALE, scale));
      if (excess > worst.excess)
        worst = { kind: 'value', what: `${name} at size ${at} (scale ${scale.toExponential(1)})`, error, excess };
    }
  }
  return worst;
}

function distance(a: Float32Array, b: Float32Array): { error: number; scale: number } {
  let [error, scale] = [0, 0];
  for (const [index, value] of a.entries()) {
    const other = b[index] ?? Number.NaN;
    if (Object.is(value, other)) continue;
    const apart = Math.abs(value - other);
    error = Math.max(error, Number.isNaN(apart) ? Number.POSITIVE_INFINITY : apart);
  }
  for (const value of a) if (Number.isFinite(value)) scale = Math.max(scale, Math.abs(value));
  return { error, scale };
}

/** How far the outputs move when every weight that is not 0 moves by up to one unit in the last place, times a margin. */
async function sensitivity(built: Built, expected: readonly Outputs[]): Promise<number> {
  let most = 0;
  for (let seed = 0; seed < NUDGES; seed++) {
    const found = await runAll(nudged(built.bytes, seed), built);
    const difference = compareAll(expected, found);
    if (difference.kind === 'value') most = Math.max(most, difference.error);
  }
  return NUDGE_MULTIPLE * most;
}

function nudged(bytes: Uint8Array, seed: number): Uint8Array {
  const model = readModel(bytes);
  const editor = new Editor(model.graph);
  editor.transaction('nudge', () => {
    for (const value of model.graph.initializers()) {
      const tensor = value.initializer;
      if (!isFloating(tensor.dataType)) continue;
      const word = words(seed, value.name);
      const numbers = Float64Array.from(
        tensor.numbers(),
        (number, index) => number * (1 + ((word(index) % 3) - 1) * 2 ** -23),
      );
      editor.setInitializer(value, Tensor.fromNumbers(tensor.dataType, tensor.dims, numbers));
    }
  });
  return encodeModel(model);
}
