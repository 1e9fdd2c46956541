/** What operators do with their sums before they store them: one node behind a layer, or the few that an exporter makes of it. */
import type { GraphInfo } from '../../src/graph-info/graph-info.js';
import type { Node, Value } from '../../src/ir/graph.js';

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

/** The activation that is all that becomes of a value. */
export function activationBehind(value: Value, graphInfo: GraphInfo): Activated | undefined {
  if (value.isSeenOutside) return undefined;
  const [use] = value.uses;
  if (value.hasSingleUse && use?.index === 0) {
    const activation = activationOf(use.node, graphInfo);
    if (activation !== undefined) return { activation, nodes: [use.node] };
  }
  return composed(value, graphInfo);
}

/** One node that is an activation of its first input. */
export function activationOf(node: Node, { constants, graph }: GraphInfo): Activation | undefined {
  if (node.domain !== '') return undefined;
  const bound = (index: number, otherwise: number) =>
    node.inputs[index] === undefined ? otherwise : constants.tensor(node.inputs[index])?.numbers()[0];
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
      const isAttributes = graph.opset < 11;
      const low = isAttributes ? node.float('min', Number.NEGATIVE_INFINITY) : bound(1, Number.NEGATIVE_INFINITY);
      const high = isAttributes ? node.float('max', Number.POSITIVE_INFINITY) : bound(2, Number.POSITIVE_INFINITY);
      if (low === undefined || high === undefined || !(low <= high)) return undefined;
      return { name: 'Clip', alpha: low, beta: high };
    }
    default:
      return undefined;
  }
}

/** An expression of one value X, scalar constants and nodes of these operators. */
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

/** Nodes on the longest way through any of the expressions, and a little more. */
const FURTHEST = 6;

function composed(value: Value, graphInfo: GraphInfo): Activated | undefined {
  for (const end of endsBehind(value)) {
    for (const [name, expression] of COMPOSED) {
      const nodes = new Set<Node>();
      const result = end.outputs[0];
      if (result === undefined || !matches(expression, result, value, graphInfo, nodes)) continue;
      // Nobody else may see what is inside.
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

/** Products and quotients a few nodes behind a value that two or more nodes or inputs read. */
function endsBehind(value: Value): Node[] {
  const found = new Set<Node>();
  let layer = [value];
  // Wide fans of readers are no activation.
  for (let step = 0; step < FURTHEST && layer.length > 0 && layer.length < FURTHEST; step++) {
    const nodes = layer.flatMap(({ uses }) => (uses.length <= 2 ? uses.map((use) => use.node) : []));
    const fresh = nodes.filter((reader) => reader.domain === '' && !found.has(reader));
    for (const reader of fresh) found.add(reader);
    layer = fresh.flatMap(({ outputs }) => (outputs[0] === undefined ? [] : [outputs[0]]));
  }
  return [...found].filter(({ opType }) => opType === 'Mul' || opType === 'Div');
}

function matches(expression: Expression, value: Value, x: Value, graphInfo: GraphInfo, nodes: Set<Node>): boolean {
  if (expression === 'X') return value === x;
  if (typeof expression === 'number') return isScalar(value, expression, graphInfo);
  const { producer } = value;
  if (value === x || producer?.opType !== expression.op || producer.domain !== '') return false;
  if (expression.as !== undefined && !isSame(activationOf(producer, graphInfo), expression.as)) return false;
  const inputs = producer.inputs.slice(0, expression.of.length);
  const orders = producer.opType === 'Mul' || producer.opType === 'Add' ? [inputs, inputs.toReversed()] : [inputs];
  for (const order of orders) {
    const inner = new Set<Node>([producer]);
    const isMatch = expression.of.every((part, index) => {
      const input = order[index];
      return input !== undefined && matches(part, input, x, graphInfo, inner);
    });
    if (!isMatch) continue;
    for (const matched of inner) nodes.add(matched);
    return true;
  }
  return false;
}

/** To the rounding of the float that the exporter wrote. */
const isClose = (a: number, b: number) => Math.abs(a - b) <= 1e-6 * Math.abs(b);

function isScalar(value: Value, wanted: number, { constants }: GraphInfo): boolean {
  const tensor = constants.tensor(value);
  // More axes could make the result one of more axes than X has.
  return tensor?.size === 1 && tensor.dims.length <= 1 && isClose(tensor.numbers()[0] ?? Number.NaN, wanted);
}

function isSame(found: Activation | undefined, wanted: Activation): boolean {
  const [alpha = 0, beta = 0] = [found?.alpha, found?.beta];
  return isClose(alpha, wanted.alpha ?? 0) && isClose(beta, wanted.beta ?? 0);
}
