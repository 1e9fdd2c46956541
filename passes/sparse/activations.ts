/** Activations after a layer: one node, or the few nodes that an exporter writes for one. */
import { type GraphInfo, siteOf } from '../../src/graph-info/graph-info.js';
import type { Node, Value } from '../../src/ir/graph.js';
import { clipBounds } from '../../src/ops/attributes.js';

export interface Activation {
  readonly name: string;
  readonly alpha?: number;
  readonly beta?: number;
}

export interface Activated {
  readonly activation: Activation;
  /** In the order of the graph; the last one computes the result. */
  readonly nodes: readonly [Node, ...Node[]];
}

/** The activation that is the only reader of a value. */
export function activationAfter(value: Value, graphInfo: GraphInfo): Activated | undefined {
  if (value.isSeenOutside) return undefined;
  const [use] = value.uses;
  if (value.hasSingleUse && use?.index === 0) {
    const activation = activationOf(use.node, graphInfo);
    if (activation !== undefined) return { activation, nodes: [use.node] };
  }
  return composed(value, graphInfo);
}

/** One node that is an activation of its first input. */
export function activationOf(node: Node, graphInfo: GraphInfo): Activation | undefined {
  if (node.domain !== '') return undefined;
  switch (node.opType) {
    case 'Relu':
    case 'Sigmoid':
    case 'Tanh':
    case 'HardSwish':
      return { name: node.opType };
    case 'LeakyRelu':
      return { name: 'LeakyRelu', alpha: node.float('alpha', 0.01) };
    case 'HardSigmoid':
      return { name: 'HardSigmoid', alpha: node.float('alpha', 0.2), beta: node.float('beta', 0.5) };
    case 'Gelu':
      return node.string('approximate', 'none') === 'none' ? { name: 'Gelu' } : undefined;
    case 'Clip': {
      const bounds = clipBounds(siteOf(node, graphInfo));
      if (bounds === undefined || !(bounds.low <= bounds.high)) return undefined;
      return { name: 'Clip', alpha: bounds.low, beta: bounds.high };
    }
    default:
      return undefined;
  }
}

/** An expression of one value X, scalar constants and operators. */
type Expression = 'X' | number | { readonly op: string; readonly of: readonly Expression[]; readonly as?: Activation };

const node = (op: string, ...of: readonly Expression[]): Expression => ({ op, of });
const activated = (name: string, as: Activation, of: Expression): Expression => ({ op: name, of: [of], as });

const hardSigmoid = activated('HardSigmoid', { name: 'HardSigmoid', alpha: 1 / 6, beta: 0.5 }, 'X');
const clipped = activated('Clip', { name: 'Clip', alpha: 0, beta: 6 }, node('Add', 'X', 3));
const erf = (of: Expression): Expression => node('Add', node('Erf', of), 1);

/** As PyTorch, TensorFlow and their exporters write them. */
const COMPOSED: readonly (readonly [name: string, Expression])[] = [
  ['Silu', node('Mul', 'X', node('Sigmoid', 'X'))],
  ['HardSwish', node('Mul', 'X', hardSigmoid)],
  ['HardSwish', node('Div', node('Mul', 'X', clipped), 6)],
  ['HardSwish', node('Mul', 'X', node('Div', clipped, 6))],
  ['HardSwish', node('Mul', node('Mul', 'X', clipped), 1 / 6)],
  ['HardSwish', node('Mul', 'X', node('Mul', clipped, 1 / 6))],
  ...[node('Div', 'X', Math.SQRT2), node('Mul', 'X', Math.SQRT1_2)].flatMap((scaled) =>
    [
      node('Mul', node('Mul', 'X', erf(scaled)), 0.5),
      node('Mul', node('Mul', 'X', 0.5), erf(scaled)),
      node('Mul', 'X', node('Mul', erf(scaled), 0.5)),
    ].map((expression) => ['Gelu', expression] as const),
  ),
];

/** Nodes on the longest path through any of the expressions, and a few more. */
const MOST_STEPS = 6;

