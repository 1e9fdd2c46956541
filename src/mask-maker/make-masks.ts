/**
 * Masks for a model, and beforehand what they will bring: weights -> units -> scores -> the lowest
 * go -> masks under the names that a mask file needs -> the compiler's own passes on a masked copy,
 * which tell what can be removed.
 */
import { compareLayers, type Counts, countModel, macsOfBoth } from '../figures/figures.js';
import type { Facts } from '../channels/facts.js';
import { applyEdits, maskEdits } from '../masking/mask-edits.js';
import type { GraphInfo } from '../graph-info/graph-info.js';
import { atSizes, concreteSizes } from '../graph-info/sizes.js';
import { droppedShifts } from '../masking/dropped-shifts.js';
import { tiedReaders } from '../masking/tied-readers.js';
import { weightSlots } from '../masking/weight-slots.js';
import { PruneCompileError } from '../errors.js';
import { otherReaders } from '../masking/other-readers.js';
import { inspectGraph } from '../graph-info/inspect-graph.js';
import { Editor } from '../ir/editor.js';
import { writeFiles } from '../files/write-files.js';
import { combineMasks, type OperandEdit } from '../masks/apply.js';
import { writeJsonMasks } from '../masks/formats/json.js';
import type { NamedMask } from '../masks/formats/named-mask.js';
import { writeNpz } from '../masks/formats/npz.js';
import { writeSafetensors } from '../masks/formats/safetensors.js';
import { type Model, readModel } from '../onnx/read.js';
import { encodeModel, writeModel } from '../onnx/write.js';
import { choosePasses, passContext, runPasses } from '../pipeline.js';
import type { Remark } from '../../passes/pass.js';
import { TOOL } from '../version.js';
import { checkChoice, type Choice, type MakeMasksOptions } from './choice.js';
import { excludedLayers, findLayers, type MaskLayer } from './layers.js';
import { bindNamed, keptWhole, type LayerMask, namedMask, statedBy } from './named.js';
import type { Skipped } from './pools.js';
import { type Chosen, poolsOf, prune } from './prune.js';
import type { MaskMakingReport, PredictedFigures } from './report.js';
import type { Scorer } from './scores.js';
import { keepBytes } from './units.js';

export type MaskFormat = 'safetensors' | 'npz' | 'json' | 'onnx';

export interface MadeMasks {
  readonly report: MaskMakingReport;
  readonly masks: readonly NamedMask[];
  /** Files that were read: none of them may be replaced. */
  readonly inputs: readonly string[];
  /** A mask file; as onnx the model itself with zeros in its weights. */
  encode(format: MaskFormat): Uint8Array;
  /** The same, as a file; returns its size in bytes. */
  write(path: string, format: MaskFormat): number;
}

/**
 * Throws PruneCompileError for options that do not fit the model, and for models that cannot be
 * read.
 */
