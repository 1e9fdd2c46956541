/**
 * Whether a parameter of a checkpoint is an operand of the model, told by its values. Exporters
 * fold a normalisation into the layer before it, which scales each filter by a number of its own;
 * masks put zeros into either. So per filter the two must be proportional wherever both are not
 * zero.
 */
import { BFLOAT16, product } from '../ir/tensor.js';
import type { Claim } from './claim.js';
import type { FileTensor } from './contents.js';
import { alignedView, type Layout, type Target } from './expand.js';

/**
 * float16 keeps 11 bits of a weight and the scale between the two is a quotient of such: 2^-11
 * twice, and a factor of 2.
 */
const TOLERANCE = 2 ** -9;
/** bfloat16 keeps 8 bits. */
const TOLERANCE_BFLOAT16 = 2 ** -6;

/** How far values of a file may be from the model's, as a share of them. */
export function toleranceOf({ dataType }: Pick<FileTensor, 'dataType'>): number {
  return dataType === BFLOAT16 ? TOLERANCE_BFLOAT16 : TOLERANCE;
}

/** So many elements in proportion are no accident, however few filters are left. */
const ENOUGH = 16;

/**
 * 'unknown' when too little can be compared: most filters are zero in either, and fewer elements
 * than are enough are left.
 */
export type Sameness = 'same' | 'different' | 'unknown';

export function compareWeights(
  original: FileTensor,
  claim: Pick<Claim, 'name'>,
  target: Target,
  layout: Layout,
): Sameness {
  if (original.size !== target.tensor.size) return 'unknown';
  const view = alignedView(original, claim, target, layout);
  if (view === undefined) return 'different';
  return areProportional(view.toTensor().numbers(), target.tensor.numbers(), target, toleranceOf(original));
}

/** Both in the operand's layout. */
export function areProportional(
  theirs: Float32Array | Float64Array,
  ours: Float32Array | Float64Array,
  { tensor: { dims }, outAxis }: Pick<Target, 'tensor' | 'outAxis'>,
  tolerance = TOLERANCE,
): Sameness {
  const filters = dims[outAxis] ?? 0;
  const inner = product(dims.slice(outAxis + 1));
  const outer = product(dims.slice(0, outAxis));
  let compared = 0;
  let elements = 0;
  for (let filter = 0; filter < filters; filter++) {
    const places: number[] = [];
    for (let block = 0; block < outer; block++) {
      const start = (block * filters + filter) * inner;
      for (let at = start; at < start + inner; at++) {
        if (theirs[at] !== 0 && ours[at] !== 0) places.push(at);
      }
    }
    if (places.length < 2) continue;
    compared++;
    elements += places.length;
    if (!isProportional(places, theirs, ours, tolerance)) return 'different';
  }
  return compared > 0 && (compared * 2 >= filters || elements >= ENOUGH) ? 'same' : 'unknown';
}

function isProportional(
  places: readonly number[],
  theirs: ArrayLike<number>,
  ours: ArrayLike<number>,
  tolerance: number,
): boolean {
  let dot = 0;
  let square = 0;
  let largest = 0;
  for (const at of places) {
    const [a, b] = [theirs[at] ?? 0, ours[at] ?? 0];
    dot += a * b;
    square += a * a;
    largest = Math.max(largest, Math.abs(b));
  }
  const scale = dot / square;
  return places.every((at) => Math.abs((ours[at] ?? 0) - scale * (theirs[at] ?? 0)) <= tolerance * largest);
}
