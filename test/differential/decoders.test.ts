/**
 * Small networks of families that cut, join and enlarge: every second filter of every layer is
 * dead. What goes is counted.
 */
import { expect, test } from 'vitest';
import { type GraphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileRow, layer, MEANINGS, type Meaning } from './row-network.js';

const every = (count: number) => Array.from({ length: Math.floor(count / 2) }, (_, at) => 2 * at);

/** Layers with every second filter dead, under names of their own. */
class Net {
  readonly g: GraphBuilder;
  readonly #meaning: Meaning;
  #layers = 0;

  constructor(g: GraphBuilder, meaning: Meaning) {
    this.g = g;
    this.#meaning = meaning;
  }

  conv(x: string, from: number, out: number, size = 1, strides = 1): string {
    const name = `conv${this.#layers++}`;
    const options = { name, out, from, size, strides, pads: Math.floor(size / 2) };
    return this.g.relu(layer(this.g, x, { ...options, dead: every(out), meaning: this.#meaning }));
  }

  up(x: string, from: number, out: number, size = 2): string {
    const name = `up${this.#layers++}`;
    const data = normals(5, name, from * out * size * size);
    const bias = normals(6, name, out);
    for (const filter of every(out)) {
      if (this.#meaning === 'drop') bias[filter] = 0;
      for (let channel = 0; channel < from; channel++)
        data.fill(0, (channel * out + filter) * size * size, (channel * out + filter + 1) * size * size);
    }
    const attributes = { kernel_shape: [size, size], strides: [2, 2], pads: size === 4 ? [1, 1, 1, 1] : [0, 0, 0, 0] };
    return this.g.op('ConvTranspose', [x, { data, dims: [from, out, size, size] }, { data: bias }], attributes);
  }

  head(x: string, from: number): void {
    this.g.output(layer(this.g, x, { name: `head${this.#layers++}`, out: 3, from }));
  }

  double(x: string): string {
    const attributes = { mode: 'nearest', nearest_mode: 'floor', coordinate_transformation_mode: 'asymmetric' };
    return this.g.op('Resize', [x, '', { data: [1, 1, 2, 2] }], attributes);
  }

  /** To the height and width of another value, as exporters write it. */
  likeOther(x: string, other: string): string {
    const part = (of: string, starts: number, ends: number) =>
      this.g.slice(this.g.op('Shape', [of]), { axes: [0], starts: [starts], ends: [ends] });
    const sizes = this.g.concat([part(x, 0, 2), part(other, 2, 4)], 0);
    return this.g.op('Resize', [x, '', '', sizes], { mode: 'linear' });
  }
}

/** A block of two branches, of which one is cut again, and all parts are joined. */
function c2f(net: Net, x: string, from: number, width: number): string {
  const [first = '', second = ''] = net.g.split(net.conv(x, from, 2 * width), [width, width]);
  const inner = net.conv(net.conv(second, width, width, 3), width, width, 3);
  return net.conv(net.g.concat([first, second, net.g.add(second, inner)]), 3 * width, from);
}

const NETWORKS: Readonly<Record<string, (net: Net, x: string) => void>> = {
  'a detector that cuts, joins and enlarges': (net, x) => {
    const high = c2f(net, net.conv(x, 3, 16, 3, 2), 16, 8);
    const low = c2f(net, net.conv(high, 16, 16, 3, 2), 16, 8);
    const pooled = net.g.maxPool(low, [3, 3], { pads: 1 });
    const joined = net.g.concat([net.double(net.conv(net.g.concat([low, pooled]), 32, 16)), high]);
    net.head(c2f(net, joined, 32, 8), 32);
  },
  'a U-Net with transposed convolutions': (net, x) => {
    const high = net.conv(x, 3, 8, 3);
    const middle = net.conv(net.g.maxPool(high, [2, 2], { strides: 2 }), 8, 16, 3);
    const low = net.conv(net.g.maxPool(middle, [2, 2], { strides: 2 }), 16, 32, 3);
    const first = net.conv(net.g.concat([net.up(low, 32, 16), middle]), 32, 16, 3);
    net.head(net.conv(net.g.concat([net.up(first, 16, 8), high]), 16, 8, 3), 8);
  },
  'a pyramid whose levels are enlarged to each other': (net, x) => {
    const high = net.conv(x, 3, 8, 3, 2);
    const low = net.conv(high, 8, 16, 3, 2);
    const [a, b] = [net.conv(low, 16, 12), net.conv(high, 8, 12)];
    const sum = net.g.add(net.likeOther(a, b), b);
    net.head(net.conv(sum, 12, 12, 3), 12);
    net.head(net.conv(a, 12, 12, 3), 12);
  },
  'a super-resolution network': (net, x) => {
    const features = net.conv(net.conv(x, 3, 16, 3), 16, 16, 3);
    // Of every block of four all or none are dead.
    const dead = [0, 1, 2, 3, 8, 9, 10, 11];
    const wide = layer(net.g, features, { name: 'wide', out: 16, from: 16, size: 3, pads: 1, dead, meaning: 'drop' });
    net.head(net.conv(net.g.op('DepthToSpace', [wide], { blocksize: 2, mode: 'CRD' }), 4, 8, 3), 8);
  },
  'a generator with transposed convolutions and instance normalisation': (net, x) => {
    const normalized = (value: string, channels: number) =>
      net.g.relu(
        net.g.op('InstanceNormalization', [
          value,
          { data: normals(2, `s${channels}`, channels) },
          { data: normals(3, `b${channels}`, channels) },
        ]),
      );
    const first = normalized(net.up(net.conv(x, 3, 16), 16, 12, 4), 12);
    net.head(normalized(net.up(first, 12, 8, 4), 8), 8);
  },
  'a network of gated halves': (net, x) => {
    const [value = '', gate = ''] = net.g.split(net.conv(x, 3, 16), [8, 8]);
    const gated = net.g.mul(value, net.g.op('Sigmoid', [gate]));
    const picked = net.g.op('Gather', [gated, int64([7, 6, 5, 4, 3, 2, 1, 0])], { axis: 1 });
    net.head(net.conv(picked, 8, 8, 3), 8);
  },
};

/**
 * Filters that go, per meaning: all that are dead, but for the channels that carry constants into a
 * transposed convolution, and constants other than 0 behind which a normalisation stands.
 */
const REMOVED: Readonly<Record<string, Readonly<Record<Meaning, number>>>> = {
  'a detector that cuts, joins and enlarges': { zero: 104, drop: 104 },
  'a U-Net with transposed convolutions': { zero: 50, drop: 52 },
  'a pyramid whose levels are enlarged to each other': { zero: 36, drop: 36 },
  'a super-resolution network': { zero: 28, drop: 28 },
  'a generator with transposed convolutions and instance normalisation': { zero: 7, drop: 17 },
  'a network of gated halves': { zero: 12, drop: 12 },
};

const cases = Object.keys(NETWORKS).flatMap((name) => MEANINGS.map((meaning) => ({ name, meaning })));

test.each(cases)('$name, meaning $meaning', async ({ name, meaning }) => {
  const build = (g: GraphBuilder) => NETWORKS[name]?.(new Net(g, meaning), g.input('x', ['batch', 3, 16, 16]));
  const outcome = await compileRow(build, { sizes: [{ x: [2, 3, 16, 16] }] });
  expect(outcome).toMatchObject({ equal: true, removed: REMOVED[name]?.[meaning], changesAgain: false });
});
