/** Steps that change the shape without weights: pooling, means, reshapes, cuts, joins; and a subgraph that captures. */
import { graphBuilder, int64, type Input } from '../../fixtures/graph-builder.js';
import type { Step } from './random-graphs.js';
import { channelsOf, isImage, isRunnable, isStatic, product, type Sketch, type Value } from './sketch.js';

type StepOf<Kind extends Step['kind']> = Extract<Step, { kind: Kind }>;

const BOOL = 9;

export function pool(s: Sketch, step: StepOf<'pool'>): Value | undefined {
  const x = s.image(step.x);
  if (x === undefined) return undefined;
  const { size, stride } = step;
  // A window may not lie in the padding alone.
  const pads = { none: [0, 0, 0, 0], same: [1, 1, size - 2, size - 2], uneven: [1, 0, 0, 1] }[step.pads];
  const ceil = step.ceil && s.g.opset >= 10;
  const extent = (before: number, axis: number) => {
    const room = before + (pads[axis] ?? 0) + (pads[axis + 2] ?? 0) - size;
    if (room < 0) return 0;
    const steps = ceil ? Math.ceil(room / stride) : Math.floor(room / stride);
    // A last window that begins in the padding is dropped by the kernel but not by shape inference (known-limits.txt).
    return steps * stride >= before + (pads[axis] ?? 0) ? 0 : steps + 1;
  };
  const after = ([n = 1, c = 1, h = 1, w = 1]: readonly number[]) => [n, c, extent(h, 0), extent(w, 1)];
  if (!isRunnable([after(x.dims[0]), after(x.dims[1])])) return undefined;
  const options = { pads, strides: stride, ceilMode: ceil, countIncludePad: step.countPad };
  const name =
    step.op === 'MaxPool' ? s.g.maxPool(x.name, [size, size], options) : s.g.averagePool(x.name, [size, size], options);
  return s.push(name, after, x);
}

export function globally(s: Sketch, { x: age, op }: StepOf<'global'>): Value | undefined {
  const x = s.image(age);
  if (x === undefined) return undefined;
  if (op === 'ReduceMeanFlat')
    return s.push(s.g.reduceMean(x.name, [-2, -1], { keepDims: false }), ([n = 1, c = 1]) => [n, c], x);
  const name = op === 'ReduceMean' ? s.g.reduceMean(x.name, [2, 3]) : s.g.op(op, [x.name]);
  return s.push(name, ([n = 1, c = 1]) => [n, c, 1, 1], x);
}

export function flatten(s: Sketch, { x: age, form }: StepOf<'flatten'>): Value | undefined {
  const isSingle = (value: Value) => value.dims[0].slice(2).every((extent) => extent === 1) && isStatic(value, 1);
  const x = s.pick(age, (value) => isImage(value) && isStatic(value, 1) && (form !== 'Squeeze' || isSingle(value)));
  if (x === undefined) return undefined;
  const flat = ([n = 1, ...rest]: readonly number[]) => [n, product(rest)];
  return s.push(flattened(s, x, form), flat, x);
}

function flattened({ g }: Sketch, { name }: Value, form: StepOf<'flatten'>['form']): string {
  if (form === 'Flatten') return g.flatten(name);
  if (form === 'Squeeze') return g.squeeze(name, [2, 3]);
  if (form === 'Reshape') return g.reshape(name, [0, -1]);
  return g.op('Reshape', [name, g.concat([extentOf(g, name, 0), int64([-1])], 0)]);
}

/** As exporters write it: Shape -> Gather -> Unsqueeze. */
function extentOf(g: Sketch['g'], name: string, axis: number): string {
  const index: Input = { ...int64([axis]), dims: [] };
  return g.unsqueeze(g.op('Gather', [g.op('Shape', [name]), index], { axis: 0 }), [0]);
}

export function pad(s: Sketch, step: StepOf<'pad'>): Value | undefined {
  const x = s.image(step.x);
  if (x === undefined) return undefined;
  const [before, after] = step.channels;
  const [top, right] = step.space;
  const name = s.g.pad(x.name, [0, before, top, 0, 0, after, 0, right], step.value);
  return s.push(name, ([n = 1, c = 1, h = 1, w = 1]) => [n, c + before + after, h + top, w + right], x);
}

