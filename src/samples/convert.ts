/** Elements in the type that a model takes. What would not keep its meaning is refused. */
import { BOOL, DOUBLE, FLOAT, FLOAT16, isFloating, Tensor } from '../ir/tensor.js';

export interface Converted {
  readonly tensor: Tensor;
  /** What a user should know of it, after `images.npy: `. */
  readonly note?: string;
}

/** Bits of a number that each floating-point type keeps. */
const DIGITS: ReadonlyMap<number, number> = new Map([
  [FLOAT16, 11],
  [FLOAT, 24],
  [DOUBLE, 53],
]);

/** The reason where it cannot be converted. `named` gives the name of a type. */
export function converted(tensor: Tensor, to: number, named: (dataType: number) => string): Converted | string {
  const { dataType: from, dims } = tensor;
  if (from === to) return { tensor };
  const [own, wanted] = [named(from), named(to)];
  if (isFloating(to)) {
    const values = tensor.numbers();
    const result = Tensor.fromNumbers(to, dims, values);
    if (isFloating(from)) {
      const overflows = result.numbers().some((value, at) => !Number.isFinite(value) && Number.isFinite(values[at]));
      if (overflows) return `its ${own} values are beyond what ${wanted} holds`;
      return (DIGITS.get(from) ?? 0) <= (DIGITS.get(to) ?? 0)
        ? { tensor: result }
        : { tensor: result, note: `${own} was rounded to ${wanted}` };
    }
    const [least, most] = extremes(values);
    return { tensor: result, note: `${own} values from ${least} to ${most} were taken as they are, as ${wanted}` };
  }
  if (isFloating(from)) return `it has ${own} values, and the model takes ${wanted}`;
  const values = tensor.numbers();
  const result = Tensor.fromNumbers(to, dims, values);
  const read =
    to === BOOL ? values.map((value) => (value === 0 || value === 1 ? value : Number.NaN)) : result.numbers();
  return values.every((value, at) => value === read[at] && Number.isSafeInteger(value))
    ? { tensor: result }
    : `its ${own} values do not all fit ${wanted}, which the model takes`;
}

function extremes(values: ArrayLike<number>): [least: number, most: number] {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let at = 0; at < values.length; at++) {
    least = Math.min(least, values[at] ?? least);
    most = Math.max(most, values[at] ?? most);
  }
  return [least, most];
}
