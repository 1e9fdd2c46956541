/**
 * Which channels of the original weights a compiled model still has, as data: for every parameter the kept indices per axis,
 * and what the compiled model computes that the modules of the original network have no place for.
 */
import type { Constants } from '../analysis/constants.js';
import type { Graph, Node, Value } from '../ir/graph.js';
import type { KeptLog } from '../ir/kept-log.js';
import { makesOnes } from '../ir/origin.js';
import { isFloating, type Tensor } from '../ir/tensor.js';
import { groupsOf, parameterRole } from '../ops/parameters.js';
import { namedByModule, type Trace, type TracedWeight } from './trace.js';

export const CHANNELS_SCHEMA = 1;

/** One constant operand of the original model. Axes are those of the parameter, where one is named. */
export interface WeightChannels {
  /** As the training framework calls it: `layer1.0.conv1.weight`; null where the model does not say. */
  readonly parameter: string | null;
  /** Name of the initializer, or of what is computed from it, in the original model. */
  readonly initializer: string;
  readonly node: string;
  readonly input: number;
  /** The original shape. */
  readonly shape: readonly number[];
  /** Whether the initializer has these axes in reverse: [in, out] for a parameter [out, in]. */
  readonly transposed: boolean;
  /** The layer is gone: it computed constants, or nothing that is needed. */
  readonly removed: boolean;
  /** Per axis the original indices that are kept, in order; null: all of them. Null where the layer is gone. */
  readonly kept: readonly (readonly number[] | null)[] | null;
  /** The values are not those of the kept indices: constants of removed channels went into them. */
  readonly rewritten: boolean;
  /** `groups` of the convolution as it is now; null for other layers. */
  readonly groups: number | null;
}

/** Something that the compiled model computes and the original network's modules cannot hold. */
export interface Unheld {
  readonly node: string;
  readonly what: string;
}

export interface Channels {
  readonly schema: typeof CHANNELS_SCHEMA;
  readonly weights: readonly WeightChannels[];
  /** Biases of layers that had none. */
  readonly addedBiases: readonly string[];
  readonly unheld: readonly Unheld[];
}

/** A parameter as it is at the end. */
export interface SmallWeight {
  readonly name: string;
  readonly tensor: Tensor;
  readonly isReversed: boolean;
  readonly node: Node;
}

export class KeptChannels {
  readonly #graph: Graph;
  readonly #trace: Trace;
  readonly #log: KeptLog;

  constructor(graph: Graph, trace: Trace, log: KeptLog) {
    this.#graph = graph;
    this.#trace = trace;
    this.#log = log;
  }

