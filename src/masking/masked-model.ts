/**
 * Masks onto a model, before anything is compiled: files read, masks bound to weights, zeros put
 * in; and with `drop` what a fully masked filter adds besides. Which masks there are is evidence,
 * so all of it is reported.
 */
import { coupledMasks } from './coupled-masks.js';
import { otherReaders } from './other-readers.js';
import { analyze } from '../channels/facts.js';
import { droppedShifts } from './dropped-shifts.js';
import type { GraphInfo } from '../graph-info/graph-info.js';
import { capturedOnly, numericConstants, weightSlots } from './weight-slots.js';
import { PruneCompileError } from '../errors.js';
import { applyEdits, maskEdits, withoutRepeats } from './mask-edits.js';
import { asksForMasks, type Masking, type MaskOptions, UNMASKED } from './masking.js';
import { Editor } from '../ir/editor.js';
import { atParameters } from './scaled-parameters.js';
import { storedCopies } from './stored-copies.js';
import { tiedReaders, unclearTie } from './tied-readers.js';
import type { Tensor } from '../ir/tensor.js';
import { combineMasks, type MaskedWeight, type OperandEdit, operandOf } from '../masks/apply.js';
import { countZeros } from '../masks/expand.js';
import { bindMasks } from '../masks/bind.js';
import type { Binding } from '../masks/binding.js';
import type { FileTensor } from '../masks/contents.js';
import type { Claim } from '../masks/claim.js';
import { claimsOf } from '../masks/claims.js';
import { fateText, type TensorFate } from '../masks/fates.js';
import { namedShapes } from '../masks/known-layers.js';
import { slotName } from '../masks/mask-error.js';
import { parameterOf } from '../masks/names.js';
import { readMaskFile } from '../masks/read.js';
import type { WeightSlot } from '../masks/slots.js';
import { oneSet } from '../masks/weight-sets.js';
import { nearestNames } from '../nearest.js';
import type { Model } from '../onnx/read.js';
import { inspectGraph } from '../graph-info/inspect-graph.js';
import type { MaskReport } from './mask-report.js';
import type { MaskPlan } from '../verify/masked-reference.js';

/**
 * Edits the model's graph; `asRead` is what is known of it. Throws E-MASK-… and E-INPUT-… errors
 * before anything is changed.
 */
export async function maskModel(model: Model, options: MaskOptions, asRead?: GraphInfo): Promise<Masking> {
  const { masks: paths = [], meaning = 'zero' } = options;
  if (!asksForMasks(options)) return UNMASKED;
  const graphInfo = asRead ?? (await inspectGraph(model));
  const slots = weightSlots(graphInfo);
  const target = {
    slots,
    constants: numericConstants(graphInfo),
    captured: capturedOnly(graphInfo),
    facts: () => analyze(graphInfo),
  };
  const files: BoundFile[] = [];
  for (const path of paths) files.push(await bindFile(path, target, options));
  checkMap(options.maskMap, files);
  const weights = combineMasks(files.flatMap(({ bindings }) => bindings));
  const placed = atParameters(model.graph, weights, slots);
  const read = [...placed, ...otherReaders(model.graph, placed, slots)];
  const context = { graph: model.graph, slots, files: files.map(({ parameters }) => parameters) };
  const everywhere = [...read, ...storedCopies(read, context)];
  const [tied] = tiedReaders(everywhere, { graph: model.graph, slots, stated: files.map(({ stated }) => stated) });
  if (tied !== undefined) throw unclearTie(tied);
  const edits = maskEdits(model.graph, everywhere);
  const planned = withoutRepeats(everywhere);
  const applyTo = ({ graph }: Model) => applyEdits(new Editor(graph), 'apply masks', edits);
  applyTo(model);

  const layers = meaning === 'drop' ? layersOf(weights, slots, paths.length > 0) : [];
  const dropped = meaning === 'drop' ? droppedShifts(await inspectGraph(model), layers) : NOTHING_DROPPED;
  const dropFrom = ({ graph }: Model) => applyEdits(new Editor(graph), 'drop masked filters', dropped.edits);
  dropFrom(model);
  return {
    report: maskReport({
      meaning,
      files,
      weights,
      slots,
      zeros: zerosOf(model, placed, edits),
      droppedFilters: dropped.filters,
    }),
    masked: weights.map(({ bindings: [{ slot }] }) => ({ node: slot.node, index: slot.index })),
    changed: edits.length + dropped.edits.length > 0,
    apply: (again) => {
      applyTo(again);
      dropFrom(again);
    },
    plan: maskPlan(model, planned, layers),
  };
}

