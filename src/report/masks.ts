/** Masks in words: how many, for what, by which evidence, and what a masked filter means. */
import { formatInteger, formatPlural } from './numbers.js';
import { fateText } from '../masks/fates.js';
import type { BoundMask, MaskReport } from '../masking/mask-report.js';
import type { CompileReport } from './types.js';

const EVIDENCE: Readonly<Record<BoundMask['evidence'], string>> = {
  map: '--mask-map',
  name: 'name',
  module: 'layer',
  values: 'values',
  shape: 'shape alone',
};

const MEANING = {
  zero: 'zero: bias and BN shift stay',
  drop: 'drop: bias and BN shift go',
} as const;

export function evidenceText({ evidence }: BoundMask): string {
  return EVIDENCE[evidence];
}

/** `19 masks, 21 792 zeros, bound by layer` */
export function masksText({ masks, zeros }: MaskReport): string {
  const ways = [...new Set(masks.map(evidenceText))];
  const counted = `${formatPlural(masks.length, 'mask')}, ${formatInteger(zeros)} zeros`;
  return ways.length === 0 ? counted : `${counted}, bound by ${ways.join(', ')}`;
}

/**
 * What the files hold beside masks, in a row of its own: `18 parameters of the model, 2 counters`;
 * none where there is nothing.
 */
export function otherTensors({ files }: MaskReport): { label: string; text: string }[] {
  const others = files.flatMap(({ tensors }) => tensors.filter(({ fate }) => fate !== 'mask' && fate !== 'zeros'));
  return others.length === 0 ? [] : [{ label: 'other tensors', text: fateText(others) }];
}

export function meaningText({ masks }: CompileReport): string {
  const meaning = masks?.meaning ?? 'zero';
  const dropped = masks?.droppedFilters ?? 0;
  return `${MEANING[meaning]}${meaning === 'drop' ? ` (${formatPlural(dropped, 'filter')})` : ''}`;
}

/**
 * What a reader should know before trusting the figures: masks left out, layers without one, values
 * that disagree.
 */
export function maskNotes({ masks, unmatched, unmaskedLayers, files }: MaskReport): string[] {
  const differing = masks.filter(({ values }) => values === 'different').map(({ key }) => key);
  const notes: string[] = [];
  if (unmatched.length > 0) notes.push(`${formatPlural(unmatched.length, 'mask')} left out: ${listed(unmatched)}`);
  if (files.length > 0 && unmaskedLayers.length > 0)
    notes.push(`${formatPlural(unmaskedLayers.length, 'layer')} without a mask: ${listed(unmaskedLayers)}`);
  const others = files.flatMap(({ tensors }) => tensors.filter(({ fate }) => fate === 'differs').map(({ key }) => key));
  if (others.length > 0)
    notes.push(
      `${formatPlural(others.length, 'parameter')} of the file ${others.length === 1 ? 'has' : 'have'} other values than in the model, which keeps its own: ${listed(others)}`,
    );
  const byShape = masks.filter(({ evidence }) => evidence === 'shape').map(({ key }) => key);
  if (byShape.length > 0)
    notes.push(
      `${formatPlural(byShape.length, 'mask')} bound by shape alone: the model's weight may be computed from the parameter, and then the mask may not be right for it: ${listed(byShape)}`,
    );
  if (differing.length > 0)
    notes.push(
      `the weights stored with ${formatPlural(differing.length, 'mask')} differ from the model's: the masks may be from another training run (${listed(differing)})`,
    );
  return notes;
}

/** Names that fit a line or two; the JSON report has them all. */
const LISTED = 3;

function listed(names: readonly string[]): string {
  const more = names.length - LISTED;
  return `${names.slice(0, LISTED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
