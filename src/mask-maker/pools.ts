/**
 * Units that compete with each other. Without groups a pool is a layer. With groups, filters (or
 * channels) that can only go together, because a residual add, a depthwise convolution or a
 * flattening ties their positions, are one unit; units that cut the same layers in the same way are
 * one pool, so that a pool's width is a layer's width. The units of a grouped convolution are in
 * cells, one for each of its groups, and as many of each cell are pruned.
 */
import type { Facts } from '../channels/facts.js';
import { GroupBalance } from '../channels/group-balance.js';
import type { Pin } from '../channels/pins.js';
import type { Axis } from '../channels/positions.js';
import type { Choice } from './choice.js';
import type { MaskLayer } from './layers.js';

/**
 * What a pool's units are in one layer: unit u is its units locals[u * perUnit] … locals[(u + 1) *
 * perUnit - 1].
 */
export interface Part {
  readonly layer: MaskLayer;
  readonly perUnit: number;
  /** Undefined: the pool's units are the layer's. */
  readonly locals: Int32Array | undefined;
}

export interface Pool {
  readonly parts: readonly Part[];
  readonly count: number;
  /** How many stay is rounded up to a multiple of it. */
  readonly step: number;
  /** Lists of units, of equal lengths: as many of each are pruned. Absent: all are one list. */
  readonly cells?: readonly (readonly number[])[];
}

export interface Skipped {
  readonly layer: MaskLayer;
  readonly why: string;
}

export interface Grouping {
  readonly pools: readonly Pool[];
  readonly skipped: readonly Skipped[];
}

interface Unit {
  /** Per layer, in the layers' order: which of its units. */
  readonly locals: Map<MaskLayer, number[]>;
}

/**
 * Filters and channels. Those that can never go (the model's outputs, operators that need the whole
 * axis) are in no pool.
 */
export function groupUnits(
  layers: readonly MaskLayer[],
  facts: Facts,
  choice: Choice,
  excluded: ReadonlySet<MaskLayer>,
): Grouping {
  const isChannels = choice.granularity.kind === 'channel';
  const skipped: Skipped[] = [];
  const open: { layer: MaskLayer; axes: readonly Axis[] }[] = [];
  for (const layer of layers) {
    if (isChannels && layer.isGrouped) skipped.push({ layer, why: 'its input channels belong to groups' });
    else open.push({ layer, axes: isChannels ? layer.inAxes : layer.outAxes });
  }
  const units = choice.groups === 'residual' ? unitsByClass(open, facts) : unitsByLayer(open);
  const pools = new Map<string, Unit[]>();
  const pinned = new Map<MaskLayer, Pin>();
  const withExcluded = new Map<MaskLayer, string>();
  const pooled = new Set<MaskLayer>();
  const axesOf = new Map(open.map(({ layer, axes }) => [layer, axes]));
  for (const unit of units) {
    const members = [...unit.locals.keys()];
    const pin = pinOf(unit, axesOf, facts);
    const left = members.find((layer) => excluded.has(layer));
    if (pin !== undefined) for (const layer of members) pinned.set(layer, pinned.get(layer) ?? pin);
    else if (left !== undefined) for (const layer of members) withExcluded.set(layer, left.label);
    else {
      const signature = members.map((layer) => `${layers.indexOf(layer)}x${unit.locals.get(layer)?.length}`).join();
      for (const layer of members) pooled.add(layer);
      const list = pools.get(signature);
      if (list === undefined) pools.set(signature, [unit]);
      else list.push(unit);
    }
  }
  for (const { layer } of open) {
    if (pooled.has(layer) || excluded.has(layer)) continue;
    const [pin, partner] = [pinned.get(layer), withExcluded.get(layer)];
    const why = partner === undefined ? pinText(pin) : `it is coupled to ${partner}, which is excluded`;
    skipped.push({ layer, why });
  }
  const balance = choice.groups === 'residual' ? new GroupBalance(facts, () => 0) : undefined;
  const cellOf = (unit: Unit) => cellsAt(unit, axesOf, facts, balance);
  return { pools: [...pools.values()].map((list) => poolOf(list, choice.widthMultiple, cellOf)), skipped };
}

/** One pool per layer, for units inside of layers. */
export function poolPerLayer(layers: readonly MaskLayer[], countOf: (layer: MaskLayer) => number): Pool[] {
  return layers.map((layer) => ({
    parts: [{ layer, perUnit: 1, locals: undefined }],
    count: countOf(layer),
    step: 1,
  }));
}

