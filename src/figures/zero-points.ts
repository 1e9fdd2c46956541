/** How many elements of a quantised weight stand for 0. */
import { isNumeric, product, type Tensor } from '../ir/tensor.js';

/**
 * One zero point for all, or one per index of `axis`; none is 0. Undefined for types that are not
 * read, and blocks of an axis.
 */
export function countAtZeroPoint(tensor: Tensor, points: Tensor | undefined, axis: number): number | undefined {
  const { dims, dataType } = tensor;
  if (!isNumeric(dataType) || (points !== undefined && !isNumeric(points.dataType))) return undefined;
  const at = axis < 0 ? axis + dims.length : axis;
  const list = points?.numbers() ?? [0];
  const isPerIndex = list.length > 1;
  if (isPerIndex && (list.length !== dims[at] || points?.dims.length !== 1)) return undefined;
  const inner = product(dims.slice(at + 1));
  const extent = dims[at] ?? 1;
  const values = tensor.numbers();
  let count = 0;
  for (let place = 0; place < values.length; place++) {
    const index = isPerIndex ? Math.floor(place / inner) % extent : 0;
    if (values[place] === list[index]) count++;
  }
  return count;
}
