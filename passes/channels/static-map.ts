/** Maps of the place that are stored: on images that are no larger than the kernel. */
import { type Compensation, spatialDims } from '../../src/channels/removal-plan.js';
import { product, Tensor } from '../../src/ir/tensor.js';
import { Window } from '../../src/ops/attributes.js';

/**
 * The map as a constant [1, outputs, spatial…]. Only for maps no larger than the kernel.
 */
export function staticMap({ read }: Compensation, kernel: Tensor): Tensor {
  const inDims = spatialDims(read, 'in') ?? [];
  const outDims = spatialDims(read, 'out') ?? [];
  const taps = kernel.dims.slice(2);
  const window = new Window(read.at.node, kernel);
  const axes = taps.map((_, axis) => {
    const extent = inDims[axis] ?? 0;
    const { stride, dilation } = window.along(axis);
    return { extent, stride, dilation, begin: beginPad(window, axis, { extent, windows: outDims[axis] ?? 0 }) };
  });
  const outputs = kernel.dims[0] ?? 0;
  const values = kernel.numbers();
  const map = new Float64Array(outputs * product(outDims));
  for (let at = 0; at < product(outDims); at++) {
    const position = unravel(at, outDims);
    for (let tap = 0; tap < product(taps); tap++) {
      const offset = unravel(tap, taps);
      const isInImage = axes.every(({ extent, stride, dilation, begin }, axis) => {
        const source = (position[axis] ?? 0) * stride - begin + (offset[axis] ?? 0) * dilation;
        return source >= 0 && source < extent;
      });
      if (!isInImage) continue;
      for (let output = 0; output < outputs; output++) {
        const to = output * product(outDims) + at;
        map[to] = (map[to] ?? 0) + (values[output * product(taps) + tap] ?? 0);
      }
    }
  }
  return Tensor.fromNumbers(kernel.dataType, [1, outputs, ...outDims], map);
}

function unravel(at: number, dims: readonly number[]): number[] {
  let rest = at;
  return dims
    .toReversed()
    .map((extent) => {
      const index = rest % extent;
      rest = Math.floor(rest / extent);
      return index;
    })
    .toReversed();
}

/**
 * Padding before the first element of an axis; SAME_UPPER and SAME_LOWER as Conv-1 defines them.
 */
function beginPad(window: Window, axis: number, { extent, windows }: { extent: number; windows: number }): number {
  if (window.autoPad === 'VALID') return 0;
  if (window.autoPad === 'NOTSET') return window.along(axis).begin;
  const total = Math.max(0, window.reach(axis, windows) - extent);
  return window.autoPad === 'SAME_LOWER' ? Math.ceil(total / 2) : Math.floor(total / 2);
}
