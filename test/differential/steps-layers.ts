/** Steps with weights: convolutions, normalisation, matrix products, and the blocks made of them. */
import type { Input } from '../../fixtures/graph-builder.js';
import { KERNELS, type LayerMask, type Step } from './random-graphs.js';
import { type Bits, channelsOf, has, isRunnable, isStatic, product, range, type Sketch, type Value } from './sketch.js';

type StepOf<Kind extends Step['kind']> = Extract<Step, { kind: Kind }>;

/** Weights [out, inputs per filter, taps] under the mask; deviation 1 / sqrt(fan-in) keeps activations near 1. */
export function layerWeights(
  s: Sketch,
  mask: LayerMask,
  dims: readonly number[],
  axes: { out: number; in: number },
): Input {
  const taps = product(dims.slice(2));
  const data = s.numbers(product(dims), 1.5 / Math.sqrt((dims[axes.in] ?? 1) * taps));
  const place = (index: number) => {
    const matrix = Math.floor(index / taps);
    const pair = [Math.floor(matrix / (dims[1] ?? 1)), matrix % (dims[1] ?? 1)];
    return { out: pair[axes.out] ?? 0, in: pair[axes.in] ?? 0 };
  };
  const isDead = (index: number) => has(mask.dead, place(index).out) || has(mask.unread, place(index).in);
  const odd = range(dims[axes.out] ?? 0).find((out) => !has(mask.dead, out));
  const own = range(data.length).filter((index) => place(index).out === odd && !isDead(index));
  for (const [at, index] of own.entries()) {
    // Sixteenths sum exactly: ±1/4 in turn, and a last one without partner is zero.
    if (mask.odd === 'sumsToZero')
      data[index] = at === own.length - 1 && at % 2 === 0 ? 0 : at % 2 === 0 ? 0.25 : -0.25;
    if (mask.odd === 'singleTap' && at > 0) data[index] = 0;
  }
  return s.weight(mask.holder, dims, data, isDead);
}

export function layerBias(
  s: Sketch,
  mask: LayerMask,
  channels: number,
  dims: readonly number[] = [channels],
): Input | undefined {
  if (mask.bias === 'none') return undefined;
  const data = s
    .numbers(channels, 0.8)
    .map((value, index) => (mask.bias === 'quiet' && has(mask.dead, index) ? 0 : value));
  return { data, dims };
}

interface Geometry {
  readonly strides: readonly [number, number];
  readonly pads: StepOf<'conv'>['pads'];
  readonly dilation: number;
}

const PLAIN: Geometry = { strides: [1, 1], pads: 'same', dilation: 1 };

/** Begins, then ends. */
function padsOf(pads: Geometry['pads'], kernel: readonly number[], dilation: number): number[] {
  const reach = kernel.map((taps) => (taps - 1) * dilation);
  if (pads === 'same')
    return [...reach.map((extent) => Math.floor(extent / 2)), ...reach.map((extent) => Math.ceil(extent / 2))];
  if (pads === 'uneven') return [1, 0, 0, 2];
  return [0, 0, 0, 0];
}

export function windowDims(
  extent: number,
  axis: number,
  kernel: readonly number[],
  { strides, pads, dilation }: Geometry,
): number {
  const stride = strides[axis] ?? 1;
  if (pads.startsWith('SAME')) return Math.ceil(extent / stride);
  const padding = padsOf(pads, kernel, dilation);
  const room = extent + (padding[axis] ?? 0) + (padding[axis + 2] ?? 0) - ((kernel[axis] ?? 1) - 1) * dilation;
  return Math.floor((room - 1) / stride) + 1;
}

export function convolve(
  s: Sketch,
  x: Value,
  out: number,
  kernel: readonly number[],
  mask: LayerMask,
  geometry: Geometry = PLAIN,
  group = 1,
): Value | undefined {
  const dims = x.dims.map(([n = 1, , h = 1, w = 1]) => [
    n,
    out,
    windowDims(h, 0, kernel, geometry),
    windowDims(w, 1, kernel, geometry),
  ]);
  const [first, second] = dims;
  if (first === undefined || second === undefined || !isRunnable([first, second])) return undefined;
  const weights = layerWeights(s, mask, [out, channelsOf(x) / group, ...kernel], { out: 0, in: 1 });
  const bias = layerBias(s, mask, out);
  const isAuto = /^(SAME|VALID)/.test(geometry.pads);
  const name = s.g.op('Conv', [x.name, weights, ...(bias === undefined ? [] : [bias])], {
    kernel_shape: kernel,
    strides: geometry.strides,
    dilations: [geometry.dilation, geometry.dilation],
    group,
    ...(isAuto ? { auto_pad: geometry.pads } : { pads: padsOf(geometry.pads, kernel, geometry.dilation) }),
  });
  return s.keep({ name, dims: [first, second] });
}

export function conv(s: Sketch, step: StepOf<'conv'>): Value | undefined {
  const x = s.image(step.x);
  if (x === undefined) return undefined;
  const inputs = channelsOf(x);
  const group = step.group === 'one' ? 1 : step.group === 'grouped' ? (inputs % 2 === 0 ? 2 : 1) : inputs;
  const out = { one: step.out, grouped: group * Math.ceil(step.out / 2), depthwise: inputs, multiplied: 2 * inputs }[
    step.group
  ];
  // SAME_* with dilation is refused by ONNX Runtime.
  const dilation = step.pads.startsWith('SAME') ? 1 : step.dilation;
  return convolve(s, x, out, KERNELS[step.kernel] ?? [1, 1], step.mask, { ...step, dilation }, group);
}

