/**
 * bfloat16 in small models of our own: ONNX Runtime stores and casts it, and onnxruntime-node has no
 * tensors of it. A session whose inputs or outputs have this type cannot be created.
 */
import { COMPILER_PREFIX, type Graph, type Value } from '../ir/graph.js';
import { BFLOAT16, FLOAT, type Tensor } from '../ir/tensor.js';
import { AttributeType, type NodeProto, type ValueInfoProto } from '../onnx/proto.js';
import { typeOf } from '../onnx/write.js';
import { aliasedBy } from '../ops/aliases.js';

export function isOddType(dataType: number): boolean {
  return dataType === BFLOAT16;
}

/** Stored tensors of such a type, and what holds them in another layout. */
export function oddValues(graph: Graph): Set<Value> {
  const odd = new Set<Value>();
  for (const value of graph.initializers()) if (isOddType(value.initializer.dataType)) odd.add(value);
  for (const node of graph.nodes) {
    const source = aliasedBy(node);
    const [output] = node.outputs;
    const converts = node.attributes.has('to');
    if (source !== undefined && odd.has(source) && output !== undefined && !converts) odd.add(output);
  }
  return odd;
}

/** A graph input in the place of a stored tensor of such a type: float32, cast to it at once. */
export function oddInput(name: string, tensor: Tensor): { readonly input: ValueInfoProto; readonly node: NodeProto } {
  const given = `${COMPILER_PREFIX}${name}_float`;
  return {
    input: typeOf(given, FLOAT, tensor.dims),
    node: {
      opType: 'Cast',
      input: [given],
      output: [name],
      attribute: [{ name: 'to', type: AttributeType.INT, i: tensor.dataType }],
    },
  };
}