export function slice(s: Sketch, step: StepOf<'slice'>): Value | undefined {
  const x = s.image(step.x);
  if (x === undefined) return undefined;
  const stride = s.g.opset < 10 ? 1 : step.step;
  const cut = (extent: number) => {
    const start = Math.max(0, Math.min(extent, step.start < 0 ? step.start + extent : step.start));
    return Math.max(
      0,
      Math.ceil((Math.min(extent, step.start < 0 ? extent : step.start + step.length) - start) / stride),
    );
  };
  const axes = { channels: [1], space: [2], both: [3, 1] }[step.axes];
  const dims = (before: readonly number[]) =>
    before.map((extent, axis) => (axes.includes(axis) ? cut(extent) : extent));
  if (!isRunnable([dims(x.dims[0]), dims(x.dims[1])])) return undefined;
  const end = step.start < 0 ? Infinity : step.start + step.length;
  const steps = s.g.opset < 10 || stride === 1 ? {} : { steps: axes.map(() => stride) };
  return s.push(
    s.g.slice(x.name, { axes, starts: axes.map(() => step.start), ends: axes.map(() => end), ...steps }),
    dims,
    x,
  );
}

export function concat(s: Sketch, { xs }: StepOf<'concat'>): Value | undefined {
  const base = s.image(xs[0] ?? 0);
  if (base === undefined) return undefined;
  const rest = (value: Value) => String(value.dims.map((dims) => dims.toSpliced(1, 1)));
  const fits = (value: Value) => isImage(value) && rest(value) === rest(base);
  const parts = [base, ...xs.slice(1).map((age) => s.pick(age, fits) ?? base)];
  const channels = parts.reduce((total, part) => total + channelsOf(part), 0);
  if (channels > 16) return undefined;
  return s.push(s.g.concat(parts.map(({ name }) => name)), (dims) => dims.with(1, channels), base);
}

export function transpose(s: Sketch, step: StepOf<'transpose'>): Value | undefined {
  const x = s.image(step.x);
  const perm = { toLast: [0, 2, 3, 1], toFirst: [0, 3, 1, 2], swapSpace: [0, 1, 3, 2] }[step.perm];
  // Layers want static channels on axis 1.
  if (x === undefined || !isStatic({ ...x, dims: [[channelsOf(x, perm[1])], [x.dims[1][perm[1] ?? 1] ?? 1]] }))
    return undefined;
  return s.push(s.g.transpose(x.name, perm), (dims) => perm.map((axis) => dims[axis] ?? 1), x);
}

/** Channel shuffle: [N, C, H, W] -> [N, 2, C / 2, H, W] -> swap -> [N, C, H, W]. */
export function shuffle(s: Sketch, step: StepOf<'shuffle'>): Value | undefined {
  const x = s.pick(
    step.x,
    (value) => isImage(value) && channelsOf(value) % 2 === 0 && (step.computed || isStatic(value, 1)),
  );
  if (x === undefined) return undefined;
  const { g } = s;
  const half = channelsOf(x) / 2;
  const [, , h = 1, w = 1] = x.dims[0];
  const target = (middle: readonly number[]): Input =>
    step.computed
      ? g.concat([extentOf(g, x.name, 0), int64(middle), extentOf(g, x.name, 2), extentOf(g, x.name, 3)], 0)
      : int64([-1, ...middle, h, w]);
  const split = g.op('Reshape', [x.name, target([2, half])]);
  const swapped = g.transpose(split, [0, 2, 1, 3, 4]);
  return s.keep({ name: g.op('Reshape', [swapped, target([2 * half])]), dims: x.dims });
}

/** Both branches read a value of the outer graph by name. */
export function branch(s: Sketch, { x: age }: StepOf<'if'>): Value | undefined {
  const x = s.pick(age);
  if (x === undefined) return undefined;
  const sub = (op: string) => {
    const inner = graphBuilder({ opset: s.g.opset, name: s.fresh('branch') });
    const name = s.fresh('inner');
    inner.op(op, [x.name], {}, { outputs: [name] });
    inner.output(name);
    return { graph: inner.graph() };
  };
  const condition = s.g.constant({ data: [s.values.length % 2 === 0], dims: [], dataType: BOOL });
  return s.keep({
    name: s.g.op('If', [condition], { then_branch: sub('Abs'), else_branch: sub('Neg') }),
    dims: x.dims,
  });
}

export function gather(s: Sketch, step: StepOf<'gather'>): Value | undefined {
  const x = s.image(step.x);
  if (x === undefined) return undefined;
  const indices = step.indices.map((index) => index % channelsOf(x));
  return s.push(s.g.op('Gather', [x.name, int64(indices)], { axis: 1 }), (dims) => dims.with(1, indices.length), x);
}