const NOTHING_DROPPED = { edits: [], filters: 0 } as const;

interface BoundFile {
  readonly path: string;
  /** Of all its masks. */
  readonly keys: readonly string[];
  readonly format: string;
  readonly sha256: string;
  readonly bindings: readonly Binding[];
  readonly unmatched: readonly string[];
  readonly fates: readonly TensorFate[];
  readonly parameters: ReadonlyMap<string, FileTensor>;
  /** All parameters that the file has a tensor for, a mask or values. */
  readonly stated: ReadonlySet<string>;
}

interface MaskTarget {
  readonly slots: readonly WeightSlot[];
  readonly constants: readonly Tensor[];
  readonly captured: ReadonlyMap<string, string>;
  facts(): ReturnType<typeof analyze>;
}

async function bindFile(
  path: string,
  { slots, constants, captured, facts }: MaskTarget,
  { maskMap, maskPrefix, maskSoft, maskLayout, allowUnmatched }: MaskOptions,
): Promise<BoundFile> {
  const { sha256, ...given } = readMaskFile(path);
  const { file, settled } = oneSet(given, slots, maskPrefix);
  const { claims, ...others } = claimsOf(file, maskPrefix, namedShapes(slots));
  const settings = {
    ...others,
    settled: [...others.settled, ...settled],
    constants,
    captured,
    ...(maskLayout && { layout: maskLayout }),
    ...(maskMap && { map: maskMap }),
    ...(maskSoft && { soft: maskSoft }),
    ...(allowUnmatched !== undefined && { allowUnmatched }),
  };
  const isCoupled = claims.some((claim) => claim.isCoupled === true);
  // Indices of a history count what the steps before left: none of them may be left out.
  const bound = bindMasks(claims, slots, isCoupled ? { ...settings, allowUnmatched: false } : settings);
  const bindings = isCoupled ? coupledMasks(bound.bindings, slots, await facts()) : bound.bindings;
  if (bindings.length === 0 && bound.unmatched.length === 0) throw nothingPruned(path, bound.fates);
  return {
    path,
    keys: claims.map(({ key }) => key),
    format: file.format,
    sha256,
    bindings,
    unmatched: bound.unmatched,
    fates: bound.fates,
    parameters: others.parameters,
    stated: new Set([...others.parameters.keys(), ...claims.flatMap(statedBy)]),
  };
}

function statedBy({ name, isDoubtful }: Claim): string[] {
  return isDoubtful === true ? [] : [parameterOf(name)];
}

/** A key that no file has is a mistake, and the mask that was meant is bound in another way. */
function checkMap(map: MaskOptions['maskMap'], files: readonly BoundFile[]): void {
  const keys = files.flatMap((file) => file.keys);
  const unknown = Object.keys(map ?? {}).find((key) => !keys.includes(key));
  if (unknown === undefined) return;
  const near = nearestNames(unknown, keys);
  throw new PruneCompileError('E-MASK-MAP', {
    what: `--mask-map names the mask "${unknown}", which no file has`,
    facts: [[near.length > 0 ? 'near' : 'the files have', (near.length > 0 ? near : keys.slice(0, 5)).join(', ')]],
  });
}

function nothingPruned(path: string, fates: readonly TensorFate[]): PruneCompileError {
  return new PruneCompileError('E-MASK-EMPTY', {
    what: `${path} holds no mask`,
    facts: [
      ['holds', `${fateText(fates)}; no zero that the model has not`],
      ['try', 'save the masks: keys that end in weight_mask, or { module: mask }'],
    ],
  });
}

