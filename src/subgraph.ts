/** Runs passes inside a subgraph of If, Loop or Scan, as on a model of its own. */
import type { CompiledSubgraph, PassContext } from '../passes/pass.js';
import { PruneCompileError } from './errors.js';
import type { Node } from './ir/graph.js';
import type { AttributeProto } from './onnx/proto.js';
import { graphsOf } from './onnx/subgraphs.js';
import { capturedNames, type Model } from './onnx/read.js';
import { definedNames, subgraphModel, subgraphOf } from './onnx/subgraph-model.js';

/** The passes that are to run, and what they run on. */
type Inside = (model: Model) => {
  readonly context: PassContext;
  readonly run: () => Promise<Pick<CompiledSubgraph, 'gains' | 'remarks'>>;
};

const UNTOUCHED = { gains: false, defined: new Set<string>() } as const;

/** See `compileSubgraph` of PassContext. */
export async function compileSubgraph(
  { model: outside, editor, graphInfo }: PassContext,
  node: Node,
  name: string,
  inside: Inside,
): Promise<CompiledSubgraph | 'unknown' | undefined> {
  const before = sourceOf(node, name);
  if (before?.g === undefined) return undefined;
  const { constants, shapes } = await graphInfo();
  const names = capturedNames(before.g);
  const captured = node.captures
    .filter((value) => names.has(value.name))
    .map((value) => ({
      value,
      tensor: constants.tensor(value),
      dataType: shapes.dataTypeOf(value),
      dims: shapes.of(value),
    }));
  const model = subgraphModel(before.g, captured, outside.proto, editor.graph);
  if (model === undefined) return 'unknown';
  const { context, run } = inside(model);
  if (!(await isKnown(context))) return 'unknown';
  const { gains, remarks } = await run();
  if (!gains) return { ...UNTOUCHED, attribute: { kind: 'other', source: before }, captures: node.captures, remarks };
  const subgraph = subgraphOf(model, before.g, captured, (await context.graphInfo()).shapes.byName);
  const others = [...node.attributes.keys()].flatMap((other) =>
    other === name ? [] : graphsOf(sourceOf(node, other) ?? {}),
  );
  const read = new Set([...others, subgraph].flatMap((graph) => [...capturedNames(graph)]));
  return {
    attribute: { kind: 'other', source: { ...before, g: subgraph } },
    captures: node.captures.filter((value) => read.has(value.name)),
    defined: definedNames(subgraph),
    gains,
    remarks,
  };
}

function sourceOf(node: Node, name: string): AttributeProto | undefined {
  return node.attributes.get(name)?.source;
}

/** Whether ONNX Runtime can load it: what it says of a branch that never runs is nobody's problem. */
async function isKnown({ graphInfo }: PassContext): Promise<boolean> {
  try {
    await graphInfo();
    return true;
  } catch (error) {
    if (error instanceof PruneCompileError && error.code.startsWith('E-MODEL-')) return false;
    throw error;
  }
}