export function normalize(s: Sketch, x: Value, dead: Bits, shift: 'quiet' | 'loud'): Value | undefined {
  const channels = channelsOf(x);
  const scale = s.numbers(channels).map((value, index) => (has(dead, index) ? 0 : value));
  const bias = s.numbers(channels, 0.8).map((value, index) => (shift === 'quiet' && has(dead, index) ? 0 : value));
  const variance = s.numbers(channels).map((value) => 0.5 + Math.abs(value));
  const name = s.g.batchNorm(x.name, {
    scale: { data: scale },
    shift: { data: bias },
    mean: { data: s.numbers(channels, 0.5) },
    variance: { data: variance },
  });
  return s.keep({ name, dims: x.dims });
}

export function norm(s: Sketch, step: StepOf<'norm'>): Value | undefined {
  const x = s.image(step.x);
  return x && normalize(s, x, step.dead, step.shift);
}

/** Squeeze and excite: the mean of every channel decides how much of it passes. */
export function gate(s: Sketch, step: StepOf<'gate'>): Value | undefined {
  const x = s.image(step.x);
  if (x === undefined) return undefined;
  const mean = s.push(s.g.globalAveragePool(x.name), ([n = 1, c = 1]) => [n, c, 1, 1], x);
  const inner = mean && convolve(s, mean, step.out, [1, 1], step.masks[0]);
  const active = inner && s.push(s.g.relu(inner.name), (dims) => dims, inner);
  const outer = active && convolve(s, active, channelsOf(x), [1, 1], step.masks[1]);
  if (outer === undefined) return undefined;
  const open = s.g.op(step.hard ? 'HardSigmoid' : 'Sigmoid', [outer.name]);
  return s.keep({ name: s.g.mul(x.name, open), dims: x.dims });
}

export function residual(s: Sketch, step: StepOf<'residual'>): Value | undefined {
  const x = s.image(step.x);
  if (x === undefined) return undefined;
  const ready = step.preActivated ? normalize(s, x, step.masks[0].unread, 'loud') : x;
  const entry = ready && step.preActivated ? s.keep({ name: s.g.relu(ready.name), dims: x.dims }) : ready;
  const inner = entry && convolve(s, entry, step.inner, [3, 3], step.masks[0]);
  const active = inner && s.keep({ name: s.g.relu(inner.name), dims: inner.dims });
  const outer = active && convolve(s, active, channelsOf(x), [3, 3], step.masks[1]);
  return outer && s.keep({ name: s.g.add(outer.name, x.name), dims: x.dims });
}

export function gemm(s: Sketch, step: StepOf<'gemm'>): Value | undefined {
  const x = s.pick(step.x, (value) => value.dims[0].length === 2 && isStatic(value, 1));
  return x && project(s, x, step);
}

export function project(s: Sketch, x: Value, step: Omit<StepOf<'gemm'>, 'kind' | 'x'>): Value | undefined {
  const [inputs, { out }] = [channelsOf(x), step];
  const weights = step.transposed
    ? layerWeights(s, step.mask, [out, inputs], { out: 0, in: 1 })
    : layerWeights(s, step.mask, [inputs, out], { out: 1, in: 0 });
  const rows = x.dims[0][0] ?? 1;
  const form = isStatic(x) || !['column', 'full'].includes(step.biasForm) ? step.biasForm : 'row';
  const biasDims = { none: undefined, row: [out], wide: [1, out], scalar: [], column: [rows, 1], full: [rows, out] }[
    form
  ];
  // The bias became optional with opset 11.
  const bias: Input | undefined =
    biasDims === undefined
      ? s.g.opset < 11
        ? { data: [0], dims: [1] }
        : undefined
      : ((form === 'row' || form === 'wide' ? layerBias(s, step.mask, out, biasDims) : undefined) ?? {
          data: s.numbers(product(biasDims)),
          dims: biasDims,
        });
  const attributes = { alpha: step.alpha, beta: step.beta, transB: step.transposed ? 1 : 0 };
  const name = s.g.op('Gemm', [x.name, weights, ...(bias === undefined ? [] : [bias])], attributes);
  return s.push(name, ([n = 1]) => [n, out], x);
}

export function matmul(s: Sketch, step: StepOf<'matmul'>): Value | undefined {
  const x = s.pick(step.x, (value) => value.dims[0].length >= 2 && isStatic(value, value.dims[0].length - 1));
  if (x === undefined) return undefined;
  const last = x.dims[0].length - 1;
  const weights = layerWeights(s, step.mask, [channelsOf(x, last), step.out], { out: 1, in: 0 });
  const multiplied = s.push(s.g.op('MatMul', [x.name, weights]), (dims) => dims.with(last, step.out), x);
  const bias = layerBias(s, step.mask, step.out);
  return multiplied === undefined || bias === undefined
    ? multiplied
    : s.keep({ name: s.g.add(multiplied.name, bias), dims: multiplied.dims });
}
