/** The weights of a layer as they count in its sums: those of codes from their zero points. */
import { FLOAT, product, Tensor } from '../ir/tensor.js';
import type { Codes, LayerRelation } from './axes.js';
import type { Site } from './site.js';

/** Per tensor of codes, with the zero points that it was read with. */
const centred = new WeakMap<Tensor, { readonly points: Tensor | undefined; readonly tensor: Tensor }>();

/** Undefined where they are not constant. */
export function weightsOf(
  site: Pick<Site, 'constant'>,
  { weights, codes }: Pick<LayerRelation, 'weights'> & { readonly codes?: Codes | undefined },
): Tensor | undefined {
  const tensor = site.constant(weights.index);
  if (tensor === undefined || codes === undefined) return tensor;
  const points = codes.weightZeros === undefined ? undefined : site.constant(codes.weightZeros);
  const known = centred.get(tensor);
  if (known !== undefined && known.points === points) return known.tensor;
  const made = fromZeroPoints(tensor, points?.numbers() ?? [0], weights.outAxis);
  centred.set(tensor, { points, tensor: made });
  return made;
}

/** `points`: one, or one per index of `axis`. */
function fromZeroPoints(tensor: Tensor, points: ArrayLike<number>, axis: number): Tensor {
  const inner = product(tensor.dims.slice(axis + 1));
  const extent = tensor.dims[axis] ?? 1;
  const values = Float64Array.from(tensor.numbers(), (code, at) => {
    return code - (points[points.length === 1 ? 0 : Math.floor(at / inner) % extent] ?? 0);
  });
  return Tensor.fromNumbers(FLOAT, tensor.dims, values);
}