function composed(value: Value, graphInfo: GraphInfo): Activated | undefined {
  for (const end of lastNodesAfter(value)) {
    for (const [name, expression] of COMPOSED) {
      const [result] = end.outputs;
      const nodes = result && new ExpressionMatcher(value, graphInfo).match(expression, result);
      if (nodes === undefined) continue;
      // No other node may read an intermediate value.
      const isClosed = [value, ...[...nodes].filter((inner) => inner !== end).flatMap(({ outputs }) => outputs)].every(
        (inner) => inner === undefined || (!inner.isSeenOutside && inner.uses.every((use) => nodes.has(use.node))),
      );
      if (!isClosed) continue;
      const [first, ...rest] = graphInfo.graph.nodes.filter((inner) => nodes.has(inner));
      if (first !== undefined) return { activation: { name }, nodes: [first, ...rest] };
    }
  }
  return undefined;
}

/** Products and quotients a few nodes after a value: the last nodes of expressions. */
function lastNodesAfter(value: Value): Node[] {
  const found = new Set<Node>();
  let layer = [value];
  // A value with many readers is not inside an activation.
  for (let step = 0; step < MOST_STEPS && layer.length > 0 && layer.length < MOST_STEPS; step++) {
    const nodes = layer.flatMap(({ uses }) => (uses.length <= 2 ? uses.map((use) => use.node) : []));
    const fresh = nodes.filter((reader) => reader.domain === '' && !found.has(reader));
    for (const reader of fresh) found.add(reader);
    layer = fresh.flatMap(({ outputs }) => (outputs[0] === undefined ? [] : [outputs[0]]));
  }
  return [...found].filter(({ opType }) => opType === 'Mul' || opType === 'Div');
}

/** Matches expressions of the value `x` against the nodes that compute another value. */
class ExpressionMatcher {
  readonly #x: Value;
  readonly #graphInfo: GraphInfo;

  constructor(x: Value, graphInfo: GraphInfo) {
    this.#x = x;
    this.#graphInfo = graphInfo;
  }

  /** The nodes of the expression; none for X itself or a number. Undefined where they differ. */
  match(expression: Expression, value: Value): ReadonlySet<Node> | undefined {
    if (expression === 'X') return value === this.#x ? new Set() : undefined;
    if (typeof expression === 'number') return isScalar(value, expression, this.#graphInfo) ? new Set() : undefined;
    const { producer } = value;
    if (value === this.#x || producer?.opType !== expression.op || producer.domain !== '') return undefined;
    if (expression.as !== undefined && !isSame(activationOf(producer, this.#graphInfo), expression.as))
      return undefined;
    const inputs = producer.inputs.slice(0, expression.of.length);
    const isCommutative = producer.opType === 'Mul' || producer.opType === 'Add';
    for (const order of isCommutative ? [inputs, inputs.toReversed()] : [inputs]) {
      const operands = this.#matchAll(expression.of, order);
      if (operands !== undefined) return new Set([producer, ...operands]);
    }
    return undefined;
  }

  #matchAll(expressions: readonly Expression[], values: readonly (Value | undefined)[]): Node[] | undefined {
    const nodes: Node[] = [];
    for (const [index, expression] of expressions.entries()) {
      const value = values[index];
      const matched = value && this.match(expression, value);
      if (matched === undefined) return undefined;
      nodes.push(...matched);
    }
    return nodes;
  }
}

/** Equal up to the rounding of the float that the exporter wrote. */
const isClose = (a: number, b: number) => Math.abs(a - b) <= 1e-6 * Math.abs(b);

function isScalar(value: Value, wanted: number, { constants }: GraphInfo): boolean {
  const tensor = constants.tensor(value);
  // A tensor of more axes could broadcast the result to more axes than X has.
  return tensor?.size === 1 && tensor.dims.length <= 1 && isClose(tensor.numbers()[0] ?? Number.NaN, wanted);
}

function isSame(found: Activation | undefined, wanted: Activation): boolean {
  const [alpha = 0, beta = 0] = [found?.alpha, found?.beta];
  return isClose(alpha, wanted.alpha ?? 0) && isClose(beta, wanted.beta ?? 0);
}
