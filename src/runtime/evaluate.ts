/**
 * Constant arithmetic done by ONNX Runtime itself: a constant subgraph runs as a small model, so
 * that a folded weight has exactly the bits that the runtime would have computed. Large constants
 * are fed, not copied into the model.
 */
import type * as ort from 'onnxruntime-node';
import type { Node, Value } from '../ir/graph.js';
import { BOOL, DOUBLE, FLOAT, FLOAT16, INT32, INT64, INT8, Tensor, UINT8 } from '../ir/tensor.js';
import { type ModelProto, type NodeProto, SMALL_MODEL_IR } from '../onnx/proto.js';
import { encodeProto } from '../onnx/encode.js';
import { nodeProto } from '../onnx/write.js';
import { writeTensor } from '../onnx/tensors.js';
import { byName } from '../names.js';
import { feedOf } from './feeds.js';
import { createSession } from './session.js';

/**
 * Constants above this many bytes are fed as inputs instead of being copied into the small model.
 */
const LARGEST_INLINE_BYTES = 4096;

const FEED_TYPES: ReadonlyMap<number, ort.Tensor.Type> = new Map([
  [FLOAT, 'float32'],
  [UINT8, 'uint8'],
  [INT8, 'int8'],
  [INT32, 'int32'],
  [INT64, 'int64'],
  [BOOL, 'bool'],
  [FLOAT16, 'float16'],
  [DOUBLE, 'float64'],
]);

const DATA_TYPES: ReadonlyMap<string, number> = new Map([...FEED_TYPES].map(([dataType, name]) => [name, dataType]));

/** The ONNX data type of ONNX Runtime's name for it, such as 'float32'. */
export function dataTypeNamed(name: string): number | undefined {
  return DATA_TYPES.get(name);
}

/** Whether ONNX Runtime's results of the type can be read here. */
export function isHandedOut(dataType: number | undefined): boolean {
  return dataType !== undefined && FEED_TYPES.has(dataType);
}

/**
 * Runs `nodes` (topologically ordered, all inputs constant) and returns the tensors of `wanted`.
 */
export async function evaluateNodes(
  proto: ModelProto,
  nodes: readonly Node[],
  wanted: readonly Value[],
  protoOf: (node: Node) => NodeProto = nodeProto,
): Promise<Map<Value, Tensor>> {
  const leaves = new Map<Value, Tensor>();
  for (const node of nodes) {
    for (const value of node.inputs) {
      if (value?.initializer !== undefined) leaves.set(value, value.initializer);
    }
  }
  const fed = [...leaves].filter(([, tensor]) => tensor.sizeBytes > LARGEST_INLINE_BYTES && feedable(tensor));
  const inline = [...leaves].filter((entry) => !fed.includes(entry));
  const model: ModelProto = {
    irVersion: SMALL_MODEL_IR,
    opsetImport: proto.opsetImport ?? [],
    graph: {
      name: 'constants',
      node: nodes.map(protoOf),
      initializer: inline.map(([{ name }, tensor]) => writeTensor(name, tensor)),
      input: fed.map(([value, tensor]) => typed(value, tensor)),
      output: wanted.map(({ name }) => ({ name })),
    },
  };
  const session = await createSession(encodeProto(model), { optimize: false });
  try {
    const feeds = byName(fed.map(([{ name }, tensor]) => [name, feedOf(tensor)]));
    const results = await session.run(feeds);
    return new Map(wanted.map((value) => [value, toTensor(results[value.name])]));
  } finally {
    await session.release();
  }
}

function feedable(tensor: Tensor): boolean {
  return FEED_TYPES.has(tensor.dataType);
}

function typed({ name }: Value, tensor: Tensor) {
  const shape = { dim: tensor.dims.map((dimValue) => ({ dimValue })) };
  return { name, type: { tensorType: { elemType: tensor.dataType, shape } } };
}

function toTensor(result: ort.Tensor | undefined): Tensor {
  const dataType = dataTypeNamed(result?.type ?? '');
  if (result === undefined || dataType === undefined || !('buffer' in result.data))
    throw new TypeError(`a constant of type ${result?.type ?? 'unknown'} cannot be folded`);
  const { buffer, byteOffset, byteLength } = result.data;
  return Tensor.of(dataType, result.dims, new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength));
}
