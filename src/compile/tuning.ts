/**
 * --tune: measured instead of believed. Every kind of layer runs once dense and once sparse, and
 * what was measured takes the place of the cost table's speed-up; in the end the whole model runs
 * with its sparse operators and without. Who measures is the caller's business: the benchmark knows
 * nothing of compiling, and the compiler nothing of clocks.
 *
 * Alone, a layer brings its data from the plain layout into its own and back in both forms, so the
 * difference between the two is about what is won inside a run of layers.
 */
import type { MeasuredLayer } from '../../passes/pass.js';
import type { SparseLayer } from '../../passes/sparse/candidates.js';
import type { GraphInfo } from '../graph-info/graph-info.js';
import { PruneCompileError } from '../errors.js';
import type { Value } from '../ir/graph.js';
import { FLOAT } from '../ir/tensor.js';
import { byName, ownOf } from '../names.js';
import { encodeProto } from '../onnx/encode.js';
import type { ModelProto, TensorProto } from '../onnx/proto.js';
import type { Model } from '../onnx/read.js';
import { writeTensor } from '../onnx/tensors.js';
import { nodeProto, typeOf } from '../onnx/write.js';

/** Times of one run of two models that were measured in turns. */
export interface Timing {
  readonly denseMs: number;
  readonly sparseMs: number;
  /** Whether the sparse one is faster, and not by chance. */
  readonly isFaster: boolean;
}

export interface TimingRequest {
  readonly rounds: number;
  /** Fewer rounds where these would take longer. */
  readonly budgetMs: number;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly signal?: AbortSignal;
}

/** Runs a dense and a sparse model in turns: how --tune measures. `sparseTimer` makes one. */
export type Timer = (dense: Uint8Array, sparse: Uint8Array, request: TimingRequest) => Promise<Timing>;

/** Of one kind of layer. The median of seven in turns bears three that were disturbed. */
const LAYER_ROUNDS = 7;
const LAYER_BUDGET_MS = 2000;
/** Of all layers together; those that are left are decided by the table. */
const TOTAL_BUDGET_MS = 60_000;
/** Of the whole model: the 95 % interval has to lie on one side of 1. */
const MODEL_ROUNDS = 15;
const MODEL_BUDGET_MS = 30_000;

export class Tuner {
  readonly #timer: Timer;
  readonly #proto: ModelProto;
  readonly #makeSparse: (dense: Uint8Array) => Promise<Uint8Array | undefined>;
  readonly #signal: AbortSignal | undefined;
  readonly #known = new Map<string, MeasuredLayer | undefined>();
  #layers = 0;
  /** Set when the first layer is measured. */
  #deadline: number | undefined = undefined;

  /**
   * `makeSparse` turns all it can of a model into sparse operators; undefined where that is
   * nothing.
   */
  constructor(
    timer: Timer,
    { proto }: Model,
    makeSparse: (dense: Uint8Array) => Promise<Uint8Array | undefined>,
    signal?: AbortSignal,
  ) {
    this.#timer = timer;
    this.#proto = proto;
    this.#makeSparse = makeSparse;
    this.#signal = signal;
  }

  /**
   * How much was measured: layers of one size, with the same fused nodes and about as many zeros,
   * are one kind, and measured once.
   */
  get text(): string {
    const kinds = [...this.#known.values()].filter((measured) => measured !== undefined).length;
    return `${this.#layers} ${this.#layers === 1 ? 'layer' : 'layers'} measured, of ${kinds} ${kinds === 1 ? 'kind' : 'kinds'}`;
  }

  readonly measure = async (layer: SparseLayer, sized: GraphInfo): Promise<MeasuredLayer | undefined> => {
    const part = layerModel(layer, sized, this.#proto);
    const measured = part === undefined ? undefined : await this.#ofKind(part);
    if (measured !== undefined) this.#layers++;
    return measured;
  };

  async #ofKind(part: LayerModel): Promise<MeasuredLayer | undefined> {
    const known = this.#known.get(part.key);
    if (known !== undefined || this.#known.has(part.key)) return known;
    this.#deadline ??= performance.now() + TOTAL_BUDGET_MS;
    if (performance.now() > this.#deadline) return undefined;
    const measured = await this.#time(part);
    this.#known.set(part.key, measured);
    return measured;
  }

  async #time({ dense, shapes }: LayerModel): Promise<MeasuredLayer | undefined> {
    this.#signal?.throwIfAborted();
    const bytes = dense();
    const sparse = await this.#makeSparse(bytes);
    if (sparse === undefined) return undefined;
    const { denseMs, sparseMs } = await this.#timer(bytes, sparse, {
      rounds: LAYER_ROUNDS,
      budgetMs: LAYER_BUDGET_MS,
      shapes,
      ...(this.#signal && { signal: this.#signal }),
    });
    return { denseSeconds: denseMs / 1e3, sparseSeconds: sparseMs / 1e3 };
  }

  /** The whole model, with and without sparse operators. */
  compare(dense: Uint8Array, sparse: Uint8Array, shapes: TimingRequest['shapes']): Promise<Timing> {
    const signal = this.#signal;
    return this.#timer(dense, sparse, {
      rounds: MODEL_ROUNDS,
      budgetMs: MODEL_BUDGET_MS,
      shapes,
      ...(signal && { signal }),
    });
  }
}

