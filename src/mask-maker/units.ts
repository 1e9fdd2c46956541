/** What goes or stays as a whole: every element of a weight belongs to one unit of its layer. */
import type { Granularity } from './choice.js';
import type { MaskLayer, Matrix } from './layers.js';

export interface Units {
  readonly count: number;
  readonly at: (output: number, input: number, tap: number) => number;
}

/** Patterns choose among single elements. */
export function unitsOf({ matrix }: Pick<MaskLayer, 'matrix'>, granularity: Granularity): Units {
  const { outputs, inputs, taps } = matrix;
  switch (granularity.kind) {
    case 'filter':
      return { count: outputs, at: (output) => output };
    case 'channel':
      return { count: inputs, at: (_, input) => input };
    case 'kernel':
      return { count: outputs * inputs, at: (output, input) => output * inputs + input };
    case 'block': {
      // Of the matrix [outputs, inputs * taps], as im2col has it; what is left at its edges are
      // smaller blocks.
      const { rows, columns } = granularity;
      const perRow = Math.ceil((inputs * taps) / columns);
      const row = (output: number) => Math.floor(output / rows) * perRow;
      return {
        count: Math.ceil(outputs / rows) * perRow,
        at: (output, input, tap) => row(output) + Math.floor((input * taps + tap) / columns),
      };
    }
    case 'unstructured':
    case 'pattern':
      return { count: outputs * inputs * taps, at: (output, input, tap) => (output * inputs + input) * taps + tap };
  }
}

/** Calls `visit` with every element: its place in the operand, and its coordinates. */
export function forEachElement(
  { outputs, inputs, taps, outStride, inStride }: Matrix,
  visit: (place: number, output: number, input: number, tap: number) => void,
): void {
  for (let output = 0; output < outputs; output++) {
    for (let input = 0; input < inputs; input++) {
      const start = output * outStride + input * inStride;
      for (let tap = 0; tap < taps; tap++) visit(start + tap, output, input, tap);
    }
  }
}

/** One byte per element in the operand's layout: 0 where its unit is pruned. */
export function keepBytes({ matrix }: MaskLayer, units: Units, pruned: Uint8Array): Uint8Array {
  const keep = new Uint8Array(matrix.outputs * matrix.inputs * matrix.taps).fill(1);
  forEachElement(matrix, (place, output, input, tap) => {
    if (pruned[units.at(output, input, tap)] === 1) keep[place] = 0;
  });
  return keep;
}
