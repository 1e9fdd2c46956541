/**
 * The part of the forward pass that follows numbers for each class of places (places.ts): made by
 * windows over zero-padded constants, and passed on by whatever computes each place from itself.
 */
import type { GraphInfo } from '../graph-info/graph-info.js';
import { product } from '../ir/tensor.js';
import type { NodeRunner } from '../graph-info/node-runner.js';
import type { Grouped, Known, Pointwise } from '../ops/axes.js';
import { type AnalyzedNode, forEachPair } from './analyzed-node.js';
import { askedScalars } from './asked-scalars.js';
import { columnOf, type Contribution, knownAt } from './contribution.js';
import { KnownPlaces, type PlaceValues, sumsOverTaps } from './places.js';
import { type Axis, isOperand, type Positions, type Slot } from './positions.js';

/** The axis of channels in an image, or in anything else that a window slides over. */
const CHANNELS = 1;

/** Per position; both are written where all classes hold one number. */
interface Scalars {
  readonly constant: Float64Array;
  /** 1 where the constant went through arithmetic. */
  readonly isRounded: Uint8Array;
}

/** What is known along an axis of an output. */
interface Along {
  readonly axis: Axis;
  /** Per input of the node. */
  readonly operands: readonly Contribution[];
  readonly round: (value: number) => number;
}

/** The operands at one class of places; the result is to be written to `values[place]`. */
interface Question {
  readonly known: readonly Known[];
  readonly values: Float64Array;
  readonly place: number;
}

export class PlaceConstants {
  readonly places = new Map<number, PlaceValues>();
  readonly #scalars: Scalars;
  readonly #positions: Positions;
  readonly #graphInfo: GraphInfo;
  readonly #runner: NodeRunner;
  readonly #known: KnownPlaces;

  constructor(scalars: Scalars, positions: Positions, graphInfo: GraphInfo, runner: NodeRunner) {
    this.#scalars = scalars;
    this.#positions = positions;
    this.#graphInfo = graphInfo;
    this.#runner = runner;
    this.#known = new KnownPlaces(graphInfo);
  }

  /**
   * An output of a grouped layer that reads only constants. `ofTap`: what they add where tap `tap`
   * lies inside; `ofSum`: the output, of a sum of these.
   */
  ofWindow(
    at: AnalyzedNode,
    { hasWindow }: Grouped,
    position: number,
    { ofTap, ofSum }: { readonly ofTap: (tap: number) => number; readonly ofSum: (sum: number) => number },
  ): void {
    const places = hasWindow === true ? this.#known.at(at) : undefined;
    if (places !== undefined)
      this.#set(position, { places, source: at, values: sumsOverTaps(places, ofTap).map(ofSum) });
  }

  /** A mean that counts zeros of padding. */
  paddedMean(at: AnalyzedNode, axis: Axis, round: (value: number) => number): void {
    const [slot] = at.inSlots;
    const input = slot === undefined || isOperand(slot) ? undefined : this.#positions.axesOf(slot)[CHANNELS];
    if (axis.axis !== CHANNELS || input?.extent !== axis.extent) return;
    for (let index = 0; index < axis.extent; index++) {
      const value = this.#scalars.constant[input.base + index] ?? Number.NaN;
      if (Number.isNaN(value) || value === 0) continue;
      const places = this.#known.at(at);
      if (places === undefined) return;
      const values = sumsOverTaps(places, () => value / product(places.taps)).map(round);
      this.#set(axis.base + index, { places, source: at, values });
    }
  }

  /**
   * Channels that varied as scalars, class by class. Numbers of places went through sums: a function
   * that jumps is not for them.
   */
  async elementwise(
    at: AnalyzedNode,
    { constant, isAsked }: Pointwise,
    { axis, operands, round }: Along,
  ): Promise<void> {
    if (this.places.size === 0 || axis.axis !== CHANNELS) return;
    const columns = at.inSlots.map((slot, index) => this.#placesAlong(at, slot, index, axis));
    if (columns.every((column) => column === undefined)) return;
    const found = new Map<number, PlaceValues>();
    const open: Question[] = [];
    for (let index = 0; index < axis.extent; index++) {
      if (!Number.isNaN(this.#scalars.constant[axis.base + index] ?? Number.NaN)) continue;
      const reached = columns.map((column) => column?.get(index));
      const [first, ...others] = reached.filter((values) => values !== undefined);
      if (first === undefined || others.some(({ places }) => places !== first.places)) continue;
      const values = new Float64Array(first.values.length).fill(Number.NaN);
      for (const place of first.values.keys()) {
        const known = operands.map((operand, input) => reached[input]?.values[place] ?? knownAt(operand, index));
        const result = constant?.(known, axis.axis);
        if (result !== undefined) values[place] = round(result);
        else if (isAsked === true) open.push({ known, values, place });
      }
      found.set(index, { ...first, values });
    }
    await this.#ask(at, axis, open);
    for (const [index, values] of found) this.#set(axis.base + index, values);
  }

  /** ONNX Runtime takes each class of each channel for a channel of its own. */
  async #ask(at: AnalyzedNode, { axis }: Axis, open: readonly Question[]): Promise<void> {
    if (open.length === 0) return;
    const operands = at.inSlots.map((_, input) => columnOf(open.map(({ known }) => known[input])));
    const question = { at, output: 0, axis, operands };
    const scalars = await askedScalars(question, [...open.keys()], this.#graphInfo, this.#runner);
    for (const [entry, { values, place }] of open.entries()) values[place] = scalars[entry] ?? Number.NaN;
  }

  /** By index of the output's channels; undefined where there are none, or at other places. */
  #placesAlong(
    at: AnalyzedNode,
    slot: Slot | undefined,
    operand: number,
    output: Axis,
  ): Map<number, PlaceValues> | undefined {
    if (slot === undefined || isOperand(slot)) return undefined;
    const found = new Map<number, PlaceValues>();
    for (const link of at.links) {
      const { input } = link;
      if (link.operand !== operand || link.output !== output || input?.axis !== CHANNELS) continue;
      forEachPair(link, (from, to) => {
        const values = this.places.get(input.base + from);
        if (values !== undefined) found.set(to, values);
      });
    }
    const [made] = at.node.outputs;
    return found.size === 0 || made === undefined || !this.#known.areSame(slot, made) ? undefined : found;
  }

  /** What holds one number in all classes is a scalar. */
  #set(position: number, found: PlaceValues): void {
    const [first] = found.values;
    if (first === undefined || found.values.some(Number.isNaN)) return;
    if (found.values.some((value) => value !== first)) this.places.set(position, found);
    else {
      this.#scalars.constant[position] = first;
      this.#scalars.isRounded[position] = 1;
    }
  }
}
