/**
 * What ONNX demands of an operator and ONNX Runtime does not look at before it computes: some of it
 * ends the process there. Everything else that is wrong with a node it says itself when it loads
 * the model.
 */
import type { Site } from './site.js';
import { operatorOf } from './registry.js';

/** Of operators that slide a window over places. */
const AT_LEAST: ReadonlyMap<string, number> = new Map([
  ['group', 1],
  ['strides', 1],
  ['dilations', 1],
  ['kernel_shape', 1],
  ['pads', 0],
]);

/**
 * Why an operator with these attributes cannot be computed; undefined where nothing is wrong.
 * `numbersOf` is empty for others than integers.
 */
export function attributeProblem(
  domain: string,
  opType: string,
  numbersOf: (attribute: string) => readonly number[],
): string | undefined {
  if (operatorOf({ domain, opType })?.hasWindow !== true) return undefined;
  for (const [name, least] of AT_LEAST) {
    const values = numbersOf(name);
    if (values.some((value) => value < least)) return `${name} is ${values.join(', ')}, and may not be below ${least}`;
  }
  return undefined;
}

/** Why the extents of its operands contradict each other; undefined where nothing is wrong. */
export function extentProblem(site: Site): string | undefined {
  return operatorOf(site.node)?.problem?.(site);
}
