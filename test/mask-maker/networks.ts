/** Small networks whose layers have names, and weights that differ by seed. */
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { Random } from '../../src/runtime/random.js';

function normals(name: string, count: number): Float32Array {
  const random = new Random(3, name);
  return Float32Array.from({ length: count }, () => random.normal());
}

function weight(graph: GraphBuilder, name: string, dims: readonly number[]): string {
  return graph.initializer(
    name,
    dims,
    normals(
      name,
      dims.reduce((total, dim) => total * dim, 1),
    ),
  );
}

interface ConvSpec {
  readonly name: string;
  readonly dims: readonly [number, number, number, number];
  readonly group?: number;
  readonly hasNorm?: boolean;
}

function conv(graph: GraphBuilder, x: string, { name, dims, group = 1, hasNorm = false }: ConvSpec): string {
  const [channels, , kernel] = dims;
  const pads = (kernel - 1) / 2;
  const options = { name: `/${name.replaceAll('.', '/')}/Conv`, pads, group, bias: normals(`${name}.bias`, channels) };
  const { bias, ...others } = options;
  const y = graph.conv(x, weight(graph, `${name}.weight`, dims), { ...others, bias: { data: bias } });
  if (!hasNorm) return y;
  const constant = (value: number) => ({ data: Array.from({ length: channels }, () => value) });
  const scale = { data: normals(`${name}.gamma`, channels) };
  return graph.batchNorm(y, { scale, shift: constant(0.25), mean: constant(0), variance: constant(1) });
}

/**
 * a -> Relu -> b -> Relu -> mean -> fc; convolutions followed by normalisations where asked for.
 */
export function plainNetwork({ hasNorm = false } = {}): Uint8Array {
  const graph = graphBuilder();
  const x = graph.input('x', [1, 3, 6, 6]);
  const a = graph.relu(conv(graph, x, { name: 'a', dims: [10, 3, 3, 3], hasNorm }));
  const b = graph.relu(conv(graph, a, { name: 'b', dims: [12, 10, 1, 1], hasNorm }));
  head(graph, b, 12);
  return graph.bytes();
}

/** A residual block around expand -> depthwise -> project, as in MobileNets. */
export function residualNetwork(): Uint8Array {
  const graph = graphBuilder();
  const x = graph.input('x', [1, 3, 6, 6]);
  const stem = graph.relu(conv(graph, x, { name: 'stem', dims: [24, 3, 3, 3] }));
  const expand = graph.relu(conv(graph, stem, { name: 'block.expand', dims: [40, 24, 1, 1] }));
  const depth = graph.relu(conv(graph, expand, { name: 'block.depth', dims: [40, 1, 3, 3], group: 40 }));
  const project = conv(graph, depth, { name: 'block.project', dims: [24, 40, 1, 1] });
  head(graph, graph.relu(graph.add(stem, project)), 24);
  return graph.bytes();
}

/** ResNeXt's block: reduce -> grouped, 4 groups of 6 -> expand, around which the input is added. */
export function groupedNetwork(): Uint8Array {
  const graph = graphBuilder();
  const x = graph.input('x', [1, 3, 6, 6]);
  const stem = graph.relu(conv(graph, x, { name: 'stem', dims: [20, 3, 3, 3] }));
  const reduce = graph.relu(conv(graph, stem, { name: 'block.reduce', dims: [24, 20, 1, 1] }));
  const grouped = graph.relu(conv(graph, reduce, { name: 'block.grouped', dims: [24, 6, 3, 3], group: 4 }));
  const expand = conv(graph, grouped, { name: 'block.expand', dims: [20, 24, 1, 1] });
  head(graph, graph.relu(graph.add(stem, expand)), 20);
  return graph.bytes();
}

function head(graph: GraphBuilder, x: string, channels: number): void {
  const flat = graph.flatten(graph.globalAveragePool(x));
  const y = graph.gemm(flat, weight(graph, 'fc.weight', [5, channels]), { name: '/fc/Gemm' });
  graph.output(y, [1, 5]);
}

/** Matrices stored [in, out], the second square. */
export function matrixNetwork(): Uint8Array {
  const graph = graphBuilder();
  const x = graph.input('x', [2, 6]);
  const first = graph.relu(graph.op('MatMul', [x, weight(graph, 'first', [6, 8])], {}, { name: '/first/MatMul' }));
  const square = graph.relu(
    graph.op('MatMul', [first, weight(graph, 'square', [8, 8])], {}, { name: '/square/MatMul' }),
  );
  const last = graph.op('MatMul', [square, weight(graph, 'last', [8, 4])], {}, { name: '/last/MatMul' });
  graph.output(last, [2, 4]);
  return graph.bytes();
}
