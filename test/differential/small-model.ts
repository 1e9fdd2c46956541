/**
 * A small problem as two models of one structure: the plain one, to compile, and one to try things
 * out on, where weights are inputs, every value that layers read is an output, and noise can be
 * added to single channels of it.
 */
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals, uniforms } from '../../fixtures/networks/random.js';
import type { Masks, SmallProblem, SmallStep } from './small-networks.js';
import type { Channels, Parameter, Structure, Tie } from './small-structure.js';
import { has, product, range } from '../../fixtures/networks/random-networks/sketch.js';

interface Image extends Channels {
  readonly height: number;
  readonly width: number;
}

export const SIZE = { height: 5, width: 4 } as const;
export const INPUT = 'x';

export function buildSmall(
  problem: SmallProblem,
  mode: 'plain' | 'trial',
): { bytes: Uint8Array; structure: Structure } {
  return new SmallModel(problem, mode).build();
}

class SmallModel {
  readonly #g: GraphBuilder;
  readonly #problem: SmallProblem;
  readonly #isTrial: boolean;
  readonly #values: Image[] = [];
  #ids = 0;
  #names = 0;
  readonly #structure: Structure;

  constructor(problem: SmallProblem, mode: 'plain' | 'trial') {
    this.#problem = problem;
    this.#isTrial = mode === 'trial';
    this.#g = graphBuilder({ opset: problem.opset });
    const none = { parameters: new Map(), noises: new Map(), probes: new Map(), maps: [], outputs: [] };
    const channels = { layers: new Map(), readers: [], ties: [], pinned: new Set<number>() };
    this.#structure = { ...none, ...channels, inputChannels: problem.channels };
  }

  build(): { bytes: Uint8Array; structure: Structure } {
    const { channels, steps, symbolic, extraOutput } = this.#problem;
    const batch = this.#isTrial || symbolic === 'batch' ? 'n' : 1;
    const space = symbolic === 'space' && !this.#isTrial ? ['h', 'w'] : [SIZE.height, SIZE.width];
    const ids = this.#fresh(channels);
    for (const id of ids) this.#structure.pinned.add(id);
    // ONNX Runtime does not like an input that is an output too.
    const name = this.#g.op('Identity', [this.#g.input(INPUT, [batch, channels, ...space])]);
    this.#values.push({ name, ids, ...SIZE });
    for (const step of steps) {
      const value = this.#take(step);
      if (value !== undefined) this.#values.push(value);
    }
    this.#finish(this.#head());
    const extra = extraOutput === undefined ? undefined : this.#pick(extraOutput);
    if (extra !== undefined) this.#finish(extra);
    const named = [...this.#structure.outputs, ...(this.#isTrial ? this.#structure.probes.keys() : [])];
    for (const output of new Set(named)) this.#g.output(output);
    return { bytes: this.#g.bytes(), structure: this.#structure };
  }

  #finish({ name, ids }: Channels): void {
    this.#structure.outputs.push(name);
    for (const id of ids) this.#structure.pinned.add(id);
  }

  #fresh(count: number): number[] {
    return range(count).map(() => this.#ids++);
  }

  #name(prefix: string): string {
    return `${prefix}${this.#names++}`;
  }

