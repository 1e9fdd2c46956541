/**
 * How much a unit matters; the lowest go. All scores are means over a unit's elements, so that
 * units of different sizes and layers can be compared:
 *
 *   l1        mean |w|
 *   l2        root of the mean square
 *   random    a number by seed and layer
 *   fpgm      mean distance to the layer's other filters, over the root of their length (He et al. 2019: near the geometric median)
 *   bn-scale  |gamma| of the batch normalisation right after it (Liu et al. 2017)
 */
import type { GraphInfo } from '../graph-info/graph-info.js';
import { PruneCompileError } from '../errors.js';
import { parameterRole } from '../ops/parameters.js';
import { Random } from '../runtime/random.js';
import type { Criterion } from './choice.js';
import type { MaskLayer } from './layers.js';
import { forEachElement, type Units } from './units.js';

export interface Scorer {
  readonly criterion: Criterion;
  readonly seed: number;
  readonly graphInfo: GraphInfo;
}

export function scoresOf(layer: MaskLayer, units: Units, { criterion, seed, graphInfo }: Scorer): Float64Array {
  switch (criterion) {
    case 'l1':
      return means(layer, units, Math.abs);
    case 'l2':
      return means(layer, units, (value) => value * value).map(Math.sqrt);
    case 'random': {
      const random = new Random(seed, layer.key);
      return Float64Array.from({ length: units.count }, () => random.uniform());
    }
    case 'fpgm':
      return distances(layer);
    case 'bn-scale':
      return Float64Array.from(scaleBehind(layer, graphInfo) ?? [], Math.abs);
  }
}

function means({ matrix, slots }: MaskLayer, units: Units, measure: (value: number) => number): Float64Array {
  const values = slots[0].tensor.numbers();
  const sums = new Float64Array(units.count);
  const counts = new Uint32Array(units.count);
  forEachElement(matrix, (place, output, input, tap) => {
    const unit = units.at(output, input, tap);
    sums[unit] = (sums[unit] ?? 0) + measure(values[place] ?? 0);
    counts[unit] = (counts[unit] ?? 0) + 1;
  });
  return sums.map((sum, unit) => sum / (counts[unit] ?? 1));
}

/**
 * Element by element: |a|^2 + |b|^2 - 2ab would cancel for filters that are near each other, which
 * is what is looked for.
 */
function distances({ matrix, slots }: MaskLayer): Float64Array {
  const { outputs, inputs, taps, outStride, inStride } = matrix;
  const values = slots[0].tensor.numbers();
  const length = inputs * taps;
  const rows = Array.from({ length: outputs }, (_, output) => {
    const row = new Float64Array(length);
    for (let input = 0; input < inputs; input++) {
      const start = output * outStride + input * inStride;
      for (let tap = 0; tap < taps; tap++) row[input * taps + tap] = values[start + tap] ?? 0;
    }
    return row;
  });
  const scores = new Float64Array(outputs);
  for (const [one, row] of rows.entries()) {
    for (let other = one + 1; other < outputs; other++) {
      const distance = distanceOf(row, rows[other] ?? row);
      scores[one] = (scores[one] ?? 0) + distance;
      scores[other] = (scores[other] ?? 0) + distance;
    }
  }
  const scale = Math.max(outputs - 1, 1) * Math.sqrt(length);
  return scores.map((sum) => sum / scale);
}

/**
 * Four sums, not one: each addition waits for the one before it, and four that do not take 40 % of
 * the time.
 */
function distanceOf(one: Float64Array, other: Float64Array): number {
  const { length } = one;
  const whole = length - (length % 4);
  const apart = (at: number) => (one[at] ?? 0) - (other[at] ?? 0);
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let at = 0; at < whole; at += 4) {
    a += apart(at) ** 2;
    b += apart(at + 1) ** 2;
    c += apart(at + 2) ** 2;
    d += apart(at + 3) ** 2;
  }
  for (let at = whole; at < length; at++) a += apart(at) ** 2;
  return Math.sqrt(a + b + c + d);
}

/** The scale of the normalisation that alone reads the layer; undefined when there is none. */
function scaleBehind({ slots, matrix }: MaskLayer, { constants }: GraphInfo): Float32Array | Float64Array | undefined {
  const [output] = slots[0].node.outputs;
  const [use] = output?.hasSingleUse === true ? output.uses : [];
  if (use?.index !== 0) return undefined;
  const roles = use.node.inputs.map((_, index) => parameterRole(use.node, index)?.name);
  // Of all normalisations the batch's alone has running statistics.
  if (!roles.includes('running_var')) return undefined;
  const scale = constants.tensor(use.node.inputs[roles.indexOf('weight')])?.numbers();
  return scale?.length === matrix.outputs ? scale : undefined;
}

/** How many layers an error lists. */
const SHOWN_LAYERS = 5;

/** Throws E-USAGE when a layer has nothing that the criterion reads. */
export function checkScorable(layers: readonly MaskLayer[], { criterion, graphInfo }: Scorer): void {
  if (criterion !== 'bn-scale') return;
  const without = layers.filter((layer) => scaleBehind(layer, graphInfo) === undefined);
  if (without.length === 0) return;
  const names = without.slice(0, SHOWN_LAYERS).map(({ label }) => label);
  throw new PruneCompileError('E-USAGE', {
    what: `bn-scale needs a BatchNormalization directly after every layer, and ${without.length} of ${layers.length} have none`,
    facts: [
      ['layers', `${names.join(', ')}${without.length > SHOWN_LAYERS ? ', …' : ''}`],
      ['why', 'by default, exporters fold normalisations into the preceding weights'],
      ['try', 'export with training=TrainingMode.PRESERVE, or another criterion, or --exclude these layers'],
    ],
  });
}