  /** Without gains the edits are not written: all nodes are still there, and nothing was added. */
  channels(gains = true): Channels {
    const live = gains ? new Set(this.#graph.nodes) : new Set(this.#trace.isData.keys());
    const weights = this.#trace.weights.map((weight) => this.#describe(weight, !live.has(weight.node)));
    return {
      schema: CHANNELS_SCHEMA,
      weights,
      addedBiases: this.#addedBiases(live).map(({ name }) => name),
      unheld: gains ? [...this.#unheld(), ...torn(weights)] : [],
    };
  }

  /** The named parameters of the layers that are left; a name occurs twice where a weight was shared. `constants`: now. */
  smallWeights(constants: Constants): readonly SmallWeight[] {
    const live = new Set(this.#graph.nodes);
    const small = this.#trace.weights.flatMap(({ node, input, parameter, isReversed }): SmallWeight[] => {
      const tensor = live.has(node) ? constants.tensor(node.inputs[input]) : undefined;
      return parameter === undefined || tensor === undefined ? [] : [{ name: parameter, tensor, isReversed, node }];
    });
    return [...small, ...this.#addedBiases(live)];
  }

  #describe(weight: TracedWeight, removed: boolean): WeightChannels {
    const { node, input, initializer, parameter, isReversed, dims } = weight;
    const log = this.#log.keptOf(node, input);
    const kept = dims.map((_, axis) => log[axis] ?? null);
    return {
      parameter: parameter ?? null,
      initializer,
      node: node.label,
      input,
      shape: isReversed ? dims.toReversed() : dims,
      transposed: isReversed,
      removed,
      kept: removed ? null : isReversed ? kept.toReversed() : kept,
      rewritten: !removed && this.#log.isRewritten(node, input),
      groups: removed ? null : (groupsOf(node) ?? null),
    };
  }

  #addedBiases(live: ReadonlySet<Node>): SmallWeight[] {
    const parameters = new Set(this.#trace.weights.flatMap(({ parameter }) => parameter ?? []));
    const had = (node: Node, index: number) =>
      this.#trace.weights.some((weight) => weight.node === node && weight.input === index);
    return this.#trace.weights.flatMap(({ node, input, parameter }): SmallWeight[] => {
      if (!live.has(node) || parameterRole(node, input)?.name !== 'weight') return [];
      const at = node.inputs.findIndex((_, index) => parameterRole(node, index)?.name === 'bias');
      const tensor = node.inputs[at]?.initializer;
      if (tensor === undefined || had(node, at)) return [];
      const name = parameter?.endsWith('weight')
        ? parameter.replace(/weight$/, 'bias')
        : namedByModule(node, at, parameters);
      return name === undefined ? [] : [{ name, tensor, isReversed: false, node }];
    });
  }

  /** Told from the graph itself, not by those who edit it: nodes that were not there, and data that is now a constant. */
  #unheld(): Unheld[] {
    const found = this.#graph.nodes.flatMap((node): Unheld[] => {
      const wasData = this.#trace.isData.get(node);
      if (wasData === undefined) {
        if (makesOnes(node)) return [];
        const layer = node.inputs.map((value) => this.#originalProducer(value)).find((at) => at !== undefined);
        return layer === undefined ? [] : [{ node: layer.label, what: 'adds the constants of removed channels' }];
      }
      return node.inputs.flatMap((value, index): Unheld[] => {
        if (wasData[index] !== true || value === undefined) return [];
        if (makesOnes(value.producer)) return [{ node: node.label, what: 'reads a map of ones instead of its input' }];
        const isConstant = value.initializer !== undefined && isFloating(value.initializer.dataType);
        return isConstant ? [{ node: node.label, what: 'reads constants instead of a branch' }] : [];
      });
    });
    return found;
  }

  /** The layer whose data an added node reads; through other added nodes. */
  #originalProducer(value: Value | undefined): Node | undefined {
    const producer = value?.producer;
    if (producer === undefined || this.#trace.isData.has(producer)) return producer;
    if (makesOnes(producer)) return undefined;
    return producer.inputs.map((input) => this.#originalProducer(input)).find((at) => at !== undefined);
  }
}

/** Weights that layers shared, where they now keep different channels: the original network has room for one of them. */
function torn(weights: readonly WeightChannels[]): Unheld[] {
  const first = new Map<string, string>();
  return weights.flatMap(({ parameter, node, removed, kept, rewritten }): Unheld[] => {
    if (parameter === null || removed) return [];
    const now = JSON.stringify([kept, rewritten]);
    const other = first.get(parameter);
    first.set(parameter, other ?? now);
    return other === undefined || (other === now && !rewritten)
      ? []
      : [{ node, what: `shared ${parameter} with another layer, which keeps it otherwise` }];
  });
}

/** As a file: one weight per line, so that two of them can be compared. */
export function renderChannels({ schema, weights, addedBiases, unheld }: Channels): string {
  const lines = (entries: readonly unknown[]) =>
    entries.length === 0 ? '[]' : `[\n${entries.map((entry) => `    ${JSON.stringify(entry)}`).join(',\n')}\n  ]`;
  const fields = [
    `"schema": ${schema}`,
    `"weights": ${lines(weights)}`,
    `"addedBiases": ${lines(addedBiases)}`,
    `"unheld": ${lines(unheld)}`,
  ];
  return `{\n${fields.map((field) => `  ${field}`).join(',\n')}\n}\n`;
}
