/**
 * LSTM-7, GRU-7, RNN-7 and later: where the parameters of a framework's module are in the operands
 * of the node.
 *
 *   W [directions, gates * hidden, input]   R [directions, gates * hidden, hidden]   B [directions, 2 * gates * hidden]
 *
 * PyTorch has a tensor per direction, and B in two halves. The gates are in another order:
 * torch.nn.LSTM i f g o, ONNX i o f c (g is c); torch.nn.GRU r z n, ONNX z r h (n is h).
 */
import type { Node } from '../ir/graph.js';
import type { Operator } from './operator.js';
import { adjustHidden, recurrentAxes, zeroUnitsByDirection } from './recurrent-axes.js';
import type { Site } from './site.js';
import type { StoredWeights } from './stored-weights.js';

const PARAMETERS = [
  { index: 1, parameter: 'weight_ih', half: undefined },
  { index: 2, parameter: 'weight_hh', half: undefined },
  { index: 3, parameter: 'bias_ih', half: 0 },
  { index: 3, parameter: 'bias_hh', half: 1 },
] as const;

export interface RecurrentPart {
  /** Which input of the node. */
  readonly index: number;
  readonly parameter: (typeof PARAMETERS)[number]['parameter'];
  readonly isReverse: boolean;
  /** In PyTorch's layout: [gates * hidden, columns] or [gates * hidden]. */
  readonly dims: readonly number[];
  /** Row-major over `dims`: the element of the operand. */
  readonly places: Int32Array;
}

/**
 * `dimsOf` are the extents of constant operands; parts of others are left out. `gates`: per gate of
 * the operator's order its place in PyTorch's.
 */
export function recurrentParts(
  node: Node,
  gates: readonly number[],
  dimsOf: (index: number) => readonly number[] | undefined,
): readonly RecurrentPart[] {
  return PARAMETERS.flatMap(({ index, parameter, half }) => {
    const dims = dimsOf(index);
    const rank = half === undefined ? 3 : 2;
    if (dims?.length !== rank) return [];
    const [directions = 0, stored = 0, columns = 1] = dims;
    const rows = half === undefined ? stored : stored / 2;
    const hidden = rows / gates.length;
    if (!Number.isInteger(hidden)) return [];
    return Array.from({ length: directions }, (_, direction): RecurrentPart => {
      const places = new Int32Array(rows * columns);
      for (let row = 0; row < rows; row++) {
        const gate = Math.floor(row / hidden);
        const storedRow = (half ?? 0) * rows + gates.indexOf(gate) * hidden + (row % hidden);
        for (let column = 0; column < columns; column++)
          places[row * columns + column] = (direction * stored + storedRow) * columns + column;
      }
      // A node that runs backwards alone is a layer's second direction.
      const isReverse = direction === 1 || node.string('direction', 'forward') === 'reverse';
      return { index, parameter, isReverse, dims: half === undefined ? [rows, columns] : [rows], places };
    });
  });
}

const WEIGHTS: readonly StoredWeights[] = [
  { index: 1, axis: 0 },
  { index: 2, axis: 0 },
];

/** `taken`: the gate that takes in what is new, in the operator's order. */
function recurrent(type: string, gates: readonly number[], taken: number): Operator {
  const axes = (site: Site) => recurrentAxes(site, gates.length, taken);
  return { type, gates, axes, adjust: adjustHidden, storedWeights: () => WEIGHTS };
}

/** Per operator its gates, and which of them takes in. */
const GATES = new Map<string, readonly [gates: readonly number[], taken: number]>([
  ['LSTM', [[0, 3, 1, 2], 3]],
  ['GRU', [[1, 0, 2], 2]],
  ['RNN', [[0], 0]],
]);

/** Of a recurrent layer: units that take in nothing but 0, per direction. */
export function unitsWithoutInput(site: Site): number[][] {
  const [gates = [], taken = 0] = GATES.get(site.node.opType) ?? [];
  const hidden = site.constant(2)?.dims[2] ?? 0;
  return zeroUnitsByDirection(site, hidden, gates.length, taken);
}

export const recurrents: readonly Operator[] = [...GATES].map(([type, [gates, taken]]) =>
  recurrent(type, gates, taken),
);
