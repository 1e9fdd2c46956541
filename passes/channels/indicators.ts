/**
 * Indicators of the place: which taps of a zero-padded convolution lie inside the image. A map that
 * depends on the place alone is a 1x1 convolution of them.
 *
 *   x [N, C, H, W] -> Conv 1x1, weights 0, bias 1 -> ones [N, 16, H, W]
 *     -> depthwise Conv, channel t: 1 at tap t, else 0 -> indicators [N, 16, H', W']
 *
 * The second has the strides, pads and dilations of the reader. Channel t is 1 where tap t lies
 * inside the image, else 0. Everything is made from the data itself: the shape is provably that of
 * the reader's output, also at sizes that only the run knows, so that ONNX Runtime sums the map
 * inside the reader's kernel. It could not with ones of a computed size.
 *
 * Indicators are shared by all readers of one geometry on images of one size. x has to be finite,
 * for 0 times infinity is NaN: only readers that depend on x share what is made of it.
 */
import type { AnalyzedNode } from '../../src/channels/analyzed-node.js';
import type { Places } from '../../src/channels/places.js';
import { classLanes, indicatorCounts } from '../../src/channels/map-cost.js';
import type { Editor } from '../../src/ir/editor.js';
import { type AttributeValue, COMPILER_PREFIX, type Node, type Value } from '../../src/ir/graph.js';
import type { NodeSpec } from '../../src/ir/node-spec.js';
import { product, Tensor } from '../../src/ir/tensor.js';
import type { KnownExtents } from './known-extents.js';
import { once } from './once.js';

/** Attributes of Conv that say which taps lie inside. */
const GEOMETRY = ['strides', 'pads', 'dilations', 'auto_pad'] as const;

/** The axis of channels. */
const CHANNELS = 1;

/** What indicators are made of, and what for. */
export interface IndicatorSpec {
  /** Of the input of the node, as they are now. */
  readonly channels: number;
  readonly taps: readonly number[];
  readonly dataType: number;
}

export class IndicatorMaker {
  readonly #editor: Editor;
  readonly #extents: KnownExtents;

  constructor(editor: Editor, extents: KnownExtents) {
    this.#editor = editor;
    this.#extents = extents;
  }

  /**
   * The indicators for a reader with the kernel `taps` and `channels` input channels: [N, count,
   * spatial…], as many as indicatorCounts says, of the reader's output. They stand before the
   * reader.
   */
  make({ node }: AnalyzedNode, spec: IndicatorSpec): Value {
    const { taps, dataType } = spec;
    const { graph } = this.#editor;
    const [data] = node.inputs;
    if (data === undefined) throw new Error(`${node.label} has no input`);
    const geometry = geometryOf(node, taps);
    const places = this.#extents.of(data)?.filter((_, axis) => axis !== CHANNELS) ?? [data];
    return once(
      graph,
      ['indicators', dataType, JSON.stringify(geometry), ...places],
      () => this.#make(node, data, { ...spec, geometry }),
      ({ producer: made }) =>
        made !== undefined && graph.indexOf(made) < graph.indexOf(node) && dependsOn(data, sourceOf(made)),
    );
  }

