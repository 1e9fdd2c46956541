/**
 * What went wrong between masks and weights, with the names of both sides and what would settle it.
 */
import type { PruneCompileError } from '../errors.js';
import { isFloating } from '../ir/tensor.js';
import { nearestNames } from '../nearest.js';
import type { Binding } from './binding.js';
import type { Claim } from './claim.js';
import type { FileTensor } from './contents.js';
import { expandMask, type Layout } from './expand.js';
import { isBinary } from './evidence.js';
import { fateText, type TensorFate } from './fates.js';
import { type Facts, maskError, slotName, slotText } from './mask-error.js';
import { isNameOf, isPackedAttention, parseKey, saysScore, statedModule } from './names.js';
import type { WeightSlot } from './slots.js';

/** Entries of a list before it ends in "and 17 more". */
const LISTED = 5;

const NO_LAYERS = 'has no supported layer with constant floating-point weights';
const FEWER =
  'fewer layers are left than masks: the others may be quantised or fused, or the model may be a different one';
const FOLDED = 'a bias is bound only by its own name; the name is lost if a normalisation was folded into the bias';
const PACKED = 'exporters may split it into parts, which only their values identify: pass the whole state dict';
const EQUAL = 'their names do not tell them apart, and their values are equal, as in copies of an untrained layer';
const EXPORTED = 'the model as its exporter wrote it: apply masks before the model is quantised or optimised';

function claimText({ key, source }: Claim): string {
  const dims = source.kind === 'tensor' ? source.tensor.dims : source.kind === 'runs' ? source.shape : undefined;
  return dims === undefined ? key : `${key} [${dims.join(', ')}]`;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, LISTED).join(', ');
  return names.length > LISTED ? `${shown} and ${names.length - LISTED} more` : shown;
}

export function ambiguous(claim: Claim, slots: readonly WeightSlot[]): PruneCompileError {
  return maskError(
    'E-MASK-AMBIGUOUS',
    `the mask ${claim.key} of ${claim.file} could belong to ${slots.length} weights`,
    [
      ...slots.slice(0, LISTED).map((slot) => ['weight', slotText(slot)] as const),
      ['why', EQUAL],
      ['try', mapHint(claim, mostCertain(slots), slots)],
    ],
  );
}

/** As reports call it. */
function wayOf({ evidence }: Binding): string {
  return evidence === 'module' ? 'layer' : evidence;
}

export function twice(one: Binding, other: Binding): PruneCompileError {
  return maskError('E-MASK-AMBIGUOUS', `two masks of ${one.claim.file} are for the same weight`, [
    ['weight', slotText(one.slot)],
    ['masks', `${other.claim.key} (by ${wayOf(other)}) and ${one.claim.key} (by ${wayOf(one)})`],
    ['try', `--mask-map FILE with { ${JSON.stringify(one.claim.key)}: null } leaves one of them out`],
  ]);
}

export function contradiction(claim: Claim, named: WeightSlot, valued: WeightSlot): PruneCompileError {
  return maskError(
    'E-MASK-AMBIGUOUS',
    `the name and the values of ${claim.key} in ${claim.file} belong to two weights`,
    [
      ['by name', slotText(named)],
      ['by values', slotText(valued)],
      ['try', mapHint(claim, valued)],
    ],
  );
}

export function misfit(
  claim: Claim,
  slot: WeightSlot,
  slots: readonly WeightSlot[],
  layout: Layout,
): PruneCompileError {
  const [out, perGroup] = [
    slot.tensor.dims[slot.outAxis],
    slot.inAxis === undefined ? undefined : slot.tensor.dims[slot.inAxis],
  ];
  const wanted =
    slot.parameter === 'bias'
      ? `[${slot.tensor.dims.join(', ')}]`
      : `one number per weight${out === undefined ? '' : `, [${out}] per filter`}${perGroup === undefined ? '' : ` or [1, ${perGroup}, …] per input channel`}`;
  const { source } = claim;
  const given = givenText(claim);
  const dims = source.kind === 'tensor' ? source.tensor.dims.join() : undefined;
  const fitting = slots.filter(({ tensor }) => tensor.dims.join() === dims).map(slotName);
  return maskError('E-MASK-SHAPE', `the mask ${claim.key} of ${claim.file} does not fit its weight`, [
    ['mask', given],
    ['weight', slotText(slot)],
    ['wanted', wanted],
    ...(fitting.length === 0 ? [] : [['fits', listed(fitting)] as const]),
    ['try', turnedHint(claim, slot, layout) ?? SAME_NETWORK],
  ]);
}

const SAME_NETWORK = 'check that the masks and the model are of the same network; --mask-map names another weight';

