/**
 * What a node makes of tensors that are given to it: ONNX Runtime runs it alone, as a small model.
 * The scalar function of an operator is then the runtime's own, in every dtype.
 */
import { BOOL, DOUBLE, isFloating, type Tensor } from '../ir/tensor.js';
import type { Node } from '../ir/graph.js';
import { encodeProto } from '../onnx/encode.js';
import { AttributeType, type ModelProto } from '../onnx/proto.js';
import { writeTensor } from '../onnx/tensors.js';
import { nodeProto } from '../onnx/write.js';
import { createSession } from '../runtime/session.js';

/** Oldest version of the format that has every dtype; ONNX Runtime reads all opsets in it. */
const IR_VERSION = 8;

export interface NodeResult {
  readonly dims: readonly number[];
  readonly values: ArrayLike<number>;
}

/**
 * Output `output` of `node` for these inputs (undefined where one is left out), as doubles.
 * Undefined where ONNX Runtime has no kernel for it, or refuses the tensors.
 */
export async function runNode(
  node: Node,
  opset: number,
  inputs: readonly (Tensor | undefined)[],
  output: number,
): Promise<NodeResult | undefined> {
  const { name, input = [], output: outputs = [], ...proto } = nodeProto(node);
  const initializer = inputs.flatMap((tensor, index) =>
    tensor === undefined ? [] : [writeTensor(`x${index}`, tensor)],
  );
  const asked = {
    ...proto,
    name: name ?? '',
    input: input.map((_, index) => (inputs[index] === undefined ? '' : `x${index}`)),
    output: outputs.map((given, index) => (given === '' ? '' : `y${index}`)),
  };
  // Every number that ONNX Runtime hands out as a double is one that JavaScript can read.
  const toDouble = {
    opType: 'Cast',
    input: [`y${output}`],
    output: ['doubles'],
    attribute: [{ name: 'to', type: AttributeType.INT, i: DOUBLE }],
  };
  const model: ModelProto = {
    irVersion: IR_VERSION,
    opsetImport: [{ domain: '', version: opset }, ...(node.domain === '' ? [] : [{ domain: node.domain, version: 1 }])],
    graph: { name: 'scalars', node: [asked, toDouble], initializer, input: [], output: [{ name: 'doubles' }] },
  };
  try {
    const session = await createSession(encodeProto(model), { optimize: false });
    try {
      const { doubles } = await session.run({});
      return doubles === undefined ? undefined : { dims: doubles.dims, values: doubles.data as Float64Array };
    } finally {
      await session.release();
    }
  } catch {
    return undefined;
  }
}

/** Whether a double holds every value of the dtype that is `value` here, and no other. */
export function isSureAs(dataType: number | undefined, value: number): boolean {
  if (!Number.isFinite(value)) return false;
  return dataType === undefined || dataType === BOOL || isFloating(dataType) || Number.isSafeInteger(value);
}
