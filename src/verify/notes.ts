/** What a reader of a verification should know besides its verdict. */
import { formatShapes } from '../runtime/inputs.js';
import { type Bound, formatDifference, LOUD_NOISE } from './bound.js';
import type { Case } from './case.js';
import { isAllFinite, isIdentical, isUniform, type Outputs } from './compare.js';

/** What makes equality of an output say less than it seems to. */
export function outputNotes(
  cases: readonly Case[],
  outputs: readonly Outputs[],
  bounds: ReadonlyMap<string, Bound>,
): string[] {
  const notes: string[] = [];
  for (const [name, { bound, noise }] of bounds) {
    const tensors = outputs.flatMap((results, index) => {
      const tensor = results[name];
      return tensor !== undefined && formatShapes(cases[index]?.shapes ?? {}) === formatShapes(cases[0]?.shapes ?? {})
        ? [tensor]
        : [];
    });
    const [first, ...others] = tensors;
    if (first === undefined) continue;
    if (others.length > 0 && others.every((tensor) => isIdentical(first, tensor)))
      notes.push(`output "${name}" is the same for every input: its equality proves little`);
    else if (first.data.length > 1 && tensors.every(isUniform))
      notes.push(`all values of output "${name}" are the same number: its equality proves little`);
    if (!isAllFinite(first))
      notes.push(`output "${name}" of the reference has NaN or infinite values, compared by their places only`);
    if (bound === 0 && noise > 0)
      notes.push(
        `output "${name}" of the reference changes under rounding alone: a difference there need not be an error`,
      );
    else if (noise > LOUD_NOISE)
      notes.push(
        `output "${name}" of the reference moves by ${formatDifference(noise)} of its scale under rounding alone: errors below ${formatDifference(bound)} cannot be seen`,
      );
  }
  return notes;
}