/** Where the mask fits once it is turned: a matter of layouts. */
function turnedHint(claim: Claim, slot: WeightSlot, layout: Layout): string | undefined {
  const other: Layout = layout === 'torch' ? 'stored' : 'torch';
  if (expandMask(claim, slot, other) === undefined) return undefined;
  return layout === 'torch'
    ? "--mask-layout stored, if the mask has the axes of the model's tensor; PyTorch's [out, in] was expected"
    : "--mask-layout torch, if the mask has PyTorch's axes [out, in]; those of the tensor of its name were expected";
}

export function unclearLayout(claim: Claim, slot: WeightSlot): PruneCompileError {
  return maskError('E-MASK-AMBIGUOUS', `the layout of the mask ${claim.key} of ${claim.file} is unknown`, [
    ['mask', givenText(claim)],
    ['weight', slotText(slot)],
    ['why', 'the matrix is square: its rows may be filters or input channels'],
    ['try', "--mask-layout torch for [out, in], or --mask-layout stored for the axes of the model's tensor"],
  ]);
}

/** Stored tensors that subgraphs alone read, each with those who have the subgraphs. */
export type Captured = ReadonlyMap<string, string>;

/** A parameter that is there, where no mask can be put. */
function onlyInside(claims: readonly Claim[], captured: Captured): PruneCompileError | undefined {
  for (const claim of claims) {
    const found = [...captured].find(([name]) => isNameOf(name, claim.name));
    if (found === undefined) continue;
    const [name, readers] = found;
    return maskError('E-MASK-LOST', `${claim.key} of ${claim.file} is for ${name}, and would be lost in a subgraph`, [
      ['readers', readers],
      ['why', `subgraphs alone read ${name}, by its name, and no mask can be put there`],
      [
        'try',
        'write the zeros into the weights before the export (in PyTorch prune.remove) and compile without this mask',
      ],
    ]);
  }
  return undefined;
}

/** What no weight of the model would have: zeros, or what may stand for them. */
export function lostZeros(
  lost: readonly Claim[],
  fates: readonly TensorFate[],
  slots: readonly WeightSlot[],
  captured: Captured = new Map(),
): PruneCompileError {
  const inside = onlyInside(lost, captured);
  if (inside !== undefined) return inside;
  const [first] = lost;
  const file = first?.file ?? 'the mask file';
  const near = first === undefined ? [] : nearestNames(first.key, namesOf(slots));
  const kinds = new Set(lost.map(kindOfLost));
  return maskError(
    'E-MASK-LOST',
    kinds.has('zeros')
      ? `${formatCount(lost.length, 'tensor')} of ${file} ${lost.length === 1 ? 'has' : 'have'} zeros that the model would not have`
      : `${formatCount(lost.length, 'tensor')} of ${file} ${lost.length === 1 ? 'is' : 'are'} not understood, and may prune something`,
    [
      [lost.length === 1 ? 'tensor' : 'tensors', listed(lost.map(claimText))],
      ['others', fateText(fates)],
      ...[...kinds].map((kind) => ['why', LOST[kind]] as const),
      ...(near.length === 0 || first?.isDoubtful === true ? [] : [['near', listed(near)] as const]),
      ['try', lostHint(first)],
    ],
  );
}

type LostKind = 'zeros' | 'bits' | 'flags' | 'numbers' | 'scores';

const LOST: Readonly<Record<LostKind, string>> = {
  zeros: 'each belongs to no weight of the model by name, layer or values, or to one with other values',
  bits: "zeros and ones under a weight's own name are its mask or the weight itself, and the other masks have names of masks",
  flags: 'integers and booleans may say what is kept or gone; names and the graph do not say what these are',
  numbers: 'numbers may be indices of what is kept or gone; names and the graph do not say what these are',
  scores: 'a tool computes zeros from scores and thresholds, and neither the file nor the model has those zeros',
};

/** More than a fresh parameter's zeros. */
function isBits(tensor: FileTensor): boolean {
  return tensor.isCompact && isBinary(tensor) && tensor.toTensor().numbers().includes(1);
}

function kindOfLost({ source, key, name }: Claim): LostKind {
  if (source.kind !== 'tensor') return 'zeros';
  const { tensor } = source;
  if (!isFloating(tensor.dataType))
    return tensor.dims.length > 0 && tensor.isCompact && isBinary(tensor) ? 'flags' : 'numbers';
  if (tensor.holdsZero()) return name.isParameter && name.part === 'bare' && isBits(tensor) ? 'bits' : 'zeros';
  return saysScore(key) ? 'scores' : 'numbers';
}