export async function makeMasks(source: string | Uint8Array, options: MakeMasksOptions = {}): Promise<MadeMasks> {
  const choice = checkChoice(options);
  const { signal } = options;
  const model = readModel(source);
  const graphInfo = await inspectGraph(model);
  const before = await count(model, graphInfo);
  const facts = await foldedFacts(source, signal);
  const slots = weightSlots(graphInfo);
  const layers = findLayers(slots, facts);
  const excluded = excludedLayers(layers, choice.exclude);
  const scorer: Scorer = { criterion: choice.criterion, seed: choice.seed, graphInfo };
  const choose = async (nameless: ReadonlySet<MaskLayer>) => {
    const { pools, skipped: others } = poolsOf(layers, facts, choice, new Set([...excluded, ...nameless]));
    const skipped = [...[...nameless].map((layer) => ({ layer, why: NAMELESS })), ...others];
    if (pools.length === 0) throw nothingToMask(choice, skipped, layers.length, excluded.size);
    const chosen = await prune(layers, pools, choice, scorer, signal);
    if (chosen.every(({ pruned }) => !pruned.includes(1))) throw nothingMasked(choice);
    const masks = chosen.map(({ layer, units, pruned }) => ({ layer, keep: keepBytes(layer, units, pruned) }));
    return { chosen, masks, skipped, ...bindNamed(masks, slots) };
  };
  const nameless = new Set<MaskLayer>();
  let made = await choose(nameless);
  // A layer is lost once, so this ends.
  while (made.lost.length > 0) {
    for (const layer of made.lost) nameless.add(layer);
    made = await choose(nameless);
  }
  const { chosen, masks, skipped, bindings } = made;
  const weights = combineMasks(bindings);
  const places = [...weights, ...otherReaders(model.graph, weights, slots)];
  const edits = maskEdits(model.graph, places);
  const stated = new Set(masks.flatMap(({ layer }) => statedBy(layer.key)));
  const kept = keptWhole(tiedReaders(places, { graph: model.graph, slots, stated: [stated] }));
  applyEdits(new Editor(model.graph), 'apply masks', edits);
  const masked = bindings.map(({ slot }) => slot);
  const dropped = choice.meaning === 'drop' ? droppedShifts(await inspectGraph(model), masked).edits : [];
  applyEdits(new Editor(model.graph), 'drop masked filters', dropped);

  const context = passContext(model);
  const { remarks } = await runPasses(choosePasses('structured'), context, signal);
  const after = await count(model, await context.graphInfo());
  return {
    report: reportOf({ source, all: layers, choice, chosen, masks, skipped, excluded, before, after, remarks }),
    masks: [...masks.map((mask) => namedMask(mask)), ...kept],
    inputs: model.path === undefined ? [] : [model.path, ...model.externalFiles],
    ...writers({ source, choice, masks, kept, edits: [edits, dropped] }),
  };
}

const NAMELESS = 'under its name a mask would not be bound to it alone: the model calls another weight so';

async function count({ graph, proto }: Model, known: GraphInfo): Promise<Counts> {
  return countModel(known, await atSizes(known, proto, concreteSizes(graph, known.shapes)));
}

/**
 * Of another reading, as the compiler looks at it: computed shapes would pin what it can remove.
 */
async function foldedFacts(source: string | Uint8Array, signal: AbortSignal | undefined): Promise<Facts> {
  const context = passContext(readModel(source));
  await runPasses(choosePasses('inspection'), context, signal);
  return context.facts();
}

/** A share so small, or a multiple so large, that every unit stays. */
function nothingMasked({ ratio, widthMultiple }: Choice): PruneCompileError {
  const rounded =
    widthMultiple === undefined || widthMultiple === 1 ? '' : `, kept units rounded up to ${widthMultiple}`;
  return new PruneCompileError('E-USAGE', {
    what: `the ratio ${ratio} prunes no unit of any layer${rounded}`,
    facts: [['try', 'a larger --ratio, or a smaller --width-multiple']],
  });
}

/** How many reasons an error lists. */
const SHOWN_REASONS = 3;

function nothingToMask(
  { granularityName }: Choice,
  skipped: readonly Skipped[],
  layers: number,
  excluded: number,
): PruneCompileError {
  const isAll = excluded > 0 && excluded === layers;
  const subject = excluded > 0 ? 'no layer that --exclude leaves' : 'no layer of the model';
  const other = granularityName === 'unstructured' ? '' : '--granularity unstructured, or ';
  const model = 'a model with Conv, Gemm or MatMul layers whose weights are constant and not quantised';
  return new PruneCompileError('E-USAGE', {
    what: isAll
      ? `--exclude leaves no layer: it takes ${layers === 1 ? 'the only one' : `all ${layers}`}`
      : `${subject} can have masks of the granularity ${granularityName}`,
    facts: [
      ...skipped.slice(0, SHOWN_REASONS).map(({ layer, why }) => ['why', `${layer.label}: ${why}`] as const),
      ['try', isAll ? 'fewer layers in --exclude' : `${other}${excluded > 0 ? 'fewer layers in --exclude' : model}`],
    ],
  });
}

interface Made {
  readonly source: string | Uint8Array;
  readonly choice: Choice;
  readonly masks: readonly LayerMask[];
}

function writers({
  source,
  choice,
  masks,
  kept,
  edits,
}: Made & { kept: readonly NamedMask[]; edits: readonly (readonly OperandEdit[])[] }): Pick<
  MadeMasks,
  'encode' | 'write'