/**
 * Filters are dropped where masks were given; without mask files the zeros in all weights are the
 * masks.
 */
function layersOf(weights: readonly MaskedWeight[], slots: readonly WeightSlot[], hasFiles: boolean): WeightSlot[] {
  // What a pruned scale means for a layer is no mask of its filters.
  const isOwn = ({ isFolded }: Binding) => isFolded !== true;
  const masked = hasFiles ? weights.flatMap(({ bindings }) => bindings.filter(isOwn).map(({ slot }) => slot)) : slots;
  return masked.filter(({ isLayer, parameter }) => isLayer && parameter === 'weight');
}

function maskPlan(model: Model, weights: readonly MaskedWeight[], layers: readonly WeightSlot[]): MaskPlan {
  const { nodes } = model.graph;
  const placeOf = (slot: WeightSlot) => nodes.indexOf(slot.node);
  return {
    // Reader by reader: the reference need not know where the compiler stores what.
    masks: weights.map(({ bindings: [{ slot }], factors, offsets }) => {
      const { dataType, dims } = operandOf(slot);
      const added = offsets === undefined ? {} : { offsets };
      const place = { node: placeOf(slot), input: slot.index, dims, factors };
      return { ...place, dataType, ...added, ...(slot.codes && { isOfCodes: true }) };
    }),
    droppedIn: [...new Set(layers)].map((slot) => ({ node: placeOf(slot), dataType: slot.tensor.dataType })),
  };
}

interface Findings {
  readonly meaning: 'zero' | 'drop';
  readonly files: readonly BoundFile[];
  readonly weights: readonly MaskedWeight[];
  readonly slots: readonly WeightSlot[];
  readonly zeros: number;
  readonly droppedFilters: number;
}

/** Elements that are pruned; those of a tensor that several layers read count once. */
function zerosOf({ graph }: Model, weights: readonly MaskedWeight[], edits: readonly OperandEdit[]): number {
  const tensors = new Map(edits.map(({ node, input, tensor }) => [`${node}#${input}`, tensor]));
  const places = new Map(graph.nodes.map((node, place) => [node, place]));
  const counted = new Set<Tensor>();
  let zeros = 0;
  for (const { bindings, factors } of weights) {
    const { node, index } = bindings[0].slot;
    const tensor = tensors.get(`${places.get(node)}#${index}`);
    if (tensor === undefined || counted.has(tensor)) continue;
    counted.add(tensor);
    zeros += countZeros(factors);
  }
  return zeros;
}

function maskReport({ meaning, files, weights, slots, zeros, droppedFilters }: Findings): MaskReport {
  const masked = new Set(weights.map(({ bindings: [{ slot }] }) => slot));
  const layers = slots.filter(({ isLayer, parameter }) => isLayer && parameter === 'weight');
  const parameters = new Set([...masked].map(({ value }) => value.name));
  // A mask of what the weight is computed from is the layer's.
  const isMasked = (slot: WeightSlot) =>
    masked.has(slot) || slot.names.some((name) => name !== slot.root.name && parameters.has(name));
  return {
    meaning,
    files: files.map(({ path, format, sha256, fates }) => ({ path, format, sha256, tensors: fates })),
    masks: files.flatMap(({ path, bindings }) =>
      bindings.map(({ claim, slot, evidence, mask, values, isFromZeros }) => ({
        file: path,
        key: claim.key,
        weight: slotName(slot),
        node: slot.node.label,
        shape: slot.tensor.dims,
        evidence,
        granularity: mask.granularity,
        zeros: mask.zeros,
        isFromZeros,
        ...(values !== undefined && { values }),
      })),
    ),
    zeros,
    unmatched: files.flatMap(({ unmatched }) => unmatched),
    unmaskedLayers: files.length === 0 ? [] : layers.filter((slot) => !isMasked(slot)).map(({ node }) => node.label),
    droppedFilters,
  };
}
