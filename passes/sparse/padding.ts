/** Explicit padding for the native operators, which have no auto_pad. */
import type { Dim } from '../../src/ir/graph.js';
import type { Window } from '../../src/ops/attributes.js';

/**
 * Padding of a window over images: top, left, bottom, right. Undefined where it depends on a size
 * that is open, or where no native operator has such padding.
 */
export function padsOf(window: Window, image: readonly Dim[] | undefined): readonly number[] | undefined {
  if (window.kernel?.length !== 2) return undefined;
  if (window.autoPad === 'VALID') return [0, 0, 0, 0];
  if (window.isSame) return samePads(window, image);
  const [rows, columns] = [window.along(0), window.along(1)];
  const pads = [rows.begin, columns.begin, rows.end, columns.end];
  return pads.every((pad) => pad >= 0) ? pads : undefined;
}

function samePads(window: Window, image: readonly Dim[] | undefined): readonly number[] | undefined {
  const totals = [0, 1].map((axis) => sameTotal(window, axis, image?.[axis + 2]));
  if (!totals.every((total) => total !== undefined)) return undefined;
  const [less, more] = [totals.map((total) => Math.floor(total / 2)), totals.map((total) => Math.ceil(total / 2))];
  return window.autoPad === 'SAME_UPPER' ? [...less, ...more] : [...more, ...less];
}

/** Padding of both sides together: as much as ceil(extent / stride) windows need. */
function sameTotal(window: Window, axis: number, extent: Dim | undefined): number | undefined {
  const { kernel = 1, stride, dilation } = window.along(axis);
  // ONNX Runtime has no dilated windows with auto_pad.
  if (dilation !== 1) return undefined;
  if (stride === 1) return kernel - 1;
  if (typeof extent !== 'number') return undefined;
  const total = window.reach(axis, Math.ceil(extent / stride)) - extent;
  // A negative total is pixels after the last window, which are not read. Older runtimes split more
  // than one such pixel, and begin after the first.
  return total < -1 ? undefined : Math.max(0, total);
}
