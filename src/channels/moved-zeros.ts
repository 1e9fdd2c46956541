/**
 * Zeros of packed projections. A position knows one axis. In [., S, 3, H, d], the packed queries,
 * keys and values, it is heads of one of the three that are zero. So an axis that a Reshape takes
 * apart is followed through what only moves data, until one of its parts is picked:
 *
 *   [., S, 3 * H * d] -> Reshape [., S, 3, H, d] -> Transpose -> Gather(2): head h is zero where the
 *   channels from (2 * H + h) * d on are
 */
import { product } from '../ir/tensor.js';
import { type Pointwise, unchanged } from '../ops/axes.js';
import type { AnalyzedNode, ResolvedLink } from './analyzed-node.js';
import type { Axis, Slot } from './positions.js';

/** Part of an axis that was taken apart: index i of `axis` stands for `stride` * i. */
interface Part {
  readonly axis: Axis;
  readonly stride: number;
}

/**
 * A value whose elements are those of `whole` at `offset` and the sums of what its parts stand for.
 */
interface View {
  readonly whole: Axis;
  readonly offset: number;
  readonly parts: readonly Part[];
}

export class MovedZeros {
  readonly #constant: Float64Array;
  readonly #views = new Map<Slot, readonly View[]>();

  /** `constant`: per position the scalar, or NaN where it varies; zeros are added. */
  constructor(constant: Float64Array) {
    this.#constant = constant;
  }

  visit(at: AnalyzedNode, { constant, reads }: Pointwise): void {
    const [slot] = at.inSlots;
    const [output, ...others] = at.node.outputs;
    const moves = constant === unchanged || reads !== undefined;
    if (slot === undefined || output === undefined || others.length > 0 || !moves) return;
    const views = (this.#views.get(slot) ?? []).flatMap((view) => moved(view, at, reads) ?? []);
    for (const view of views) this.#markZeros(view);
    const opened = at.choices.flatMap((links) => takenApart(links) ?? []);
    if (views.length + opened.length > 0) this.#views.set(output, [...views, ...opened]);
  }

  /** Of each part the indices at which everything is zero. */
  #markZeros({ whole, offset, parts }: View): void {
    const isZero = (at: number) => this.#constant[whole.base + at] === 0;
    for (const part of parts) {
      const others = parts.filter((other) => other !== part);
      for (let index = 0; index < part.axis.extent; index++) {
        const places = others.reduce<readonly number[]>(
          (starts, { axis, stride }) =>
            starts.flatMap((start) => Array.from({ length: axis.extent }, (_, at) => start + at * stride)),
          [offset + index * part.stride],
        );
        if (places.length > 0 && places.every(isZero)) this.#constant[part.axis.base + index] = 0;
      }
    }
  }
}

/**
 * An axis of the input whose parts are axes of the output. All of them: with a computed target only
 * one can be linked, and says nothing of what the others hold.
 */
function takenApart(links: readonly ResolvedLink[]): View | undefined {
  const [{ input: whole } = { input: undefined }] = links;
  if (whole === undefined) return undefined;
  const parts: Part[] = [];
  for (const { input, output, blocks } of links) {
    if (input !== whole || output === undefined || blocks?.one !== 'output') return undefined;
    parts.push({ axis: output, stride: blocks.inner });
  }
  const size = product(parts.map(({ axis }) => axis.extent));
  return size === whole.extent ? { whole, offset: 0, parts } : undefined;
}

/** The view of the result; undefined where a part is merged with something else, or mixed. */
function moved({ whole, offset, parts }: View, at: AnalyzedNode, reads: Pointwise['reads']): View | undefined {
  let start = offset;
  const kept: Part[] = [];
  for (const { axis, stride } of parts) {
    const links = at.links.filter(({ input }) => input === axis);
    const [link] = links;
    if (links.length > 1) return undefined;
    if (link === undefined) {
      // Picked: one index of it is read.
      if (reads?.indices.length !== 1 || reads.input.axis !== axis.axis) return undefined;
      start += (reads.indices[0] ?? 0) * stride;
      continue;
    }
    const { output, blocks } = link;
    if (output === undefined) return undefined;
    if (blocks !== undefined) {
      const isCut = blocks.one === 'input' && blocks.inner === 1 && blocks.outer === 1 && blocks.manyStart === 0;
      if (!isCut || blocks.count !== output.extent) return undefined;
      start += blocks.oneStart * stride;
    }
    kept.push({ axis: output, stride });
  }
  return { whole, offset: start, parts: kept };
}