  #pick(age: number, fits: (value: Image) => boolean = () => true): Image | undefined {
    const found = this.#values.filter(fits);
    return found[found.length - 1 - (age % Math.max(1, found.length))];
  }

  #take(step: SmallStep): Image | undefined {
    const x = this.#pick(step.x);
    if (x === undefined) return undefined;
    switch (step.kind) {
      case 'conv':
        return this.#conv(x, step.out, step.window, step.masks);
      case 'depthwise':
        return this.#depthwise(x, step.window, step.masks);
      case 'norm':
        return this.#norm(x, step.dead, step.loud);
      case 'activation':
        return this.#activation(x, step.op);
      case 'add':
        return this.#add(
          x,
          this.#pick(step.y, (y) => y !== x && sameShape(x, y)),
        );
      case 'concat':
        return this.#concat(
          x,
          this.#pick(step.y, (y) => x.height === y.height && x.width === y.width),
        );
      case 'pool':
        return this.#pool(x, step.op);
      case 'gate':
        return this.#gate(x, step.width, step.masks);
      case 'residual':
        return this.#residual(x, step);
    }
  }

  /** A weight: fixed in the plain model, an input of the other. */
  #parameter(name: string, parameter: Parameter): string {
    const { dims, data } = parameter;
    if (!this.#isTrial) return this.#g.initializer(name, dims, data);
    this.#structure.parameters.set(name, parameter);
    return this.#g.input(name, dims);
  }

  /** One number per channel of a node's result. */
  #shift(name: string, node: string, data: Float32Array): string {
    const result = `${node}_output_0`;
    this.#structure.probes.set(result, data.length);
    return this.#parameter(name, { dims: [data.length], data, makes: result, deviation: 0.1 });
  }

  #probe({ name, ids }: Channels): void {
    this.#structure.probes.set(name, ids.length);
  }

  /** The value plus noise that is zero unless fed; the value itself in the plain model. */
  #noisy({ name, ids }: Channels, rank = 4): { name: string; noise: string } {
    const noise = `${name}/noise${this.#structure.noises.size}`;
    this.#structure.noises.set(noise, { name, ids, rank });
    if (!this.#isTrial) return { name, noise };
    const input = this.#g.input(noise, rank === 4 ? ['n', ids.length, 1, 1] : ['n', ids.length]);
    return { name: this.#g.add(name, input), noise };
  }

  #read(x: Channels, rank = 4): string {
    this.#probe(x);
    const { name, noise } = this.#noisy(x, rank);
    this.#structure.readers.push({ ...x, noise });
    return name;
  }

  #isDead(dead: Masks['dead'], index: number): boolean {
    if (dead === 'all') return true;
    return has(dead === 'common' ? this.#problem.common : dead, index);
  }

  /** [out, in, ...taps] with zeros where a mask says so, and the bias that goes with it. */
  #weights(name: string, dims: readonly number[], masks: Masks, axis: number) {
    const [out = 1, inputs = 1] = dims;
    const taps = product(dims) / out / inputs;
    const data = normals(this.#problem.seed, name, product(dims)).map((weight, index) => {
      const isUnread = axis === 1 && has(masks.unread, Math.floor(index / taps) % inputs);
      return isUnread || this.#isDead(masks.dead, Math.floor(index / taps / inputs)) ? 0 : weight;
    });
    const shifts = normals(this.#problem.seed, `${name}.b`, out).map((shift, index) =>
      masks.bias === 'quiet' && this.#isDead(masks.dead, index) ? 0 : shift,
    );
    this.#structure.probes.set(`${name}_output_0`, out);
    const weight = this.#parameter(`${name}.w`, {
      dims,
      data,
      makes: `${name}_output_0`,
      deviation: Math.sqrt(out / data.length),
    });
    return { weight, bias: masks.bias === 'none' ? undefined : this.#shift(`${name}.b`, name, shifts) };
  }

  #conv(x: Image, out: number, window: 'point' | 'padded' | 'inside', masks: Masks): Image | undefined {
    const shape = windowed(x, window);
    if (shape === undefined) return undefined;
    const name = this.#name('conv');
    const { kernel, pads, height, width } = shape;
    const { weight, bias } = this.#weights(name, [out, x.ids.length, ...kernel], masks, 1);
    const options = { name, kernel, pads, ...(bias !== undefined && { bias }) };
    const y = { name: this.#g.conv(this.#read(x), weight, options), ids: this.#fresh(out) };
    this.#structure.layers.set(name, y.ids);
    return { ...this.#mapOf(y, pads > 0), height, width };
  }

  #depthwise(x: Image, window: 'point' | 'padded' | 'inside', masks: Masks): Image | undefined {
    const shape = windowed(x, window);
    if (shape === undefined) return undefined;
    const name = this.#name('depthwise');
    const { kernel, pads, height, width } = shape;
    this.#probe(x);
    const { weight, bias } = this.#weights(name, [x.ids.length, 1, ...kernel], masks, 0);
    const options = { name, kernel, pads, group: x.ids.length, ...(bias !== undefined && { bias }) };
    const y = { name: this.#g.conv(x.name, weight, options), ids: x.ids };
    this.#structure.layers.set(name, x.ids);
    return { ...this.#mapOf(y, pads > 0), height, width };
  }

  #mapOf(y: Channels, isPadded: boolean): Channels {
    if (!isPadded) return y;
    this.#probe(y);
    const { name, noise } = this.#noisy(y);
    this.#structure.maps.push(noise);
    return { name, ids: y.ids };
  }

  #norm(x: Image, dead: Masks['dead'], isLoud: boolean): Image {
    const { seed } = this.#problem;
    const name = this.#name('norm');
    const size = x.ids.length;
    this.#probe(x);
    const zeroAt = (data: Float32Array) => data.map((value, index) => (this.#isDead(dead, index) ? 0 : value));
    const shift = normals(seed, `${name}.shift`, size);
    const scale = this.#parameter(`${name}.scale`, {
      dims: [size],
      data: zeroAt(normals(seed, `${name}.scale`, size)),
      makes: `${name}_output_0`,
      deviation: 1,
    });
    const parameters = {
      scale,
      shift: this.#shift(`${name}.shift`, name, isLoud ? shift : zeroAt(shift)),
      mean: this.#shift(`${name}.mean`, name, normals(seed, `${name}.mean`, size, 0.3)),
      variance: { data: uniforms(seed, `${name}.variance`, size, 0.5, 2) },
    };
    const y = this.#g.batchNorm(x.name, parameters, { name });
    return { ...x, name: y };
  }

  #activation(x: Image, op: Extract<SmallStep, { kind: 'activation' }>['op']): Image | undefined {
    if (op === 'HardSwish' && this.#g.opset < 14) return undefined;
    if (op === 'Clip') return { ...x, name: this.#g.clip(x.name, 0, 6) };
    if (op === 'ClipAbove') return { ...x, name: this.#g.clip(x.name, 0.25, 2) };
    return { ...x, name: this.#g.op(op, [x.name], op === 'LeakyRelu' ? { alpha: 0.3 } : {}) };
  }

  #tie(a: Channels, b: Channels, name: string, op: Tie['op']): Channels {
    this.#probe(a);
    this.#probe(b);
    const result = { name, ids: this.#fresh(a.ids.length) };
    const noisy = this.#noisy(result);
    this.#structure.ties.push({ a, b, result, op, noise: noisy.noise });
    return { ...result, name: noisy.name };
  }

  #add(x: Image, y: Image | undefined): Image | undefined {
    return y && { ...x, ...this.#tie(x, y, this.#g.add(x.name, y.name), 'Add') };
  }

  #concat(x: Image, y: Image | undefined): Image | undefined {
    if (y === undefined || x.ids.length + y.ids.length > 8) return undefined;
    return { ...x, ids: [...x.ids, ...y.ids], name: this.#g.concat([x.name, y.name]) };
  }

  #pool(x: Image, op: Extract<SmallStep, { kind: 'pool' }>['op']): Image | undefined {
    const { height, width } = x;
    if (op === 'global') return { ...x, name: this.#g.globalAveragePool(x.name), height: 1, width: 1 };
    if (op === 'maxPadded') return { ...x, name: this.#g.maxPool(x.name, [3, 3], { pads: 1 }) };
    if (op === 'averageCounting') {
      if (height < 3 || width < 3) return undefined;
      const name = this.#g.averagePool(x.name, [3, 3], { pads: 1, countIncludePad: true });
      return { ...this.#mapOf({ name, ids: x.ids }, true), height, width };
    }
    if (height < 2 || width < 2) return undefined;
    const halved = { ...x, height: Math.floor(height / 2), width: Math.floor(width / 2) };
    const name =
      op === 'max'
        ? this.#g.maxPool(x.name, [2, 2], { strides: 2 })
        : this.#g.averagePool(x.name, [2, 2], { strides: 2 });
    return { ...halved, name };
  }

  /** Squeeze and excitation. */
  #gate(x: Image, width: number, [first, second]: readonly [Masks, Masks]): Image | undefined {
    const squeezed: Image = { ...x, name: this.#g.globalAveragePool(x.name), height: 1, width: 1 };
    const inner = this.#conv(squeezed, width, 'point', first);
    const outer = inner && this.#conv({ ...inner, name: this.#g.relu(inner.name) }, x.ids.length, 'point', second);
    if (outer === undefined) return undefined;
    const gate = { ...outer, name: this.#g.op('Sigmoid', [outer.name]) };
    return { ...x, ...this.#tie(x, gate, this.#g.mul(x.name, gate.name), 'Mul') };
  }

  #residual(x: Image, { form, width, masks }: Extract<SmallStep, { kind: 'residual' }>): Image | undefined {
    const active = (value: Image): Image => ({ ...value, name: this.#g.relu(value.name) });
    const start = form === 'before' ? active(this.#norm(x, 0, true)) : x;
    const inner = this.#conv(start, width, 'padded', masks[0]);
    const middle = inner && active(this.#norm(inner, 0, masks[0].bias === 'loud'));
    const branch = middle && this.#conv(middle, x.ids.length, 'padded', masks[1]);
    const sum = branch && this.#add(x, branch);
    return form === 'before' || sum === undefined ? sum : active(sum);
  }

  #head(): Channels {
    const { head, symbolic } = this.#problem;
    const x = this.#pick(0) ?? { name: '', ids: [], ...SIZE };
    const open: Masks = { dead: 0, unread: 0, bias: 'loud' };
    if (head === 'none') return x;
    if (head === 'conv') return this.#conv(x, 2, 'point', open) ?? x;
    const isPooled = head === 'global' || symbolic === 'space';
    const image = isPooled ? { ...x, name: this.#g.globalAveragePool(x.name), height: 1, width: 1 } : x;
    const area = image.height * image.width;
    const flat = { name: this.#g.flatten(image.name), ids: image.ids.flatMap((id) => range(area).map(() => id)) };
    const name = this.#name('gemm');
    const { weight, bias } = this.#weights(name, [2, flat.ids.length], open, 1);
    const options = { name, ...(bias !== undefined && { bias }) };
    const y = { name: this.#g.gemm(this.#read(flat, 2), weight, options), ids: this.#fresh(2) };
    this.#structure.layers.set(name, y.ids);
    return y;
  }
}

function sameShape(a: Image, b: Image): boolean {
  return a.ids.length === b.ids.length && a.height === b.height && a.width === b.width;
}

function windowed({ height, width }: Image, window: 'point' | 'padded' | 'inside') {
  if (window === 'point') return { kernel: [1, 1], pads: 0, height, width };
  // On a single place a map looks like a constant.
  if (window === 'padded' && height * width === 1) return undefined;
  if (window === 'padded') return { kernel: [3, 3], pads: 1, height, width };
  return height < 3 || width < 3 ? undefined : { kernel: [3, 3], pads: 0, height: height - 2, width: width - 2 };
}
