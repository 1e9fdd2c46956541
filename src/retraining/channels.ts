/**
 * Which channels of the original weights a compiled model still has, as data: for every parameter
 * the kept indices per axis, and what the compiled model computes that the modules of the original
 * network have no place for.
 */
import type { Constants } from '../graph-info/constants.js';
import type { Graph, Node, Value } from '../ir/graph.js';
import type { Provenance } from '../ir/provenance.js';
import { keptByAllGroups, keptByGroup } from '../ir/slice.js';
import { makesIndicators, makesOnes } from '../ir/origin.js';
import { isFloating, Tensor } from '../ir/tensor.js';
import { isWithoutZeroBias } from '../onnx/module-path.js';
import { filtersOf, groupsOf, parameterRole } from '../ops/parameters.js';
import { fateOf } from './held-parameters.js';
import type { Axes } from './parameter-names.js';
import { namedByModule, type Trace, type TracedWeight } from './trace.js';

export const CHANNELS_SCHEMA = 1;

/**
 * One constant operand of the original model. Axes are those of the parameter, where one is named.
 */
export interface WeightChannels {
  /**
   * As the training framework calls it: `layer1.0.conv1.weight`; null where the model does not say.
   */
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
  /**
   * Per axis the original indices that are kept, in order; null: all of them. Null where the layer
   * is gone.
   */
  readonly kept: readonly (readonly number[] | null)[] | null;
  /**
   * Of a convolution whose groups keep different input channels: per group that is left their
   * indices along axis 1, for which `kept` then has null.
   */
  readonly keptByGroup: readonly (readonly number[])[] | null;
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
  /** As the operand has it. */
  readonly tensor: Tensor;
  readonly axes: Axes;
}

/** What load_state_dict, which is strict, would miss. */
export interface Missing {
  /** null where the model does not say what it is called. */
  readonly parameter: string | null;
  readonly where: string;
  readonly why: string;
}

export interface SmallState {
  /** A name occurs twice where a weight was shared. */
  readonly weights: readonly SmallWeight[];
  readonly missing: readonly Missing[];
  /** All names of the original state dict, where the model lists them. */
  readonly listed: ReadonlySet<string> | undefined;
}

export class KeptChannels {
  readonly #graph: Graph;
  readonly #trace: Trace;
  readonly #log: Provenance;

  constructor(graph: Graph, trace: Trace, log: Provenance) {
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
      unheld: gains ? [...this.#unheld(), ...this.#namelessBiases(live), ...torn(weights)] : [],
    };
  }

  /**
   * The parameters of the layers that are left, and what else load_state_dict would ask for.
   * `constants`: now.
   */
  smallState(constants: Constants): SmallState {
    const live = new Set(this.#graph.nodes);
    const { weights: traced, held, nameless, listed } = this.#trace;
    const noName = 'the file has no name for it';
    const missing = nameless.filter((node) => live.has(node)).map((node) => missed(null, node.label, noName));
    const small: SmallWeight[] = [];
    for (const { node, input, parameter, axes } of traced) {
      if (!live.has(node)) continue;
      const tensor = constants.tensor(node.inputs[input]);
      if (parameter === undefined || tensor === undefined)
        missing.push(missed(parameter ?? null, node.label, parameter === undefined ? noName : 'it is computed now'));
      else small.push({ name: parameter, tensor, axes });
    }
    for (const entry of held) {
      const { isNeeded, changed } = fateOf(entry, live, constants);
      const { name, tensor } = entry;
      if (changed !== undefined)
        missing.push(missed(name, changed.label, 'what the model computes from it was masked or cut'));
      else if (isNeeded) small.push({ name, tensor, axes: tensor.dims.map((_, axis) => axis) });
    }
    small.push(...this.#addedBiases(live));
    small.push(...this.#zeroBiases(live, new Set(small.map(({ name }) => name)), constants));
    return { weights: small, missing: [...missing, ...this.#unstored(small)], listed };
  }

  /** Exporters leave a bias of zeros out; the module has it. */
  #zeroBiases(live: ReadonlySet<Node>, known: ReadonlySet<string>, constants: Constants): SmallWeight[] {
    const { listed, weights } = this.#trace;
    return weights.flatMap(({ node, input, parameter }): SmallWeight[] => {
      const name = parameter?.replace(/weight$/, 'bias');
      const tensor = live.has(node) ? constants.tensor(node.inputs[input]) : undefined;
      if (name === undefined || tensor === undefined || known.has(name)) return [];
      if (listed?.has(name) !== true || !isWithoutZeroBias(node)) return [];
      const filters = filtersOf(node, tensor.dims);
      const zeros = Tensor.fromNumbers(tensor.dataType, [filters], new Float32Array(filters));
      return [{ name, tensor: zeros, axes: [0] }];
    });
  }

  /** What the exporter lists of a module that is there, and no tensor of the file is. */
  #unstored(small: readonly SmallWeight[]): Missing[] {
    const { listed = [], weights, held } = this.#trace;
    const stored = new Set([...weights.flatMap(({ parameter }) => parameter ?? []), ...held.map(({ name }) => name)]);
    for (const { name } of small) stored.add(name);
    const moduleOf = (name: string) => name.slice(0, Math.max(name.lastIndexOf('.'), 0));
    const modules = new Set(small.map(({ name }) => moduleOf(name)));
    const isLost = (name: string) => modules.has(moduleOf(name)) && !stored.has(name) && !name.endsWith(COUNTER);
    return [...listed]
      .filter(isLost)
      .map((name) => missed(name, moduleOf(name), 'the exporter lists it, and the file does not hold it'));
  }

  #describe(weight: TracedWeight, removed: boolean): WeightChannels {
    const { node, input, initializer, parameter, axes, dims, groups } = weight;
    const log = this.#log.keptOf(node, input);
    const ofAll = keptByAllGroups(dims, log, groups);
    const kept = axes.map((axis) => (axis === undefined ? null : ((ofAll ?? log.with(1, undefined))[axis] ?? null)));
    const byGroup = ofAll === undefined ? keptByGroup(dims, log, groups).map(([, columns]) => columns) : null;
    return {
      parameter: parameter ?? null,
      initializer,
      node: node.label,
      input,
      shape: axes.map((axis) => (axis === undefined ? 1 : (dims[axis] ?? 1))),
      transposed: isReversed(axes),
      removed,
      kept: removed ? null : kept,
      keptByGroup: removed ? null : byGroup,
      rewritten: !removed && this.#log.isRewritten(node, input),
      groups: removed ? null : (groupsOf(node) ?? null),
    };
  }

  #addedBiases(live: ReadonlySet<Node>): SmallWeight[] {
    return this.#newBiases(live).flatMap(({ name, tensor }) =>
      name === undefined ? [] : [{ name, tensor, axes: [0] }],
    );
  }

