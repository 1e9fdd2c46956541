/**
 * fold-constants: computes what the model computes from constants alone, such as a mask multiplied
 * into a weight, once and for all.
 *
 *   weight_orig \
 *                Mul -> Conv          =>    weight -> Conv
 *   weight_mask /
 *
 * Values that hold the same are read from one place: what an Identity makes of a weight is that
 * weight.
 *
 * Exact? Bitwise: ONNX Runtime itself does the arithmetic. Declines when the file would grow: the
 * result is larger than what it is made from (ConstantOfShape, Expand, a wider type), or that is
 * read elsewhere and stays (a weight and its transpose). Declines for dequantised weights, too.
 * Cost: one small session for all of them.
 */
import { freedBytes } from '../src/graph-info/freed.js';
import type { Shapes } from '../src/graph-info/shapes.js';
import type { GraphInfo } from '../src/graph-info/graph-info.js';
import type { Graph, Node, Value } from '../src/ir/graph.js';
import { INT64, isFloating, Tensor } from '../src/ir/tensor.js';
import { isStored, rootOf, storedTensor } from '../src/ops/aliases.js';
import { isStatic } from '../src/ops/axes.js';
import { type Pass, UNCHANGED } from './pass.js';

/**
 * Results up to this many elements are folded whatever they are made from: shapes, axes, pads,
 * scalars.
 */
const SMALL = 64;

/** So few bytes are less than the nodes that compute them. */
const NEGLIGIBLE = 16;

/**
 * All that hold one tensor, to be read from the first of them or from an initializer of its own.
 */
interface Fold {
  readonly values: Value[];
  readonly source: Value | { readonly name: string; readonly tensor: Tensor };
  readonly isMasked: boolean;
}

export const foldConstants: Pass = {
  name: 'fold-constants',
  summary: 'multiply masks into weights, and fold other arithmetic on constants',
  exactness: 'bitwise',
  async run({ editor, graphInfo }) {
    const folds = findFolds(await graphInfo());
    if (folds.length === 0) return UNCHANGED;
    const changed = editor.transaction('fold constants', () => {
      for (const { values, source } of folds) {
        const folded = 'tensor' in source ? editor.addInitializer(source.name, source.tensor) : source;
        for (const value of values) editor.replaceAllUsesWith(value, folded);
      }
    });
    const masked = folds.filter(({ isMasked }) => isMasked).length;
    const message =
      masked > 0 ? `multiplied ${masked} masks into their weights` : `folded ${folds.length} computed constants`;
    return { changed, gains: changed && masked > 0, remarks: [{ kind: 'applied', message }] };
  },
};

function findFolds({ graph, constants, shapes }: GraphInfo): Fold[] {
  const holders = new Map<Tensor, { readonly node: Node; readonly values: Value[] }>();
  for (const node of graph.nodes) {
    for (const value of node.outputs) {
      const tensor = constants.tensor(value);
      if (value === undefined || tensor === undefined || constants.isDecoded(value)) continue;
      const holder = holders.get(tensor) ?? { node, values: [] };
      holder.values.push(value);
      holders.set(tensor, holder);
    }
  }
  const stored = new Map([...graph.initializers()].map((value) => [value.initializer, value]));
  const folds: Fold[] = [];
  for (const [tensor, { node, values }] of holders) {
    const [first] = values;
    if (first === undefined) continue;
    const read = (source: Value) => values.filter((value) => value !== source && value.uses.length > 0);
    const uses = values.flatMap((value) => value.uses);
    const own = stored.get(tensor) ?? values.find(isStored);
    if (own !== undefined) {
      folds.push({ values: read(own), source: own, isMasked: false });
      continue;
    }
    const { source, isMasked } = sourceOf(node, tensor, shapes);
    const name = source?.replace(/_orig$/, '') ?? `${first.name}_folded`;
    const isSmall = tensor.size <= SMALL && !(isFloating(tensor.dataType) && isStored(rootOf(first)));
    const pays = source !== undefined && tensor.sizeBytes <= freedBytes(graph, uses);
    if (isSmall || pays || tensor.sizeBytes <= NEGLIGIBLE)
      folds.push({ values, source: { name, tensor }, isMasked: isMasked && source !== undefined });
    else folds.push({ values: read(first), source: first, isMasked: false });
  }
  return [...folds, ...foldShapesOfConstants(graph, constants, shapes)].filter(({ values }) =>
    values.some(({ uses }) => uses.length > 0),
  );
}

/** Who asks a weight for its extents alone would keep all of it in the file. */
function foldShapesOfConstants({ nodes }: Graph, { tensor, has }: GraphInfo['constants'], shapes: Shapes): Fold[] {
  return nodes.flatMap((node): Fold[] => {
    const [output] = node.outputs;
    if (node.opType !== 'Shape' || !has(output) || output === undefined || tensor(output) !== undefined) return [];
    const dims = tensor(node.inputs[0])?.dims ?? shapes.of(node.inputs[0]);
    if (!isStatic(dims)) return [];
    const extents = dims.slice(node.int('start', 0), node.int('end', dims.length));
    const source = { name: `${output.name}_folded`, tensor: Tensor.fromNumbers(INT64, [extents.length], extents) };
    return [{ values: [output], source, isMasked: false }];
  });
}

/**
 * The constant of the result's size that it is made from, preferring `…_orig`, and whether a mask
 * is multiplied in.
 */
function sourceOf(node: Node, result: Tensor, shapes: Shapes): { source: string | undefined; isMasked: boolean } {
  const names: string[] = [];
  if (!isFloating(result.dataType)) return { source: undefined, isMasked: false };
  let isMasked = false;
  const seen = new Set([node]);
  for (const at of seen) {
    // An extent that is read is no data: a bias that is blown up to the weights' width is not made
    // from them.
    if (at.opType === 'Shape') continue;
    isMasked ||= at.opType === 'Mul' && multipliesData(at, shapes);
    for (const input of at.inputs) {
      const tensor = input && storedTensor(input);
      if (tensor?.size === result.size && input !== undefined) names.push(input.name);
      if (input?.producer !== undefined) seen.add(input.producer);
    }
  }
  return { source: names.find((name) => name.endsWith('_orig')) ?? names[0], isMasked };
}

/**
 * A Mul with a lone number scales, one of integers computes a shape; a mask has the weight's dtype.
 */
function multipliesData({ inputs, outputs: [product] }: Node, shapes: Shapes): boolean {
  const dataType = product === undefined ? undefined : shapes.dataTypeOf(product);
  const isScaled = inputs.some((value) => (value && storedTensor(value))?.size === 1);
  return !isScaled && (dataType === undefined || isFloating(dataType));
}