/** What the comparison of the whole model says. */
export function wholeText({ denseMs, sparseMs, isFaster }: Timing): string {
  const times = `the whole model takes ${sparseMs.toPrecision(3)} ms with sparse operators and ${denseMs.toPrecision(3)} ms without`;
  return isFaster ? times : `${times}, which is not faster: it is kept dense`;
}

interface LayerModel {
  /** The same for layers that take the same time. */
  readonly key: string;
  readonly dense: () => Uint8Array;
  readonly shapes: TimingRequest['shapes'];
}

/**
 * A model of the layer alone, with all that becomes part of its operator. Undefined where extents
 * are not known.
 */
function layerModel(layer: SparseLayer, { shapes, constants }: GraphInfo, proto: ModelProto): LayerModel | undefined {
  const { nodes, x, residual, output, dims, zeros } = layer;
  const operands = residual === undefined || residual === x ? [x] : [x, residual];
  const extents = operands.map((value) => staticDims(shapes.of(value)));
  if (!extents.every((entry) => entry !== undefined)) return undefined;
  const protos = nodes.map(nodeProto);
  // Attributes are what nodes of one kind have in common besides sizes; two percent of zeros more
  // or less make no difference.
  const forms = protos.map(({ opType, attribute }) => [opType, attribute]);
  const key = JSON.stringify([forms, dims, extents, Math.round(zeros * 50)]);
  const dense = () =>
    encodeProto({
      irVersion: proto.irVersion ?? 8,
      opsetImport: proto.opsetImport ?? [],
      graph: {
        name: 'layer',
        node: protos,
        initializer: constantsOf(layer, operands, constants),
        input: operands.map(({ name }, index) => typeOf(name, FLOAT, extents[index] ?? [])),
        output: [typeOf(output.name, FLOAT, shapes.of(output) ?? [])],
      },
    });
  return { key, dense, shapes: byName(operands.map(({ name }, index) => [name, extents[index] ?? []])) };
}

function staticDims(dims: ReturnType<GraphInfo['shapes']['of']>): readonly number[] | undefined {
  const extents = dims?.filter((dim) => typeof dim === 'number');
  return extents !== undefined && extents.length === dims?.length ? extents : undefined;
}

function constantsOf(
  { nodes }: SparseLayer,
  operands: readonly Value[],
  constants: GraphInfo['constants'],
): TensorProto[] {
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  return [...read].flatMap((value) => {
    const tensor = value === undefined || operands.includes(value) ? undefined : constants.tensor(value);
    return value === undefined || tensor === undefined ? [] : [writeTensor(value.name, tensor)];
  });
}

/** Measuring needs one size: what --shape leaves open is an error, not a guess. */
export function requireSizes(model: Model, shapes: GraphInfo['shapes'], given: TimingRequest['shapes'] = {}): void {
  const open = model.graph.inputs.find((input) => {
    const isFixed = ownOf(given, input.name) !== undefined || input.initializer !== undefined;
    return !isFixed && staticDims(shapes.of(input)) === undefined && !isDeclaredScalar(model, input);
  });
  if (open === undefined) return;
  const dims = shapes.of(open) ?? [];
  throw new PruneCompileError('E-SHAPE', {
    what: `--tune measures at one size, and the size of the input ${open.name} is not fixed`,
    facts: [
      ['shape', dims.length === 0 ? 'unknown' : dims.map((dim) => (dim === '' ? '?' : dim)).join(' x ')],
      ['try', `--shape ${open.name}=${dims.length === 0 ? '1,3,224,224' : exampleOf(dims)}`],
    ],
  });
}

/**
 * Shape inference does not tell a scalar from a tensor of unknown rank; the model's own declaration
 * does.
 */
function isDeclaredScalar({ proto }: Model, { name }: Value): boolean {
  const shape = proto.graph?.input?.find((input) => input.name === name)?.type?.tensorType?.shape;
  return shape !== undefined && (shape.dim ?? []).length === 0;
}

function exampleOf(dims: readonly (number | string)[]): string {
  return dims
    .map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 1 : dims.length === 4 ? 224 : 128))
    .join(',');
}
