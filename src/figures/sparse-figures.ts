/**
 * The layers of a model that was compiled with --sparse: read off the file, since no rule of the
 * analysis knows its operators.
 */
import { type Graph, type Node, SPARSE_DOMAIN } from '../ir/graph.js';
import { isCompensation } from '../ir/origin.js';
import { scanTensor } from '../ir/scan.js';
import { operatorOf } from '../ops/registry.js';
import { type Counts, countModel } from './figures.js';
import { type GraphInfo, siteOf } from '../graph-info/graph-info.js';

export interface StoredLayer {
  readonly node: Node;
  /** Of the layer: a chain has several. */
  readonly label: string;
  /** Whether the file holds only the weights that are kept. */
  readonly isSparse: boolean;
  readonly outputChannels: number;
  /** Elements of the dense weights. */
  readonly weights: number;
  /** Those that are not zero. */
  readonly keptWeights: number;
}

export function hasSparseOperators({ nodes }: Graph): boolean {
  return nodes.some(({ domain }) => domain === SPARSE_DOMAIN);
}

/** What initializers tell: no shapes, and nothing that would have to be run. */
export function storedInfo(graph: Graph): GraphInfo {
  const shapes = { of: () => undefined, dataTypeOf: () => undefined, byName: new Map() };
  const constants: GraphInfo['constants'] = {
    tensor: (value) => value?.initializer ?? value?.producer?.tensor('value'),
    has: (value) => constants.tensor(value) !== undefined,
    isDecoded: () => false,
  };
  return { graph, shapes, constants };
}

/** In the order of the graph; convolutions that the compiler added are none. */
export function storedLayers(graphInfo: GraphInfo): StoredLayer[] {
  return graphInfo.graph.nodes.flatMap((node) => (isCompensation(node) ? [] : layersAt(node, graphInfo)));
}

function layersAt(node: Node, graphInfo: GraphInfo): StoredLayer[] {
  const natives = operatorOf(node)?.nativeWeights?.(node);
  if (natives === undefined) {
    const operand = operatorOf(node)?.weights?.(siteOf(node, graphInfo))?.weights;
    return operand === undefined ? [] : denseLayer(node, operand, graphInfo);
  }
  return natives.flatMap(({ name: label = node.label, index, size: weights, outputChannels, isPacked }) =>
    isPacked
      ? [{ node, label, isSparse: true, outputChannels, weights, keptWeights: sizeOf(node, index) }]
      : denseLayer(node, { index, outAxis: 0 }, graphInfo),
  );
}

function denseLayer(
  node: Node,
  { index, outAxis }: { readonly index: number; readonly outAxis: number },
  { constants }: GraphInfo,
): StoredLayer[] {
  const tensor = constants.tensor(node.inputs[index]);
  if (tensor === undefined) return [];
  const keptWeights = tensor.size - scanTensor(tensor).zeros;
  const outputChannels = tensor.dims[outAxis] ?? 0;
  return [{ node, label: node.label, isSparse: false, outputChannels, weights: tensor.size, keptWeights }];
}

function sizeOf({ inputs }: Node, index: number): number {
  return inputs[index]?.initializer?.size ?? 0;
}

/**
 * Counts of what the file holds. What constant nodes compute from it is not known here: only
 * differences of these are exact.
 */
export function storedFigures(graph: Graph): Counts['figures'] {
  return countModel(storedInfo(graph)).figures;
}

/**
 * The counts of a graph whose layers became sparse operators, which know what they stand for: of
 * those what is not zero is stored and multiplied. `before` are its stored figures before that.
 */
export function countSparse(
  { figures, layers, added }: Counts,
  before: ReturnType<typeof storedFigures>,
  graph: Graph,
): Counts {
  const kept = new Map(
    graph.nodes.flatMap((node): [Node, number][] => {
      const of = node.origin?.kind === 'native' ? node.origin.of : [];
      const natives = operatorOf(node)?.nativeWeights?.(node) ?? [];
      return of.flatMap((layer, at): [Node, number][] => {
        const native = natives[at];
        return native?.isPacked === true ? [[layer, sizeOf(node, native.index)]] : [];
      });
    }),
  );
  const sparseLayers = layers.map((layer) => {
    const values = kept.get(layer.node);
    return values === undefined ? layer : { ...withKept(layer, values), isSparse: true as const };
  });
  const sparseAdded = added.map((convolution) => withKept(convolution, kept.get(convolution.node)));
  const macsOf = (counted: readonly { macs: number | undefined }[]) =>
    counted.reduce((total, { macs = 0 }) => total + macs, 0);
  const saved = macsOf(layers) + macsOf(added) - macsOf(sparseLayers) - macsOf(sparseAdded);
  // Normalisations and biases went into the operators as well.
  const after = storedFigures(graph);
  return {
    figures: {
      ...figures,
      parameters: figures.parameters + after.parameters - before.parameters,
      zeros: Math.max(0, figures.zeros + after.zeros - before.zeros),
      macs: figures.macs === undefined ? undefined : Math.round(figures.macs - saved),
      nodes: graph.nodes.length,
    },
    layers: sparseLayers,
    added: sparseAdded,
  };
}

/** Of so many weights that are kept; as it is where it stayed dense. */
function withKept<Counted extends { readonly size: number; readonly macs: number | undefined }>(
  counted: Counted,
  values: number | undefined,
): Counted {
  if (values === undefined || counted.size === 0) return counted;
  const { size, macs } = counted;
  return { ...counted, size: values, macs: macs === undefined ? undefined : (macs * values) / size };
}
