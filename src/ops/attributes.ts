/**
 * Readers of attributes that several operators share: sliding windows, the bounds of Clip, a
 * normalisation as scale and shift.
 */
import type { Node } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { ExtentMap } from './operator.js';
import type { Elements, ShapeSite, Site } from './site.js';

/** Along one spatial axis. */
export interface WindowAxis {
  /** Taps of the kernel; undefined where neither an attribute nor constant weights say it. */
  readonly kernel: number | undefined;
  readonly stride: number;
  readonly dilation: number;
  /** Padding before and after, as written down. */
  readonly begin: number;
  readonly end: number;
}

/**
 * The attributes of Conv-1…-22 and of the pools: kernel_shape, strides, dilations, pads, auto_pad,
 * ceil_mode.
 */
export class Window {
  readonly autoPad: 'NOTSET' | 'VALID' | 'SAME_UPPER' | 'SAME_LOWER';
  /** Whether a last window that hangs over the padded image counts. */
  readonly roundsUp: boolean;
  /** Spatial axes that an attribute tells; 0 where none does. */
  readonly kernel: readonly number[] | undefined;
  readonly #strides: readonly number[];
  readonly #dilations: readonly number[];
  readonly #pads: readonly number[];

  /** `weights` [M, C, kernel…] where there are any. */
  constructor(node: Node, weights?: Tensor) {
    const auto = node.string('auto_pad', 'NOTSET');
    this.autoPad = auto === 'VALID' || auto === 'SAME_UPPER' || auto === 'SAME_LOWER' ? auto : 'NOTSET';
    this.roundsUp = node.int('ceil_mode', 0) !== 0;
    this.kernel = node.ints('kernel_shape') ?? weights?.dims.slice(2);
    this.#strides = node.ints('strides') ?? [];
    this.#dilations = node.ints('dilations') ?? [];
    this.#pads = node.ints('pads') ?? [];
  }

  along(axis: number): WindowAxis {
    return {
      kernel: this.kernel?.[axis],
      stride: this.#strides[axis] ?? 1,
      dilation: this.#dilations[axis] ?? 1,
      begin: this.#pads[axis] ?? 0,
      end: this.#pads[axis + this.#pads.length / 2] ?? 0,
    };
  }

  /** Pixels from the first tap of the first window to the last tap of the last of `windows`. */
  reach(axis: number, windows: number): number {
    const { kernel = 1, stride, dilation } = this.along(axis);
    return (windows - 1) * stride + dilation * (kernel - 1) + 1;
  }

  /** Padding depends on the size of the image. */
  get isSame(): boolean {
    return this.autoPad === 'SAME_UPPER' || this.autoPad === 'SAME_LOWER';
  }

  get hasPads(): boolean {
    return this.#pads.some((pad) => pad !== 0);
  }

  get isDilated(): boolean {
    return this.#dilations.some((dilation) => dilation !== 1);
  }

  /**
   * Whether zeros around the image enter any sum. SAME_* may pad or not, depending on the size:
   * counted as padded.
   */
  get isPadded(): boolean {
    return this.isSame || (this.autoPad === 'NOTSET' && this.hasPads);
  }
}

/**
 * Conv, MaxPool, AveragePool with explicit padding: floor((n + pads - dilation * (kernel - 1) - 1)
 * / stride) + 1. Two windows with the same stride and the same pads - dilation * (kernel - 1) give
 * the same extent for every n: 3x3 with padding 1 and 1x1 without are such. Undefined for other
 * axes and for padding that depends on n.
 */
export function windowKey({ node, constant }: Pick<Site, 'node' | 'constant'>, axis: number): ExtentMap | undefined {
  const window = new Window(node, constant(1));
  if (axis < 2 || window.autoPad !== 'NOTSET' || window.roundsUp) return undefined;
  const { kernel, stride, dilation, begin, end } = window.along(axis - 2);
  if (kernel === undefined) return undefined;
  const grown = begin + end - dilation * (kernel - 1);
  return (extent) => {
    if (stride === 1 && grown === 0) return extent;
    if (typeof extent === 'number' && extent + grown > 0) return Math.floor((extent + grown - 1) / stride) + 1;
    return `(${extent}${grown < 0 ? '' : '+'}${grown})/${stride}`;
  };
}

/** Of a layer with a window that makes so many channels; without a number as many as it reads. */
export function windowedExtents(site: ShapeSite, channels?: number): Elements | undefined {
  return site.extents(0)?.map((extent, axis) => {
    if (axis < 2) return axis === 1 && channels !== undefined ? channels : extent;
    return windowKey(site, axis)?.(extent);
  });
}

/**
 * Clip-6 has its bounds as attributes, Clip-11 as scalar inputs. Undefined where a bound is not
 * constant.
 */
export function clipBounds({
  node,
  opset,
  constant,
}: Pick<Site, 'node' | 'opset' | 'constant'>): { readonly low: number; readonly high: number } | undefined {
  const bound = (index: number, attribute: string, otherwise: number): number | undefined => {
    if (opset < 11) return node.float(attribute, otherwise);
    return node.inputs[index] === undefined ? otherwise : constant(index)?.numbers()[0];
  };
  const low = bound(1, 'min', Number.NEGATIVE_INFINITY);
  const high = bound(2, 'max', Number.POSITIVE_INFINITY);
  return low === undefined || high === undefined ? undefined : { low, high };
}

/** Of BatchNormalization, per channel: scale * (x - mean) / sqrt(variance + epsilon) + shift. */
interface Normalization {
  readonly scale: number;
  readonly variance: number;
  readonly epsilon: number;
}

/** What a difference of two inputs becomes. */
export function normalizationScales(difference: number, { scale, variance, epsilon }: Normalization): number {
  return (scale * difference) / Math.sqrt(variance + epsilon);
}

/** Inputs of BatchNormalization that hold its parameters, per channel. */
export const NORMALIZATION_INPUTS = { scale: 1, shift: 2, mean: 3, variance: 4 } as const;

export function epsilonOf(node: Node): number {
  return node.float('epsilon', 1e-5);
}