function pinText(pin: Pin | undefined): string {
  if (pin === undefined) return 'its channels are not known';
  return pin.node === undefined ? pin.reason : `${pin.node.label}: ${pin.reason}`;
}

function unitsByLayer(open: readonly { layer: MaskLayer; axes: readonly Axis[] }[]): Unit[] {
  return open.flatMap(({ layer, axes: [axis] }) =>
    Array.from({ length: axis?.extent ?? 0 }, (_, index) => ({ locals: new Map([[layer, [index]]]) })),
  );
}

/**
 * Indices of one class are one unit; a module that is called twice ties the classes of both calls.
 */
function unitsByClass(open: readonly { layer: MaskLayer; axes: readonly Axis[] }[], { positions }: Facts): Unit[] {
  const unitAt = new Map<number, Unit>();
  const units = new Set<Unit>();
  for (const { layer, axes } of open) {
    const [first] = axes;
    for (let index = 0; index < (first?.extent ?? 0); index++) {
      const roots = axes.map((axis) => positions.classOf(axis.base + index));
      const found = [...new Set(roots.flatMap((root) => unitAt.get(root) ?? []))];
      const [unit = { locals: new Map<MaskLayer, number[]>() }, ...others] = found;
      units.add(unit);
      for (const other of others) {
        units.delete(other);
        for (const [member, locals] of other.locals) addLocals(unit, member, locals);
        for (const [root, at] of unitAt) if (at === other) unitAt.set(root, unit);
      }
      addLocals(unit, layer, [index]);
      for (const root of roots) unitAt.set(root, unit);
    }
  }
  return [...units];
}

function addLocals({ locals }: Unit, layer: MaskLayer, added: readonly number[]): void {
  const list = locals.get(layer);
  if (list === undefined) locals.set(layer, [...added]);
  else list.push(...added);
}

/** What keeps the unit in the model, whatever its weights are: masks may make zeros of them. */
function pinOf(
  unit: Unit,
  axesOf: ReadonlyMap<MaskLayer, readonly Axis[]>,
  { positions, lastingPinOf }: Facts,
): Pin | undefined {
  for (const [layer, locals] of unit.locals) {
    for (const axis of axesOf.get(layer) ?? []) {
      for (const index of locals) {
        const pin = lastingPinOf(positions.classOf(axis.base + index));
        if (pin !== undefined) return pin;
      }
    }
  }
  return undefined;
}

/** The groups of grouped layers that the unit is in, as text. */
function cellsAt(
  { locals }: Unit,
  axesOf: ReadonlyMap<MaskLayer, readonly Axis[]>,
  { positions }: Facts,
  balance: GroupBalance | undefined,
): string {
  const keys = new Set<string>();
  for (const [layer, indices] of locals)
    for (const axis of axesOf.get(layer) ?? [])
      for (const index of indices) keys.add(balance?.groupsOf(positions.classOf(axis.base + index)) ?? '');
  return [...keys].toSorted().join();
}

/**
 * Undefined where there are no groups, or unequal ones: a Concat may lead a part of them elsewhere.
 */
function equalCells(units: readonly Unit[], cellOf: (unit: Unit) => string): number[][] | undefined {
  const cells = new Map<string, number[]>();
  for (const [at, unit] of units.entries()) {
    const key = cellOf(unit);
    cells.set(key, [...(cells.get(key) ?? []), at]);
  }
  const lists = [...cells.values()];
  const isEqual = lists.every(({ length }) => length === lists[0]?.length);
  return lists.length > 1 && isEqual ? lists : undefined;
}

function poolOf(units: readonly Unit[], widthMultiple: number, cellOf: (unit: Unit) => string): Pool {
  const [first] = units;
  const parts = [...(first?.locals ?? [])].map(([layer, { length: perUnit }]): Part => {
    const locals = Int32Array.from(units.flatMap((unit) => unit.locals.get(layer) ?? []));
    return { layer, perUnit, locals };
  });
  const cells = equalCells(units, cellOf);
  const step = parts.reduce((least, { perUnit }) => leastStep(least, perUnit, widthMultiple), 1);
  return { parts, count: units.length, step: leastStep(step, 1, cells?.length ?? 1), ...(cells && { cells }) };
}

/**
 * The least multiple of `step` at which `perUnit` channels per unit make a multiple of
 * `widthMultiple`.
 */
function leastStep(step: number, perUnit: number, widthMultiple: number): number {
  const own = widthMultiple / commonDivisor(widthMultiple, perUnit);
  return (step * own) / commonDivisor(step, own);
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}
