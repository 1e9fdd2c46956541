/**
 * Whether any value of a model is empty at given sizes of its inputs: ONNX Runtime infers the
 * shapes, and nothing is run.
 */
import { SPARSE_DOMAIN } from '../ir/graph.js';
import { encodeProto } from '../onnx/encode.js';
import type { ModelProto, NodeProto, TensorProto, ValueInfoProto } from '../onnx/proto.js';
import { subgraphsOf } from '../onnx/subgraphs.js';
import { type Model, readModel } from '../onnx/read.js';
import { writeTensor } from '../onnx/tensors.js';
import { typeOf } from '../onnx/write.js';
import type { Shapes } from './input-shapes.js';
import { hasOpenLoop } from './run-limit.js';
import { createSession } from './session.js';

/**
 * Whose kernel crashes on an empty image: of the operators of ai.onnx that read images, lists or
 * matrices all were tried (ONNX Runtime 1.30), and the others give something empty, or an error.
 * Operators of other domains nobody tried.
 */
const CRASHING: ReadonlySet<string> = new Set(['InstanceNormalization']);
const TRIED_DOMAINS: ReadonlySet<string> = new Set(['', 'ai.onnx', SPARSE_DOMAIN]);

/**
 * Constants up to this size may carry shapes and stay in the model; of larger ones the shape is
 * enough.
 */
const LARGEST_SHAPE_CONSTANT = 256;

export interface Emptiness {
  /** A value with an extent of 0; undefined where none is known. */
  readonly empty: string | undefined;
  /**
   * Whether it may be run in this process: nothing can crash for what is not known (all extents
   * are, or no operator would), and it ends.
   */
  readonly isSafe: boolean;
}

export class Extents {
  /** Undefined where it cannot be read. */
  readonly model: Model | undefined;
  readonly #values: ReadonlySet<string>;
  readonly #mayCrash: boolean;
  readonly #mayNotEnd: boolean;

  /** Of what cannot be read nothing is known. */
  constructor(source: string | Uint8Array) {
    this.model = attempt(() => readModel(source));
    this.#values = dataValues(this.model?.proto);
    this.#mayCrash = this.model?.proto.graph?.node?.some(mayCrash) !== false;
    this.#mayNotEnd = this.model !== undefined && hasOpenLoop(this.model.proto);
  }

  async at(shapes: Shapes): Promise<Emptiness> {
    const { empty, isSafe } = await this.#emptinessAt(shapes);
    return { empty, isSafe: isSafe && !this.#mayNotEnd };
  }

  async #emptinessAt(shapes: Shapes): Promise<Emptiness> {
    const inputs = Object.entries(shapes).find(([, dims]) => dims.includes(0));
    if (inputs !== undefined) return { empty: inputs[0], isSafe: false };
    const unknown = { empty: undefined, isSafe: !this.#mayCrash };
    if (this.model === undefined) return unknown;
    try {
      const session = await createSession(encodeProto(this.#probe(this.model, shapes)), { optimize: false });
      const found = session.outputMetadata.flatMap((value) => (value.isTensor ? [value] : []));
      await session.release();
      const empty = found.find(({ shape }) => shape.includes(0));
      if (empty !== undefined) return { empty: empty.name, isSafe: false };
      // No extents at all: a scalar, or of unknown rank.
      const isKnown = found.every(
        ({ shape }) => shape.length > 0 && shape.every((dim) => typeof dim === 'number' && dim >= 0),
      );
      return { empty: undefined, isSafe: isKnown || !this.#mayCrash };
    } catch {
      return unknown;
    }
  }

  #probe({ graph, proto }: Model, shapes: Shapes): ModelProto {
    const initializer: TensorProto[] = [];
    const inputs = new Map<string, ValueInfoProto>();
    const declared = new Map((proto.graph?.input ?? []).map((entry) => [entry.name ?? '', entry]));
    for (const { name } of graph.inputs) {
      const entry = declared.get(name) ?? { name };
      const dims = Object.hasOwn(shapes, name) ? shapes[name] : undefined;
      inputs.set(name, dims === undefined ? entry : typeOf(name, entry.type?.tensorType?.elemType, dims));
    }
    for (const { initializer: tensor, name } of graph.initializers()) {
      const isSmall = tensor.size <= LARGEST_SHAPE_CONSTANT;
      if (isSmall) initializer.push(writeTensor(name, tensor));
      if (!isSmall || inputs.has(name)) inputs.set(name, typeOf(name, tensor.dataType, tensor.dims));
    }
    for (const tensor of proto.graph?.initializer ?? [])
      if (graph.values.get(tensor.name ?? '')?.isOpaqueConstant === true) initializer.push(tensor);
    // What the compiler declared of values of its own cannot be inferred anew.
    const made = new Set(
      graph.nodes
        .filter(({ origin, domain }) => origin !== undefined || domain === SPARSE_DOMAIN)
        .flatMap(({ outputs }) => outputs.map((value) => value?.name ?? '')),
    );
    const valueInfo = (proto.graph?.valueInfo ?? []).filter(({ name = '' }) => made.has(name));
    const output = [...this.#values].map((name) => ({ name }));
    return Object.assign(Object.create(Object.getPrototypeOf(proto) as object) as ModelProto, proto, {
      metadataProps: [],
      graph: { ...proto.graph, initializer, input: [...inputs.values()], output, valueInfo },
    });
  }
}

function mayCrash(node: NodeProto): boolean {
  const { domain = '', opType = '' } = node;
  if (CRASHING.has(opType) || !TRIED_DOMAINS.has(domain)) return true;
  return subgraphsOf(node).some(({ node: nodes = [] }) => nodes.some(mayCrash));
}

const SIZES: ReadonlySet<string> = new Set(['Shape', 'Size']);

/**
 * Values that are computed from the model's inputs. What is made of their sizes alone may well be
 * an empty list.
 */
function dataValues(proto: ModelProto | undefined): Set<string> {
  const constants = new Set((proto?.graph?.initializer ?? []).map(({ name }) => name));
  const known = new Set((proto?.graph?.input ?? []).flatMap(({ name = '' }) => (constants.has(name) ? [] : [name])));
  const found = new Set<string>();
  for (const { opType = '', domain = '', input = [], output = [] } of proto?.graph?.node ?? []) {
    if ((domain === '' && SIZES.has(opType)) || !input.some((name) => known.has(name))) continue;
    for (const name of output) {
      if (name === '') continue;
      known.add(name);
      found.add(name);
    }
  }
  return found;
}

function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
