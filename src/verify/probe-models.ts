/**
 * Variants of a model that show or take what its decisions read and give (decisions.ts), or that
 * move all that rounds:
 *
 *   exposed   x -> TopK -> y        what TopK reads and gives are outputs besides
 *   forced    x -> TopK -> choice   choice is an output, y a further input: what follows reads the choices that it is fed
 *   nudged    every operator reads weights, and gives values, that are moved by up to one unit in the last place, other ones in every run
 */
import { dataTypeNamed } from '../runtime/evaluate.js';
import { encodeProto } from '../onnx/encode.js';
import { AttributeType, DataType, type GraphProto, type ModelProto, type NodeProto } from '../onnx/proto.js';
import { createSession } from '../runtime/session.js';
import { type Decision, noisyValues } from './decisions.js';

const PREFIX = 'prune_compile_verify/';

/** Output names of the variants: `at` counts decisions, `place` what one of them reads or gives. */
export function readName(at: number, place: number): string {
  return `${PREFIX}read_${at}_${place}`;
}

export function choiceName(at: number, place: number): string {
  return `${PREFIX}choice_${at}_${place}`;
}

/** All outputs of the model, and besides what each decision reads and gives. */
export function exposed(model: ModelProto, decisions: readonly Decision[]): ModelProto {
  const copies = decisions.flatMap(({ reads, outputs }, at) => [
    ...copied(reads, (place) => readName(at, place)),
    ...copied(outputs, (place) => choiceName(at, place)),
  ]);
  return withGraph(model, (graph) => ({
    node: [...(graph.node ?? []), ...copies],
    output: [...(graph.output ?? []), ...copies.map(({ output: [name = ''] = [] }) => ({ name }))],
  }));
}

/**
 * `types`: of every choice, as ONNX Runtime calls them. Outputs of the model that are choices
 * themselves are none of this one.
 */
export function forced(
  model: ModelProto,
  decisions: readonly Decision[],
  types: ReadonlyMap<string, string>,
): ModelProto {
  const own = new Map<string, string>();
  for (const [at, { outputs }] of decisions.entries())
    for (const [place, name] of outputs.entries()) own.set(name, choiceName(at, place));
  const nodes = new Set(decisions.map(({ node }) => node));
  const copies = decisions.flatMap(({ reads }, at) => copied(reads, (place) => readName(at, place)));
  const inputs = [...own].map(([name, choice]) => {
    const elemType = dataTypeNamed(types.get(choice) ?? '');
    if (elemType === undefined) throw new TypeError(`values of type ${types.get(choice)} cannot be fed`);
    return { name, type: { tensorType: { elemType } } };
  });
  const kept = <Entry extends { name?: string }>(entries: readonly Entry[] = []) =>
    entries.filter(({ name = '' }) => !own.has(name));
  return withGraph(model, (graph) => ({
    node: [
      ...(graph.node ?? []).map((node) =>
        nodes.has(node)
          ? Object.assign(copyOf(node), { output: (node.output ?? []).map((name) => own.get(name) ?? name) })
          : node,
      ),
      ...copies,
    ],
    input: [...(graph.input ?? []), ...inputs],
    output: [...kept(graph.output), ...[...own.values(), ...copies.map(nameOfCopy)].map((name) => ({ name }))],
    valueInfo: kept(graph.valueInfo),
  }));
}

/** The model with these values as outputs besides its own. */
export function withOutputs(model: ModelProto, names: readonly string[]): ModelProto {
  return withGraph(model, ({ output = [] }) => {
    const own = new Set(output.map(({ name = '' }) => name));
    return { output: [...output, ...names.filter((name) => !own.has(name)).map((name) => ({ name }))] };
  });
}

function copied(names: readonly string[], target: (place: number) => string): NodeProto[] {
  return names.map((name, place) => {
    const output = target(place);
    return { opType: 'Identity', name: output, input: [name], output: [output] };
  });
}

function nameOfCopy({ output: [name = ''] = [] }: NodeProto): string {
  return name;
}

/** Of a message, with its prototype and its unknown fields. */
function copyOf<Message extends object>(message: Message): Message {
  return Object.create(Object.getPrototypeOf(message) as object, Object.getOwnPropertyDescriptors(message)) as Message;
}

function withGraph(model: ModelProto, change: (graph: GraphProto) => GraphProto): ModelProto {
  const { graph = {} } = model;
  return Object.assign(copyOf(model), { graph: Object.assign(copyOf(graph), change(graph)) });
}

/** Operands that weights are: what a compiler may fold something into, and round. */
const WEIGHTS: ReadonlyMap<string, readonly number[]> = new Map([
  ['Conv', [1, 2]],
  ['ConvTranspose', [1, 2]],
  ['Gemm', [0, 1, 2]],
  ['MatMul', [0, 1]],
  ['Einsum', [0, 1]],
  ['BatchNormalization', [1, 2, 3, 4]],
  ['InstanceNormalization', [1, 2]],
  ['LayerNormalization', [1, 2]],
  ['GroupNormalization', [1, 2]],
  ['Add', [0, 1]],
  ['Sub', [0, 1]],
  ['Mul', [0, 1]],
  ['Div', [0, 1]],
  ['PRelu', [1]],
  ['Gather', [0]],
  ['LSTM', [1, 2, 3]],
  ['GRU', [1, 2, 3]],
  ['RNN', [1, 2, 3]],
]);

