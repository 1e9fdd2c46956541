/**
 * Reference networks made without the compiler: the protobuf decoded by onnx-proto, zeros written
 * into the bytes of stored weights, and ONNX Runtime asked directly. Nothing of src is used here,
 * so nothing of it can be wrong twice.
 */
import onnxProto from 'onnx-proto';
import * as ort from 'onnxruntime-node';

const { ModelProto } = onnxProto.onnx;
const FLOAT = 1;

/**
 * What rounding may do: three float32 roundings (2^-24 each) in each of the 21 layers: of the
 * folded weight, of the sum and of what is added to it. Found over all files, exports and meanings:
 * 1.2e-6, a third of it.
 */
export const TOLERANCE = 64 * 2 ** -24;

export class RawNetwork {
  readonly #model: onnxProto.onnx.ModelProto;

  constructor(bytes: Uint8Array) {
    this.#model = ModelProto.decode(bytes);
  }

  bytes(): Uint8Array {
    return ModelProto.encode(this.#model).finish();
  }

  get nodes(): onnxProto.onnx.INodeProto[] {
    return this.#model.graph?.node ?? [];
  }

  has(name: string): boolean {
    return this.#tensors().some((tensor) => tensor.name === name);
  }

  dims(name: string): number[] {
    return (this.#tensor(name).dims ?? []).map(Number);
  }

  /** A copy: files pack tensors without regard to alignment. */
  floats(name: string): Float32Array {
    const { rawData, dataType } = this.#tensor(name);
    if (dataType !== FLOAT || !rawData) throw new TypeError(`${name} is no float32 of raw bytes`);
    return new Float32Array(new Uint8Array(rawData).buffer);
  }

  set(name: string, values: Float32Array): void {
    this.#tensor(name).rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  }

  /** One number per element, or one per slice along the first axis; 0 writes a zero. */
  zero(name: string, kept: ArrayLike<number>): void {
    const values = this.floats(name);
    const [filters = 1] = this.dims(name);
    if (kept.length !== values.length && kept.length !== filters)
      throw new RangeError(`${kept.length} numbers for ${values.length} elements of ${name}`);
    const each = values.length / kept.length;
    for (let at = 0; at < kept.length; at++) if (kept[at] === 0) values.fill(0, at * each, (at + 1) * each);
    this.set(name, values);
  }

  /**
   * Filters whose elements are all zero vanish with the scale and the shift of the normalisation
   * behind them.
   */
  dropEmptyFilters(weights: string): number {
    const values = this.floats(weights);
    const [filters = 1] = this.dims(weights);
    const each = values.length / filters;
    const kept = Array.from({ length: filters }, (_, filter) =>
      values.subarray(filter * each, (filter + 1) * each).every((value) => value === 0) ? 0 : 1,
    );
    const layer = this.nodes.find(({ input }) => input?.[1] === weights);
    const after = this.nodes.find(
      ({ opType, input }) => opType === 'BatchNormalization' && input?.[0] === layer?.output?.[0],
    );
    if (after === undefined) throw new Error(`nothing normalises the output of ${weights}`);
    for (const place of [1, 2]) this.zero(after.input?.[place] ?? '', kept);
    return kept.filter((keep) => keep === 0).length;
  }

  /** Names of convolutions' weights, in the order of the graph. */
  convolutionWeights(): string[] {
    return this.nodes.flatMap(({ opType, input }) => (opType === 'Conv' ? [input?.[1] ?? ''] : []));
  }

  /** Which compiler wrote it, from which files: all else of two models may be equal. */
  withoutOrigin(): Uint8Array {
    const copy = ModelProto.decode(this.bytes());
    copy.metadataProps = copy.metadataProps.filter(({ key }) => key?.startsWith('prune-compile.') !== true);
    return ModelProto.encode(copy).finish();
  }

  /** Height and width of the image are left open; what was inferred for the one size goes. */
  openImageSize(): void {
    const { graph } = this.#model;
    for (const input of graph?.input ?? []) {
      const dims = input.type?.tensorType?.shape?.dim;
      if (dims?.length === 4) dims.splice(2, 2, { dimParam: 'height' }, { dimParam: 'width' });
    }
    if (graph) graph.valueInfo = [];
  }

  #tensors(): onnxProto.onnx.ITensorProto[] {
    return this.#model.graph?.initializer ?? [];
  }

  #tensor(name: string): onnxProto.onnx.ITensorProto {
    const tensor = this.#tensors().find((candidate) => candidate.name === name);
    if (tensor === undefined) throw new Error(`the model stores no ${name}`);
    return tensor;
  }
}

export interface Images {
  readonly values: Float32Array;
  /** [count, channels, height, width] */
  readonly dims: readonly number[];
}

/**
 * Output of every image, in a row; in one batch where the model leaves the batch open, else one by
 * one.
 */
export async function outputsOf(model: Uint8Array, { values, dims }: Images): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  try {
    const [input = ''] = session.inputNames;
    const [output = ''] = session.outputNames;
    const [about] = session.inputMetadata;
    const isBatch = about?.isTensor === true && typeof about.shape[0] === 'string';
    const [count = 1, ...image] = dims;
    const atOnce = isBatch ? count : 1;
    const each = (values.length / count) * atOnce;
    const results: number[] = [];
    for (let from = 0; from < values.length; from += each) {
      const tensor = new ort.Tensor('float32', values.subarray(from, from + each), [atOnce, ...image]);
      const found = (await session.run({ [input]: tensor }))[output];
      if (!(found?.data instanceof Float32Array)) throw new TypeError(`${output} is no float32`);
      results.push(...found.data);
    }
    return Float32Array.from(results);
  } finally {
    await session.release();
  }
}

/** Largest difference, as a share of the largest output. */
export function worstDifference(expected: Float32Array, found: Float32Array): number {
  if (expected.length !== found.length) return Number.POSITIVE_INFINITY;
  let [worst, scale] = [0, 0];
  for (const [at, value] of expected.entries()) {
    const difference = Math.abs(value - (found[at] ?? Number.NaN));
    // NaN is no small difference.
    worst = Number.isFinite(difference) ? Math.max(worst, difference) : Number.POSITIVE_INFINITY;
    scale = Math.max(scale, Math.abs(value));
  }
  return worst / scale;
}
