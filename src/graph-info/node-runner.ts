/**
 * What a node makes of numbers that are given to it: ONNX Runtime runs it alone, as a small model.
 * The scalar function of an operator is then the runtime's own, in every dtype.
 */
import type { InferenceSession } from 'onnxruntime-node';
import { DOUBLE, type Tensor } from '../ir/tensor.js';
import type { Node } from '../ir/graph.js';
import { encodeProto } from '../onnx/encode.js';
import { AttributeType, type ModelProto, type NodeProto, SMALL_MODEL_IR, type TypeProto } from '../onnx/proto.js';
import { writeTensor } from '../onnx/tensors.js';
import { nodeProto } from '../onnx/write.js';
import { byName } from '../names.js';
import { doubles } from '../runtime/feeds.js';
import { createSession } from '../runtime/session.js';

/** Numbers for an input; ONNX Runtime casts them to the dtype. */
export interface Numbers {
  readonly dataType: number;
  readonly dims: readonly number[];
  readonly values: Float64Array;
}

/** An input: a tensor of the model, numbers, or nothing where it is left out. */
export type NodeInput = { readonly tensor: Tensor | undefined } | Numbers;

export interface NodeResult {
  readonly dims: readonly number[];
  readonly values: Float64Array;
}

/**
 * Runs single nodes of one opset. A session takes a millisecond or two, and most nodes of a network
 * differ from one another in nothing but their numbers: those share one.
 */
export class NodeRunner {
  readonly #opset: number;
  /** By the small model, encoded; undefined where ONNX Runtime refuses it. */
  readonly #sessions = new Map<string, InferenceSession | undefined>();

  constructor(opset: number) {
    this.#opset = opset;
  }

  /**
   * Output `output` of `node` for these inputs, as doubles. Undefined where ONNX Runtime has no
   * kernel for it, or refuses the inputs.
   */
  async run(node: Node, inputs: readonly NodeInput[], output: number): Promise<NodeResult | undefined> {
    const session = await this.#sessionOf(encodeProto(smallModel(node, this.#opset, inputs, output)));
    if (session === undefined) return undefined;
    const numbers = inputs.flatMap((each, index) => ('tensor' in each ? [] : [[index, each] as const]));
    const feeds = byName(numbers.map(([index, { values, dims }]) => [nameOf(index), doubles(values, dims)] as const));
    try {
      const { result } = await session.run(feeds);
      return result === undefined ? undefined : { dims: result.dims, values: result.data as Float64Array };
    } catch {
      return undefined;
    }
  }

  async #sessionOf(model: Uint8Array): Promise<InferenceSession | undefined> {
    const key = Buffer.from(model).toString('latin1');
    if (!this.#sessions.has(key)) {
      const session = await createSession(model, { optimize: false }).catch(() => undefined);
      this.#sessions.set(key, session);
    }
    return this.#sessions.get(key);
  }

  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await session?.release();
    this.#sessions.clear();
  }
}

function nameOf(input: number): string {
  return `x${input}`;
}

/** What the node reads. */
function nameOfInput(given: NodeInput | undefined, index: number): string {
  if (given === undefined || ('tensor' in given && given.tensor === undefined)) return '';
  return 'tensor' in given ? nameOf(index) : `${nameOf(index)}_cast`;
}

/** Every number that ONNX Runtime takes or hands out is a double. */
function smallModel(node: Node, opset: number, inputs: readonly NodeInput[], output: number): ModelProto {
  const { input = [], output: outputs = [], opType = '', attribute = [] } = nodeProto(node);
  const asked: NodeProto = {
    opType,
    domain: node.domain,
    attribute,
    input: input.map((_, index) => nameOfInput(inputs[index], index)),
    output: outputs.map((given, index) => (given === '' ? '' : `y${index}`)),
  };
  const casts = inputs.flatMap((each, index) =>
    'tensor' in each ? [] : [castTo(each.dataType, nameOf(index), nameOfInput(each, index))],
  );
  return {
    irVersion: SMALL_MODEL_IR,
    opsetImport: [{ domain: '', version: opset }, ...(node.domain === '' ? [] : [{ domain: node.domain, version: 1 }])],
    graph: {
      name: 'scalars',
      node: [...casts, asked, castTo(DOUBLE, `y${output}`, 'result')],
      initializer: inputs.flatMap((each, index) =>
        'tensor' in each && each.tensor !== undefined ? [writeTensor(nameOf(index), each.tensor)] : [],
      ),
      input: inputs.flatMap((each, index) =>
        'tensor' in each ? [] : [{ name: nameOf(index), type: doublesOfRank(each.dims.length) }],
      ),
      output: [{ name: 'result' }],
    },
  };
}

function castTo(dataType: number, from: string, to: string): NodeProto {
  return {
    opType: 'Cast',
    input: [from],
    output: [to],
    attribute: [{ name: 'to', type: AttributeType.INT, i: dataType }],
  };
}

function doublesOfRank(rank: number): TypeProto {
  return { tensorType: { elemType: DOUBLE, shape: { dim: Array.from({ length: rank }, () => ({})) } } };
}
