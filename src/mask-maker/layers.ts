/**
 * The weights that masks are made for: what a mask file calls each, and which positions its filters
 * and channels are.
 */
import type { Facts } from '../channels/facts.js';
import type { Axis } from '../channels/positions.js';
import { PruneCompileError } from '../errors.js';
import { product } from '../ir/tensor.js';
import type { Layout } from '../masks/expand.js';
import { parseKey } from '../masks/names.js';
import type { WeightSlot } from '../masks/slots.js';
import { nearestNames } from '../nearest.js';
import { axesInRoot } from '../ops/aliases.js';

/**
 * A weight as the matrix [outputs, inputs] of kernels with `taps` elements; of a grouped one,
 * inputs are those of a group.
 */
export interface Matrix {
  readonly outputs: number;
  readonly inputs: number;
  readonly taps: number;
  /** Elements between neighbours, in the operand's own layout. */
  readonly outStride: number;
  readonly inStride: number;
}

export interface MaskLayer {
  /** Its readers: a module that is called several times is several nodes. */
  readonly slots: readonly [WeightSlot, ...WeightSlot[]];
  readonly label: string;
  /** What the mask is called, and whose axes it has. */
  readonly key: string;
  readonly layout: Layout;
  readonly matrix: Matrix;
  readonly isGrouped: boolean;
  /** Per reader: the axis of its filters, that of its input channels. */
  readonly outAxes: readonly Axis[];
  readonly inAxes: readonly Axis[];
}

/**
 * `facts` may be of another reading of the same model, with shapes folded: nodes are found by what
 * they compute.
 */
export function findLayers(slots: readonly WeightSlot[], facts: Facts): MaskLayer[] {
  const byKey = new Map<string, { layout: Layout; slots: [WeightSlot, ...WeightSlot[]] }>();
  for (const slot of slots) {
    if (!slot.isLayer || slot.parameter !== 'weight' || slot.inAxis === undefined || slot.tensor.size === 0) continue;
    const { key, layout } = nameOf(slot, slots);
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, { layout, slots: [slot] });
    // Who reads the transpose has the same mask, in other axes; a square matrix does not tell.
    else if (layoutIn(known.slots[0]) === layoutIn(slot)) known.slots.push(slot);
  }
  const sites = new Map(facts.nodes.map((site) => [site.node.outputs[0]?.name, site]));
  return [...byKey].flatMap(([key, { layout, slots: readers }]): MaskLayer[] => {
    const places = readers.map(({ node, index }) => ({ site: sites.get(node.outputs[0]?.name), index }));
    const operands = places.flatMap(({ site, index }) => site?.inSlots[index] ?? []);
    const [{ node, outAxis, inAxis = 1 }] = readers;
    // Nothing reads what it computes.
    if (operands.length === 0) return [];
    const axes = (axis: number) => operands.flatMap((operand) => facts.positions.axesOf(operand)[axis] ?? []);
    return [
      {
        slots: readers,
        label: node.label,
        key,
        layout,
        matrix: matrixOf(readers[0]),
        isGrouped: places.some(({ site }) => site?.relation?.kind === 'grouped'),
        outAxes: axes(outAxis),
        inAxes: axes(inAxis),
      },
    ];
  });
}

function layoutIn({ value, tensor }: WeightSlot): string {
  const axes = axesInRoot(value, (at) => (at === value ? tensor.dims : at.initializer?.dims));
  return JSON.stringify([tensor.dims, axes]);
}

/**
 * A stored weight by its own name, as it is stored; a computed one by its module, as the framework
 * has it.
 */
function nameOf(slot: WeightSlot, all: readonly WeightSlot[]): { key: string; layout: Layout } {
  const { value, names, isAsStored, modulePaths, nodePaths } = slot;
  const [path] = modulePaths;
  const [reader] = nodePaths;
  // One of several modules whose weights were merged because they are equal: binding keeps them
  // apart, too.
  if (reader !== undefined && isMerged(slot, all)) return { key: `${reader}.weight`, layout: 'torch' };
  if (value.initializer !== undefined || value.producer?.opType === 'Constant')
    return { key: value.name, layout: 'stored' };
  const [nearest = value.name, ...others] = names;
  // Of one tensor that is handed on, cast or turned, the name says it; several are a weight and its
  // mask.
  if (path === undefined || others.length === 0) return { key: nearest, layout: isAsStored ? 'stored' : 'torch' };
  return { key: path === '' ? 'weight' : `${path}.weight`, layout: 'torch' };
}

/** Whether the weight bears the name of another module that reads it as well. */
function isMerged({ root, nodePaths }: WeightSlot, all: readonly WeightSlot[]): boolean {
  const owner = parseKey(root.name)?.module;
  if (owner === undefined || nodePaths.includes(owner)) return false;
  return all.some((other) => other.root === root && other.nodePaths.includes(owner));
}

function matrixOf({ tensor: { dims }, outAxis, inAxis = 1 }: WeightSlot): Matrix {
  const [outputs, inputs] = [dims[outAxis] ?? 0, dims[inAxis] ?? 0];
  // Axes in front of a matrix have an extent of 1.
  const taps = product(dims.slice(Math.max(outAxis, inAxis) + 1));
  const stride = (axis: number) => product(dims.slice(axis + 1));
  return { outputs, inputs, taps, outStride: stride(outAxis), inStride: stride(inAxis) };
}

/** Names that --exclude may take. */
function namesOf({ slots, key }: MaskLayer): string[] {
  const names = slots.flatMap(({ node, names: stored, modulePaths }) => [
    node.label,
    ...stored,
    ...modulePaths.slice(0, 1),
  ]);
  // What a key says to whoever reads masks: the module, without the parameter.
  const owner = parseKey(key)?.module ?? key;
  return [...new Set([key, owner, ...names])].filter((name) => name !== '');
}

/** Throws E-NODE-UNKNOWN for a pattern that no layer has. */
export function excludedLayers(layers: readonly MaskLayer[], patterns: readonly string[]): ReadonlySet<MaskLayer> {
  const excluded = new Set<MaskLayer>();
  for (const pattern of patterns) {
    const matcher = globOf(pattern);
    const found = layers.filter((layer) => namesOf(layer).some((name) => matcher.test(name)));
    if (found.length === 0) throw unknownLayer(pattern, layers);
    for (const layer of found) excluded.add(layer);
  }
  return excluded;
}

function globOf(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  // A module's name stands for all that is in it.
  return new RegExp(`^${source}([./].*)?$`);
}

/** How many names an error lists when none is near. */
const SHOWN_NAMES = 3;

function unknownLayer(pattern: string, layers: readonly MaskLayer[]): PruneCompileError {
  const all = layers.flatMap(namesOf);
  const near = nearestNames(pattern, new Set(all));
  return new PruneCompileError('E-NODE-UNKNOWN', {
    what: `there is no layer called "${pattern}" to exclude`,
    facts: [
      ['the model has', (near.length > 0 ? near : layers.slice(0, SHOWN_NAMES).map(({ label }) => label)).join(', ')],
      ['try', "the name of a node, an initializer or a module; * stands for anything: 'layer1.*'"],
    ],
  });
}