function lostHint(first: Claim | undefined): string {
  const key = JSON.stringify(first?.key);
  const kind = first === undefined ? 'zeros' : kindOfLost(first);
  const unless = `--mask-map FILE with { ${key}: null }, or --allow-unmatched, if they prune nothing`;
  if (kind === 'scores') return `masks or weights with zeros, as the tool computes them from these; ${unless}`;
  if (kind === 'numbers')
    return `say it in a second file, --masks more.json with { "LAYER": { "keep": [0, 3] } } or "remove", and leave this out; ${unless}`;
  return `--mask-map FILE with { ${key}: "NAME" } or null, or --allow-unmatched if they prune nothing`;
}

function formatCount(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

function givenText(claim: Claim): string {
  const { source } = claim;
  if (source.kind === 'indices') {
    const beside = source.shape === undefined ? '' : `, of the shape [${source.shape.join(', ')}]`;
    return `the ${source.axis === 0 ? 'filters' : 'input channels'} ${listed(source.indices.map(String))}${beside}`;
  }
  if (source.kind === 'runs') {
    const sum = source.runs.reduce((total, run) => total + run, 0);
    return `runs of ${sum} elements together, of the shape [${source.shape.join(', ')}]`;
  }
  return claimText(claim);
}

/** An index beyond what earlier steps of a pruning history left. */
export function historyMisfit(claim: Claim, slot: WeightSlot, left: number): PruneCompileError {
  return maskError('E-MASK-SHAPE', `the pruning history of ${claim.file} does not fit the model`, [
    ['step', `${claim.key}: ${givenText(claim)}`],
    ['weight', slotText(slot)],
    ['why', `${left} are left after the earlier steps`],
    ['try', 'the model as it was before the first step of the history'],
  ]);
}

/** A step whose layer has no channels that could be followed: later steps would count wrongly. */
export function historyUnknown(claim: Claim, slot: WeightSlot): PruneCompileError {
  return maskError('E-MASK-NO-MATCH', `a step of the pruning history of ${claim.file} cannot be followed`, [
    ['step', `${claim.key}: ${givenText(claim)}`],
    ['weight', slotText(slot)],
    ['try', 'an export that keeps its normalisations (eval mode, without folding)'],
  ]);
}

export function softMask(claim: Claim, slot: WeightSlot, odd: number, isOtherWeight: boolean): PruneCompileError {
  const { source, name } = claim;
  const isMask = name.part === 'mask' || (source.kind === 'tensor' && !isFloating(source.tensor.dataType));
  const facts = (why: string | undefined, hint: string): Facts => [
    ['value', String(odd)],
    ['weight', slotText(slot)],
    ...(why === undefined ? [] : [['why', why] as const]),
    ['try', hint],
  ];
  const error = (said: string, given: Facts) =>
    maskError('E-MASK-SOFT', `the ${isMask ? 'mask' : 'tensor'} ${claim.key} of ${claim.file} ${said}`, given);
  if (!Number.isFinite(odd))
    return error(
      'holds NaN or infinity',
      isMask ? facts(undefined, MADE_ANEW) : facts(NOT_FINITE, 'a checkpoint from before the training diverged'),
    );
  if (!isOtherWeight)
    return maskError(
      'E-MASK-SOFT',
      `the mask ${claim.key} of ${claim.file} has values other than 0 and 1`,
      facts(undefined, 'round the masks where they are made, or --mask-soft multiply'),
    );
  if (isMask) return error('has values other than 0 and 1', facts(NO_FACTOR, 'zeros and ones, as in mask != 0'));
  return error(
    'is no mask, and not the weight that the model has',
    facts(OTHER_WEIGHTS, 'the masks, or a checkpoint of the model as it was exported'),
  );
}

const MADE_ANEW = 'look where the mask is made: a mask has zeros and ones';
const NOT_FINITE = 'a weight that is no number cannot be compared with that of the model';
const NO_FACTOR = '0 prunes and 1 keeps; a mask of bytes may have 255 for what is kept';
const OTHER_WEIGHTS =
  'its values are weights, and differ from those of the model: perhaps they are from another training run, or the exporter computed others from them';

export function unknownTarget(claim: Claim, wanted: string, slots: readonly WeightSlot[]): PruneCompileError {
  const near = nearestNames(wanted, namesOf(slots));
  return maskError('E-MASK-MAP', `--mask-map maps ${claim.key} to "${wanted}", which is not a weight of the model`, [
    ['near', listed(near.length > 0 ? near : namesOf(slots))],
    ['try', 'the name of an initializer, or of a layer (prune-compile inspect lists those)'],
  ]);
}

export function noMatch(
  left: readonly Claim[],
  bindings: readonly Binding[],
  slots: readonly WeightSlot[],
  captured: Captured = new Map(),
): PruneCompileError {
  const inside = onlyInside(left, captured);
  if (inside !== undefined) return inside;
  const [first] = left;
  const file = first?.file ?? 'the mask file';
  const layers = slots.filter(({ isLayer, parameter }) => isLayer && parameter === 'weight');
  const bound = new Set(bindings.map(({ slot }) => slot));
  const free = layers.filter((slot) => !bound.has(slot));
  const names = free.map(({ modulePaths: [path], ...slot }) => path ?? slot.value.name);
  const near = first === undefined ? [] : nearestNames(first.name.module, names);
  const keys = listed(left.map(claimText));
  if (bindings.length > 0)
    return maskError(
      'E-MASK-NO-MATCH',
      `${left.length} of ${left.length + countClaims(bindings)} masks of ${file} ${left.length === 1 ? 'has' : 'have'} no weight in the model`,
      [
        ['masks', keys],
        ['free', free.length === 0 ? 'no layer is left without a mask' : listed(free.map(slotText))],
        ...(near.length === 0 ? [] : [['near', listed(near)] as const]),
        ...(first !== undefined && isPackedAttention(first.name)
          ? [['why', PACKED] as const]
          : first?.name.parameter === 'bias'
            ? [['why', FOLDED] as const]
            : free.length < left.length
              ? [['why', FEWER] as const]
              : []),
        ['try', `--mask-map FILE with { ${JSON.stringify(first?.key)}: "NAME" } or null, or --allow-unmatched`],
      ],
    );
  return maskError('E-MASK-NO-MATCH', `${file} has no mask for any weight of the model`, [
    ['its keys', keys],
    [
      'the model',
      layers.length === 0 ? NO_LAYERS : listed(layers.map((slot) => `${slotName(slot)} of ${slot.node.label}`)),
    ],
    [
      'try',
      listedHint(left, slots) ??
        prefixHint(left, slots) ??
        (layers.length < left.length ? EXPORTED : `--mask-map FILE with { ${JSON.stringify(first?.key)}: "NAME" }`),
    ],
  ]);
}

function countClaims(bindings: readonly Binding[]): number {
  return new Set(bindings.map(({ claim }) => claim)).size;
}

function namesOf(slots: readonly WeightSlot[]): string[] {
  return slots.filter(({ isLayer }) => isLayer).flatMap((slot) => [...new Set([slotName(slot), slot.node.label])]);
}

/**
 * A stored tensor before a node that computes its weight: whoever else reads the parameter is then
 * masked as well.
 */
function mostCertain(slots: readonly WeightSlot[]): WeightSlot | undefined {
  return slots.find(({ value }) => value.initializer !== undefined) ?? slots[0];
}

/** Where several layers read one tensor, the name of the node says which is meant. */
function mapHint(claim: Claim, slot: WeightSlot | undefined, others: readonly WeightSlot[] = []): string {
  const isShared = slot !== undefined && others.some((other) => other !== slot && slotName(other) === slotName(slot));
  const name = slot === undefined ? 'NAME' : isShared ? slot.node.label : slotName(slot);
  return `--mask-map FILE with { ${JSON.stringify(claim.key)}: ${JSON.stringify(name)} }${others.length > 1 ? ', or another of them' : ''}`;
}

/** Names in the dictionaries of a list: each place is another prefix, so the map has them all. */
function listedHint(claims: readonly Claim[], slots: readonly WeightSlot[]): string | undefined {
  const weights = slots.filter(({ isLayer, parameter }) => isLayer && parameter === 'weight');
  const pairs = claims.flatMap(({ key, isListed }) => {
    const inner = parseKey(key.replace(/^.*\]\.?/, ''));
    const slot = weights.find(({ names, modulePaths }) => {
      const modules = [...names.map(withoutParameter), ...modulePaths.map(statedModule)];
      return inner !== undefined && modules.includes(inner.module);
    });
    return isListed === true && slot !== undefined ? [`${JSON.stringify(key)}: ${JSON.stringify(slotName(slot))}`] : [];
  });
  return pairs.length === 0 ? undefined : `--mask-map FILE with { ${pairs.join(', ')} }`;
}

/** The prefix without which most keys would be known, if there is one. */
function prefixHint(claims: readonly Claim[], slots: readonly WeightSlot[]): string | undefined {
  const known = new Set(slots.flatMap(({ modulePaths, names }) => [...modulePaths, ...names.map(withoutParameter)]));
  const votes = new Map<string, number>();
  for (const { key, name } of claims) {
    const segments = name.module.split('.');
    for (let cut = 1; cut < segments.length; cut++) {
      const module = segments.slice(cut).join('.');
      const at = key.indexOf(`.${module}`) + 1;
      if (known.has(module) && at > 0) votes.set(key.slice(0, at), (votes.get(key.slice(0, at)) ?? 0) + 1);
    }
  }
  const [best] = [...votes].toSorted(([, a], [, b]) => b - a);
  return best === undefined ? undefined : `--mask-prefix ${best[0]}`;
}

function withoutParameter(name: string): string {
  return name.replace(/\.(weight|bias)(_orig|_mask)?$/, '');
}
