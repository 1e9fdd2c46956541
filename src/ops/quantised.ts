/** Operators that are known to hold weights though no row describes them: where these are, and what stands for 0 in them. */
import type { Node } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';

export interface StoredWeights {
  readonly index: number;
  /** Input with the zero point; absent where the operator has none. */
  readonly zeroPoint?: number;
  /** Which axis a list of zero points is for. */
  readonly axis: number;
  /** Where the elements are not one number each. */
  readonly count?: (tensor: Tensor, points: Tensor | undefined) => number | undefined;
}

const RECURRENT: readonly StoredWeights[] = [
  { index: 1, axis: 0 },
  { index: 2, axis: 0 },
];

const OPERATORS: ReadonlyMap<string, (node: Node) => readonly StoredWeights[]> = new Map<
  string,
  (node: Node) => readonly StoredWeights[]
>([
  ['LSTM', () => RECURRENT],
  ['GRU', () => RECURRENT],
  ['RNN', () => RECURRENT],
  ['QuantizeLinear', () => [{ index: 0, axis: 0 }]],
  ['DequantizeLinear', (node: Node) => [{ index: 0, zeroPoint: 2, axis: node.int('axis', 1) }]],
  ['ConvInteger', () => [{ index: 1, zeroPoint: 3, axis: 0 }]],
  ['QLinearConv', () => [{ index: 3, zeroPoint: 5, axis: 0 }]],
  [
    'MatMulInteger',
    () => [
      { index: 0, zeroPoint: 2, axis: -2 },
      { index: 1, zeroPoint: 3, axis: -1 },
    ],
  ],
  [
    'QLinearMatMul',
    () => [
      { index: 0, zeroPoint: 2, axis: -2 },
      { index: 3, zeroPoint: 5, axis: -1 },
    ],
  ],
  ['com.microsoft::MatMulIntegerToFloat', () => [{ index: 1, zeroPoint: 5, axis: -1 }]],
  ['com.microsoft::DynamicQuantizeMatMul', () => [{ index: 1, zeroPoint: 3, axis: -1 }]],
  ['com.microsoft::QGemm', (node: Node) => [{ index: 3, zeroPoint: 5, axis: node.int('transB', 0) === 0 ? 1 : 0 }]],
  ['com.microsoft::QAttention', () => [{ index: 1, zeroPoint: 7, axis: -1 }]],
  ['com.microsoft::MatMulNBits', (node: Node) => [{ index: 1, zeroPoint: 3, axis: 0, count: packedCount(node) }]],
]);

/** Undefined for all other operators. */
export function storedWeightsOf(node: Node): readonly StoredWeights[] | undefined {
  return OPERATORS.get(node.qualifiedOp)?.(node);
}

/** Of MatMulNBits without zero points: half of the range stands for 0. */
function packedCount(node: Node): (tensor: Tensor, points: Tensor | undefined) => number | undefined {
  const bits = node.int('bits', 4);
  const middle = 2 ** (bits - 1);
  return (tensor, points) => {
    if (points !== undefined || (bits !== 4 && bits !== 8)) return undefined;
    let count = 0;
    for (const byte of tensor.bytes()) {
      if (bits === 8) count += Number(byte === middle);
      else count += Number((byte & 15) === middle) + Number(byte >> 4 === middle);
    }
    return count;
  };
}