> {
  const described = {
    'prune-compile.version': TOOL.version,
    'prune-compile.mask': JSON.stringify(plainOptions(choice)),
  };
  const masked = () => {
    const again = readModel(source);
    for (const list of edits) applyEdits(new Editor(again.graph), 'apply masks', list);
    return again;
  };
  const named = () => [...masks.map((mask) => namedMask(mask)), ...kept];
  const encode = (format: MaskFormat): Uint8Array => {
    switch (format) {
      case 'safetensors':
        return writeSafetensors(named(), described);
      case 'npz':
        return writeNpz(named());
      case 'json':
        return writeJsonMasks(named());
      case 'onnx':
        return encodeModel(masked(), { metadata: described });
    }
  };
  return {
    encode,
    write: (path, format) =>
      format === 'onnx'
        ? writeModel(masked(), path, { metadata: described })
        : writeFiles([{ path, chunks: [encode(format)] }]),
  };
}

function plainOptions({ granularityName, ...others }: Choice): MaskMakingReport['options'] {
  return { ...others, granularity: granularityName };
}

interface Findings extends Made {
  readonly all: readonly MaskLayer[];
  readonly chosen: readonly Chosen[];
  readonly skipped: readonly Skipped[];
  readonly excluded: ReadonlySet<MaskLayer>;
  readonly before: Counts;
  readonly after: Counts;
  readonly remarks: readonly Remark[];
}

function reportOf({
  source,
  choice,
  all,
  chosen,
  masks,
  skipped,
  excluded,
  before,
  after,
  remarks,
}: Findings): MaskMakingReport {
  const compared = new Map(
    compareLayers(before.layers, after.layers).map((layer, at) => [before.layers[at]?.node, layer]),
  );
  const gone = ({ slots }: MaskLayer) =>
    slots.reduce((total, { node }) => {
      const layer = compared.get(node);
      return total + (layer === undefined ? 0 : layer.outputChannels - (layer.keptOutputChannels ?? 0));
    }, 0);
  const layers = chosen.map(({ layer, units, pruned }, at) => ({
    node: layer.label,
    opType: layer.slots[0].node.opType,
    mask: layer.key,
    shape: layer.slots[0].tensor.dims,
    units: units.count,
    masked: countBytes(pruned, 1),
    zeros: countBytes(masks[at]?.keep ?? new Uint8Array(0), 0),
    outputChannels: layer.matrix.outputs,
    removable: gone(layer),
  }));
  const macs = macsOfBoth(before, after);
  const figures = (counts: Counts, ops: number | undefined, channels: number): PredictedFigures => ({
    parameters: counts.figures.parameters,
    macs: ops,
    channels,
  });
  // Of the layers that are known before: folding makes more of them known, which were always there.
  const kept = [...compared.values()].reduce((total, { keptOutputChannels = 0 }) => total + keptOutputChannels, 0);
  const { kind } = choice.granularity;
  return {
    model: typeof source === 'string' ? source : '(bytes)',
    options: plainOptions(choice),
    unit: kind === 'unstructured' || kind === 'pattern' ? 'weight' : kind,
    layers,
    skipped: all.flatMap((layer) => {
      const why = excluded.has(layer) ? 'excluded' : skipped.find((entry) => entry.layer === layer)?.why;
      return why === undefined ? [] : [{ node: layer.label, why }];
    }),
    weights: masks.reduce((total, { keep }) => total + keep.length, 0),
    zeros: layers.reduce((total, { zeros }) => total + zeros, 0),
    before: figures(before, macs.before, before.figures.channels),
    after: figures(after, macs.after, kept),
    removableChannels: before.figures.channels - kept,
    stays: remarks
      .filter(({ cause, channels = 0 }) => cause !== undefined && channels > 0)
      .map(({ kind: said, message, channels = 0 }) => ({ kind: said, message, channels }))
      .toSorted((a, b) => b.channels - a.channels),
  };
}

function countBytes(bytes: Uint8Array, wanted: number): number {
  let total = 0;
  for (const byte of bytes) if (byte === wanted) total++;
  return total;
}
