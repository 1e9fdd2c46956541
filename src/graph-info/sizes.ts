/** Concrete sizes for counting: what a model with symbolic extents costs for one input. */
import type { Dim, Graph } from '../ir/graph.js';
import { byName, ownOf } from '../names.js';
import type { ModelProto } from '../onnx/proto.js';
import { withKnownExtents } from './extent-keys.js';
import { inferShapes } from './shapes.js';
import type { GraphInfo } from './graph-info.js';

export type Sizes = Readonly<Record<string, readonly number[]>>;

/** Height and width of a symbolic image: what most vision models are trained and compared at. */
const IMAGE = 224;
/** Length of a symbolic sequence; so many tokens are a paragraph. */
const SEQUENCE = 128;

/**
 * Sizes of all graph inputs: those given, else one image or sequence where extents are symbolic.
 */
export function concreteSizes({ inputs }: Graph, shapes: GraphInfo['shapes'], given: Sizes = {}): Sizes {
  return byName(
    inputs.flatMap((input): [string, readonly number[]][] => {
      const dims = input.initializer === undefined ? shapes.of(input) : undefined;
      if (dims === undefined) return [];
      return [[input.name, ownOf(given, input.name) ?? dims.map((dim, axis) => extent(dim, axis, dims.length))]];
    }),
  );
}

/**
 * Images of a batch at the sizes that costs are counted at, where the model leaves them open: as
 * given for its first input that is given, otherwise one.
 */
export function batchAt({ inputs }: Graph, given: Sizes = {}): number {
  const [dims] = inputs.flatMap(({ name }) => [ownOf(given, name) ?? []]).filter(({ length }) => length > 0);
  return dims?.[0] ?? 1;
}

function extent(dim: Dim, axis: number, rank: number): number {
  if (typeof dim === 'number') return dim;
  return axis === 0 ? 1 : rank === 4 ? IMAGE : SEQUENCE;
}

/**
 * The same graph with shapes at those sizes; as it is when nothing is symbolic, or when the sizes
 * do not fit the model.
 */
export async function atSizes(graphInfo: GraphInfo, proto: ModelProto, sizes: Sizes): Promise<GraphInfo> {
  const isSymbolic = Object.entries(sizes).some(([name, dims]) =>
    graphInfo.shapes.byName.get(name)?.some((dim, axis) => dim !== dims[axis]),
  );
  if (!isSymbolic) return graphInfo;
  try {
    return withKnownExtents({ ...graphInfo, shapes: await inferShapes(graphInfo.graph, proto, sizes) });
  } catch {
    // Only the count of MACs is lost; the report then says that they are unknown.
    return graphInfo;
  }
}