/** Results that are exact: moved or chosen values, and whole numbers. */
const EXACT: ReadonlySet<string> = new Set(
  (
    'Identity Reshape Flatten Squeeze Unsqueeze Transpose Concat Split Slice Gather GatherElements GatherND ScatterND ScatterElements ' +
    'Pad Expand Tile DepthToSpace SpaceToDepth ReverseSequence Compress Trilu Where Cast CastLike Relu Clip Max Min Abs Neg MaxPool ' +
    'GlobalMaxPool ReduceMax ReduceMin Ceil Floor Round Sign Mod TopK Hardmax ArgMax ArgMin NonZero Unique OneHot DequantizeLinear ' +
    'QuantizeLinear DynamicQuantizeLinear ThresholdedRelu Dropout MaxUnpool MaxRoiPool Constant ConstantOfShape Range'
  ).split(' '),
);

/**
 * `forcedModel` with everything moved that rounds: each float32 weight and result times 1 + d, with
 * d between plus and minus one epsilon. A zero stays one. `model`: what it was made from, which
 * says what depends on data and is no size.
 */
export async function nudged(forcedModel: ModelProto, model: ModelProto): Promise<ModelProto> {
  const floats = await floatValues(forcedModel);
  const noisy = noisyValues(model);
  const constants = constantFloats(forcedModel);
  const nodes: NodeProto[] = [];
  const moved = new Map<string, string>();
  let seed = 1;
  const move = (from: string, to: string) => nodes.push(...nudge(from, to, seed++));
  for (const node of forcedModel.graph?.node ?? []) {
    const isNoisy = (node.output ?? []).some((name) => noisy.has(name));
    const input = (node.input ?? []).map((name, place) => {
      if (!isNoisy || !constants.has(name) || WEIGHTS.get(node.opType ?? '')?.includes(place) !== true) return name;
      const known = moved.get(name);
      if (known !== undefined) return known;
      const fresh = `${PREFIX}moved_${moved.size}`;
      moved.set(name, fresh);
      move(name, fresh);
      return fresh;
    });
    const isRounded = isNoisy && !EXACT.has(node.opType ?? '');
    const results = (node.output ?? []).map((name, place) => {
      const isMoved = isRounded && noisy.has(name) && floats.has(name);
      return { name, exact: isMoved ? `${PREFIX}exact_${nodes.length}_${place}` : name };
    });
    nodes.push(Object.assign(copyOf(node), { input, output: results.map(({ exact }) => exact) }));
    for (const { name, exact } of results) if (exact !== name) move(exact, name);
  }
  return withGraph(forcedModel, () => ({ node: nodes }));
}

const FLOAT_EPSILON = 2 ** -23;

function nudge(from: string, to: string, seed: number): NodeProto[] {
  const [direction, size, factor] = [`${to}/direction`, `${to}/size`, `${to}/factor`];
  const float = (name: string, f: number) => ({ name, type: AttributeType.FLOAT, f });
  const constant = (output: string, value: number): NodeProto => ({
    opType: 'Constant',
    output: [output],
    attribute: [
      { name: 'value', type: AttributeType.TENSOR, t: { dataType: DataType.FLOAT, rawData: floatBytes(value) } },
    ],
  });
  return [
    constant(`${to}/epsilon`, FLOAT_EPSILON),
    constant(`${to}/one`, 1),
    {
      opType: 'RandomUniformLike',
      input: [from],
      output: [direction],
      attribute: [float('low', -1), float('high', 1), float('seed', seed)],
    },
    { opType: 'Mul', input: [direction, `${to}/epsilon`], output: [size] },
    { opType: 'Add', input: [size, `${to}/one`], output: [factor] },
    { opType: 'Mul', input: [from, factor], output: [to] },
  ];
}

function floatBytes(value: number): Uint8Array {
  return new Uint8Array(Float32Array.of(value).buffer);
}

/**
 * Names of computed float32 values: what a session says of a model whose values are all outputs.
 */
async function floatValues(model: ModelProto): Promise<Set<string>> {
  const known = new Set((model.graph?.output ?? []).map(({ name }) => name));
  const further = (model.graph?.node ?? []).flatMap(({ output = [] }) =>
    output.filter((name) => name !== '' && !known.has(name)),
  );
  const all = withGraph(model, ({ output = [] }) => ({ output: [...output, ...further.map((name) => ({ name }))] }));
  const session = await createSession(encodeProto(all), { optimize: false });
  const found = session.outputMetadata.flatMap((value) =>
    value.isTensor && value.type === 'float32' ? [value.name] : [],
  );
  await session.release();
  return new Set(found);
}

function constantFloats({ graph = {} }: ModelProto): Set<string> {
  const stored = (graph.initializer ?? []).filter(({ dataType }) => dataType === DataType.FLOAT);
  const inside = (graph.node ?? []).filter(
    ({ opType, attribute = [] }) => opType === 'Constant' && attribute.some(({ t }) => t?.dataType === DataType.FLOAT),
  );
  return new Set([...stored.map(({ name = '' }) => name), ...inside.flatMap(({ output = [] }) => output)]);
}
