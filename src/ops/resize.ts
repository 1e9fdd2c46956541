/** Resize and Upsample. */
import type { Node } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { Doubt, Operator } from './operator.js';

/**
 * With fractions other than halves, quarters and so on the inference or the kernels multiply in
 * double precision. Scales are an attribute of Upsample-7, the second input of Upsample-9 and
 * Resize-10, the third of Resize-11.
 */
function doubt(node: Node, constant: (input: number) => Tensor | undefined): Doubt {
  const sizes = constant(3);
  // "not_larger" and "not_smaller" change every extent that has a size.
  if (sizes !== undefined && node.string('keep_aspect_ratio_policy', 'stretch') !== 'stretch')
    return { axes: node.ints('axes') ?? Array.from({ length: sizes.size }, (_, axis) => axis), isAll: true };
  const attribute = node.attributes.get('scales');
  const scales =
    attribute?.kind === 'floats' ? attribute.value : [...(constant(node.inputs.length > 2 ? 2 : 1)?.numbers() ?? [])];
  const axes = node.ints('axes') ?? scales.map((_, axis) => axis);
  return { axes: axes.filter((_, at) => !isExact(scales[at] ?? 0)) };
}

/**
 * With six binary places every product up to 2^18 is a float32 as it is: there is nothing to round.
 */
function isExact(scale: number): boolean {
  return Number.isInteger(scale * 2 ** 6);
}

export const resizes: readonly Operator[] = [
  { type: 'Resize', doubt, movesData: true },
  { type: 'Upsample', doubt },
];