  /** Of layers whose weights bear no parameter's name: no module can be told to have a bias. */
  #namelessBiases(live: ReadonlySet<Node>): Unheld[] {
    const nameless = this.#newBiases(live).filter(({ name }) => name === undefined);
    return nameless.map(({ node }) => ({ node: node.label, what: 'adds the constants of removed channels' }));
  }

  /** Biases of layers that had none. */
  #newBiases(live: ReadonlySet<Node>): { node: Node; name: string | undefined; tensor: Tensor }[] {
    const parameters = new Set(this.#trace.weights.flatMap(({ parameter }) => parameter ?? []));
    const had = (node: Node, index: number) =>
      this.#trace.weights.some((weight) => weight.node === node && weight.input === index);
    return this.#trace.weights.flatMap(({ node, input, parameter }) => {
      if (!live.has(node) || parameterRole(node, input)?.name !== 'weight') return [];
      const at = node.inputs.findIndex((_, index) => parameterRole(node, index)?.name === 'bias');
      const tensor = node.inputs[at]?.initializer;
      // Zeros that an exporter made up are no bias.
      if (tensor === undefined || had(node, at) || tensor.numbers().every((value) => value === 0)) return [];
      const name = parameter?.endsWith('weight')
        ? parameter.replace(/weight$/, 'bias')
        : namedByModule(node, at, parameters);
      return [{ node, name, tensor }];
    });
  }

  /**
   * Told from the graph itself, not by those who edit it: nodes that were not there, and data that
   * is now a constant.
   */
  #unheld(): Unheld[] {
    const found = this.#graph.nodes.flatMap((node): Unheld[] => {
      const wasData = this.#trace.isData.get(node);
      if (wasData === undefined) {
        if (makesOnes(node) || makesIndicators(node)) return [];
        const what = 'adds the constants of removed channels';
        if (node.origin?.kind === 'compensation')
          return node.origin.reader === undefined ? [] : [{ node: node.origin.reader.label, what }];
        // It adds what a compensation gives, which has told.
        if (node.inputs.some((value) => value?.producer?.origin?.kind === 'compensation')) return [];
        const layer = node.inputs.map((value) => this.#originalProducer(value)).find((at) => at !== undefined);
        return layer === undefined ? [] : [{ node: layer.label, what }];
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

/** Training counts its steps there; no inference needs it. */
export const COUNTER = 'num_batches_tracked';

function missed(parameter: string | null, where: string, why: string): Missing {
  return { parameter, where, why };
}

function isReversed(axes: Axes): boolean {
  return axes.length === 2 && axes[0] === 1 && axes[1] === 0;
}

/**
 * Weights that layers shared, where they now keep different channels: the original network has room
 * for one of them.
 */
function torn(weights: readonly WeightChannels[]): Unheld[] {
  const first = new Map<string, string>();
  return weights.flatMap((weight): Unheld[] => {
    const { parameter, node, rewritten } = weight;
    if (parameter === null || weight.removed) return [];
    const now = JSON.stringify([weight.kept, weight.keptByGroup, rewritten]);
    const other = first.get(parameter);
    first.set(parameter, other ?? now);
    return other === undefined || (other === now && !rewritten)
      ? []
      : [{ node, what: `shared ${parameter} with another layer, which keeps other channels of it` }];
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
