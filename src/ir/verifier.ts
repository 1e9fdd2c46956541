/**
 * The graph's invariants. What an edit touched is checked at the end of every transaction, the
 * whole graph after every pass; neither can be switched off.
 */
import type { Graph, Node, Value } from './graph.js';

/** Where a node stands among the others; undefined for one that is not in the graph. */
type PlaceOf = (node: Node) => number | undefined;

/** Returns one sentence per broken invariant; empty when the graph is sound. */
export function verifyGraph(graph: Graph): string[] {
  const places = new Map(graph.nodes.map((node, place) => [node, place]));
  const placeOf: PlaceOf = (node) => places.get(node);
  const isOrdered = graph.nodes.every(
    ({ order = Number.NaN }, at) => order > (graph.nodes[at - 1]?.order ?? -Infinity),
  );
  return distinct([
    ...(isOrdered ? [] : ['the nodes are not in the order that they are numbered in']),
    ...graph.nodes.flatMap((node) => nodeProblems(node, graph, placeOf)),
    ...[...graph.values.values()].flatMap((value) => valueProblems(value, placeOf)),
    ...graph.outputs.flatMap((output) => outputProblems(output, graph, placeOf)),
  ]);
}

/** The same for what one edit touched, in time that does not grow with the rest of the graph. */
export function verifyTouched(graph: Graph, nodes: Iterable<Node>, values: Iterable<Value>): string[] {
  const placeOf: PlaceOf = ({ order }) => order;
  return distinct([
    ...[...nodes].flatMap((node) => (node.order === undefined ? [] : nodeProblems(node, graph, placeOf))),
    ...[...values].flatMap((value) => [
      ...valueProblems(value, placeOf),
      ...(value.isGraphOutput ? outputProblems(value, graph, placeOf) : []),
    ]),
  ]);
}

/** A reader and what it reads may say the same. */
function distinct(problems: readonly string[]): string[] {
  return [...new Set(problems)];
}

function nodeProblems(node: Node, graph: Graph, placeOf: PlaceOf): string[] {
  const problems: string[] = [];
  for (const [index, value] of node.inputs.entries()) {
    if (value === undefined) continue;
    if (!isComputedBefore(node, value, placeOf))
      problems.push(`${node.label} reads ${value.name} before it is computed`);
    if (!value.uses.some((use) => use.node === node && use.index === index))
      problems.push(`${node.label} input ${index} is missing from the uses of ${value.name}`);
    if (graph.values.get(value.name) !== value) problems.push(`${value.name} is not a value of the graph`);
  }
  for (const value of node.captures) {
    if (!isComputedBefore(node, value, placeOf))
      problems.push(`a subgraph of ${node.label} reads ${value.name} before it is computed`);
    if (!value.capturedBy.includes(node))
      problems.push(`${value.name} does not know that a subgraph of ${node.label} reads it`);
  }
  for (const [index, value] of node.outputs.entries()) {
    if (value === undefined) continue;
    if (value.producer !== node) problems.push(`${value.name} does not know its producer ${node.label}`);
    const isElsewhere = value.producer !== node && value.producer?.outputs.includes(value) === true;
    if (isGiven(value) || isElsewhere || node.outputs.indexOf(value) !== index)
      problems.push(`${value.name} is defined twice`);
  }
  return problems;
}

function valueProblems(value: Value, placeOf: PlaceOf): string[] {
  const problems: string[] = [];
  for (const { node, index } of value.uses) {
    if (node.inputs[index] !== value || placeOf(node) === undefined)
      problems.push(`${value.name} lists a use by ${node.label} that does not exist`);
    else if (!isComputedBefore(node, value, placeOf))
      problems.push(`${node.label} reads ${value.name} before it is computed`);
  }
  for (const node of value.capturedBy) {
    if (placeOf(node) === undefined || !isAvailable(value, placeOf))
      problems.push(`${value.name}, read inside a subgraph of ${node.label}, is gone`);
  }
  return problems;
}

function outputProblems(output: Value, graph: Graph, placeOf: PlaceOf): string[] {
  const isThere = isAvailable(output, placeOf) && graph.values.get(output.name) === output;
  return isThere ? [] : [`graph output ${output.name} is not computed`];
}

/** Not computed by any node: there from the start. */
function isGiven({ isGraphInput, isOpaqueConstant, initializer }: Value): boolean {
  return isGraphInput || isOpaqueConstant || initializer !== undefined;
}

function isAvailable(value: Value, placeOf: PlaceOf): boolean {
  return isGiven(value) || (value.producer !== undefined && placeOf(value.producer) !== undefined);
}

function isComputedBefore(reader: Node, value: Value, placeOf: PlaceOf): boolean {
  if (isGiven(value)) return true;
  const made = value.producer === undefined ? undefined : placeOf(value.producer);
  return made !== undefined && made < (placeOf(reader) ?? -Infinity);
}