  #make(
    node: Node,
    data: Value,
    { channels, taps, dataType, geometry }: IndicatorSpec & { geometry: Geometry },
  ): Value {
    const { count, groups } = indicatorCounts(taps);
    const points = taps.map(() => 1);
    const constant = (what: string, dims: readonly number[], values: Float64Array) =>
      this.#editor.addInitializer(`${data.name}_${what}`, Tensor.fromNumbers(dataType, dims, values));
    const ones = this.#add(node, {
      name: `${COMPILER_PREFIX}ones_of_${data.name}`,
      origin: { kind: 'ones' },
      inputs: [
        data,
        constant('no_weight', [groups, channels, ...points], new Float64Array(groups * channels)),
        constant('ones', [groups], new Float64Array(groups).fill(1)),
      ],
      attributes: { kernel_shape: { kind: 'ints', value: points } },
    });
    const hits = new Float64Array(count * product(taps));
    for (let tap = 0; tap < product(taps); tap++) hits[tap * product(taps) + tap] = 1;
    return this.#add(node, {
      name: `${COMPILER_PREFIX}taps_of_${data.name}`,
      origin: { kind: 'indicators' },
      inputs: [ones, constant('taps', [count, 1, ...taps], hits)],
      attributes: { ...geometry, group: { kind: 'int', value: groups } },
    });
  }

  /**
   * Of the classes of places that the window of `source` has: [N, classLanes(places), spatial…] of
   * its output. Channel t is 1 where exactly the taps of class t lie inside the image, else 0: Relu
   * of a sum over the indicators of the taps.
   */
  makeClasses(source: AnalyzedNode, places: Places, spec: Omit<IndicatorSpec, 'taps'>): Value {
    const { taps, classes } = places;
    const indicators = this.make(source, { ...spec, taps });
    return once(this.#editor.graph, ['classes', indicators, JSON.stringify(classes)], () => {
      const { count } = indicatorCounts(taps);
      const lanes = classLanes(places);
      const weights = new Float64Array(lanes * count);
      const bias = new Float64Array(lanes);
      for (const [index, inside] of classes.entries()) {
        // All taps inside are: then their sum is 1 more than the bias. Each other one takes 1.
        for (const [tap, isInside] of inside.entries()) weights[index * count + tap] = isInside === 1 ? 1 : -1;
        bias[index] = 1 - inside.reduce((total, isInside) => total + isInside, 0);
      }
      const constant = (what: string, dims: readonly number[], values: Float64Array) =>
        this.#editor.addInitializer(`${indicators.name}_${what}`, Tensor.fromNumbers(spec.dataType, dims, values));
      const points = taps.map(() => 1);
      const sums = this.#add(source.node, {
        name: `${indicators.name}_counted`,
        origin: { kind: 'indicators' },
        inputs: [
          indicators,
          constant('classes', [lanes, count, ...points], weights),
          constant('limits', [lanes], bias),
        ],
        attributes: { kernel_shape: { kind: 'ints', value: points } },
      });
      return this.#add(source.node, {
        opType: 'Relu',
        name: `${indicators.name}_classes`,
        origin: { kind: 'indicators' },
        inputs: [sums],
      });
    });
  }

  #add(anchor: Node, { name, ...spec }: Omit<NodeSpec, 'opType' | 'outputs'> & { opType?: string }): Value {
    const { graph } = this.#editor;
    const node = this.#editor.addNode(
      { opType: 'Conv', name: graph.freshNodeName(name), outputs: [name], ...spec },
      anchor,
    );
    const [value] = node.outputs;
    if (value === undefined) throw new Error(`${node.opType} has one output`);
    return value;
  }
}

type Geometry = Readonly<Record<string, AttributeValue>>;

export function geometryOf(node: Node, taps: readonly number[]): Geometry {
  const geometry: Record<string, AttributeValue> = { kernel_shape: { kind: 'ints', value: taps } };
  for (const key of GEOMETRY) {
    const attribute = node.attributes.get(key);
    if (attribute?.kind === 'ints' || attribute?.kind === 'string')
      geometry[key] = { kind: attribute.kind, value: attribute.value } as AttributeValue;
  }
  return geometry;
}

/** What the ones that a node reads are made of. */
function sourceOf({ inputs: [ones] }: Node): Value | undefined {
  return ones?.producer?.inputs[0];
}

/** Whether `value` is `source` or is computed from it. */
function dependsOn(value: Value, source: Value | undefined): boolean {
  const pending = [value];
  const seen = new Set(pending);
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    if (at === source) return true;
    const { producer } = at;
    for (const input of [...(producer?.inputs ?? []), ...(producer?.captures ?? [])]) {
      if (input === undefined || seen.has(input)) continue;
      seen.add(input);
      pending.push(input);
    }
  }
  return false;
}
