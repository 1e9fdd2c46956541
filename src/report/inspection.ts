/**
 * What `inspect` and `why` print. Names of nodes come last in their lines: they are never cut, so
 * that they can be copied.
 */
import { shown } from '../printable.js';
import type { Inspection, SparseInspection } from '../inspect.js';
import type { Remark } from '../../passes/pass.js';
import type { Explanation, WhyGroup } from '../why.js';
import { formatBytes, formatCount, formatInteger, formatPlural, formatShare } from './numbers.js';
import { type Cell, textTable } from './text-table.js';
import { missedRemarks, remarkText, shellWord, wrapText } from './text.js';
import { unreadText } from './unread.js';

const WIDTH = 80;
/** Scattered channels are shown up to so many ranges; --json has all. */
const RANGES = 12;
/** Layers that a remark lists; --json has all. */
const LAYERS = 6;

export function renderInspection(given: Inspection): string {
  const inspection = shown(given);
  const { model, opset, figures, removableChannels, sparse } = inspection;
  const title = `${model}: opset ${opset}, ${formatPlural(figures.nodes, 'node')}, ${formatBytes(figures.sizeBytes)}`;
  if (sparse !== undefined) return [...wrapText(title, WIDTH), ...sparseLines(inspection, sparse), ''].join('\n');
  const head = [
    title,
    `${formatCount(figures.parameters)} parameters, ${formatShare(figures.zeros / Math.max(figures.parameters, 1))} of them zero`,
    figures.channels === 0
      ? 'no channels are known that could go'
      : `${formatInteger(removableChannels)} of ${formatPlural(figures.channels, 'channel')} can be removed without changing the outputs`,
  ];
  return [
    ...head.flatMap((line) => wrapText(line, WIDTH)),
    ...layerLines(inspection),
    ...subgraphLines(inspection, ['']),
    ...unreadLines(inspection),
    ...opLines(inspection),
    ...remarkLines(inspection),
    '',
  ].join('\n');
}

function sparseLines(inspection: Inspection, { layers, others }: SparseInspection): string[] {
  const total = (of: (layer: SparseInspection['layers'][number]) => number) =>
    layers.reduce((sum, layer) => sum + of(layer), 0);
  const [weights, kept, sparse] = [
    total((layer) => layer.weights),
    total((layer) => layer.keptWeights),
    total(({ isSparse }) => Number(isSparse)),
  ];
  const rows = layers.map((layer): Cell[] => [
    formatInteger(layer.weights),
    formatInteger(layer.keptWeights),
    formatShare(layer.sparsity),
    `${layer.opType.replace(/^.*::/, '')} ${layer.node}`,
  ]);
  const list = others.map(({ op, count }) => `${op} (${formatInteger(count)})`).join(', ');
  const right = { align: 'right' } as const;
  return [
    `compiled with --sparse: ${formatPlural(sparse, 'layer')} sparse, ${formatInteger(layers.length - sparse)} dense`,
    `${formatCount(inspection.figures.parameters)} parameters stored; ${formatShare(1 - kept / Math.max(weights, 1))} of the layers' weights are zero`,
    '',
    ...textTable([right, right, right, {}], [['weights', 'kept', 'zeros', 'layer'], ...rows]),
    '',
    ...subgraphLines(inspection),
    ...(list === '' ? [] : wrapText(`other native operators: ${list}`, WIDTH, '  ')),
    ...wrapText(
      'To see what could still be removed, and why layers are dense, inspect the model that this one was compiled from, or compile that model with --report.',
      WIDTH,
    ),
  ];
}

/** Behind an empty line where `before` says so. */
function subgraphLines({ subgraphLayers }: Inspection, before: readonly string[] = []): string[] {
  if (subgraphLayers === 0) return [];
  const verb = subgraphLayers === 1 ? 'is' : 'are';
  const text = `not counted: ${formatPlural(subgraphLayers, 'layer')} inside If, Loop or Scan, which ${verb} compiled on ${verb === 'is' ? 'its' : 'their'} own`;
  return [...before, ...wrapText(text, WIDTH, '  ')];
}

function unreadLines({ unreadWeights }: Inspection): string[] {
  return unreadWeights.length === 0 ? [] : ['', ...wrapText(unreadText(unreadWeights), WIDTH, '  ')];
}

function layerLines({ layers }: Inspection): string[] {
  if (layers.length === 0) return ['', 'no layer has constant weights of a supported form'];
  const rows = layers.map((layer): Cell[] => [
    formatInteger(layer.outputChannels),
    countOrDash(layer.zeroFilters),
    countOrDash(layer.constantChannels),
    countOrDash(layer.unneededChannels),
    countOrDash(layer.removableChannels),
    formatShare(layer.sparsity),
    `${layer.opType} ${layer.node}`,
  ]);
  const head = ['channels', 'zero', 'constant', 'unneeded', 'removable', 'weights 0', 'layer'];
  const columns = head.map((_, index) => ({
    align: index === head.length - 1 ? ('left' as const) : ('right' as const),
  }));
  return ['', ...textTable(columns, [head, ...rows])];
}

function countOrDash(value: number): string {
  return value === 0 ? '-' : formatInteger(value);
}

function opLines({ unknownOps }: Inspection): string[] {
  if (unknownOps.length === 0) return [];
  const list = unknownOps.map(({ op, count }) => `${op} (${formatInteger(count)})`).join(', ');
  return ['', ...wrapText(`unsupported operators, whose channels are all kept: ${list}`, WIDTH, '  ')];
}

function remarkLines({ remarks, model }: Inspection): string[] {
  // What is not known and holds nothing back is in the list of operators.
  const notes = remarks.filter(({ kind, channels }) => kind === 'note' && channels !== 0);
  const said = [...missedRemarks(remarks), ...notes];
  const first = said.flatMap(({ node, layers = [] }) => node ?? layers[0]?.node ?? [])[0];
  return [
    ...(said.length === 0 ? [] : ['']),
    ...said.flatMap((remark) => wrapText(`${remark.kind}: ${remarkText(remark)}${layersText(remark)}`, WIDTH, '  ')),
    ...(first === undefined ? [] : ['', `the whole chain: prune-compile why ${shellWord(model)} ${shellWord(first)}`]),
  ];
}

/** ` (/conv2: 24, /conv5: 8, …)`; one layer is named by the message. */
function layersText({ layers = [] }: Remark): string {
  if (layers.length < 2) return '';
  const named = layers.slice(0, LAYERS).map(({ node, channels }) => `${node}: ${formatInteger(channels)}`);
  return ` (${[...named, ...(layers.length > LAYERS ? ['…'] : [])].join(', ')})`;
}

export function renderExplanation(explanation: Explanation): string {
  const { node, channels, groups } = shown(explanation);
  const removable = groups
    .filter(({ state }) => state === 'removable')
    .reduce((total, group) => total + group.channels.length, 0);
  const lines = groups.flatMap((group) => {
    const { length } = group.channels;
    // Something without channels, such as a weight's own Transpose: there is nothing to count.
    if (channels === 0) return wrapText(chainText(group), WIDTH, '  ');
    const what = `${length === 1 ? 'channel' : 'channels'} ${formatRanges(group.channels)} (${formatInteger(length)} of ${formatInteger(channels)})`;
    const verb = group.state === 'removable' ? 'can be removed' : length === 1 ? 'is kept' : 'are kept';
    const chain = chainText(group);
    return wrapText(`${what} ${verb}${chain === '' ? '' : `: ${chain}`}`, WIDTH, '  ');
  });
  const share = `${formatInteger(removable)} of ${formatPlural(channels, 'channel')} can be removed`;
  return [`${node}: ${channels === 0 ? 'nothing can be removed' : share}`, ...lines, ''].join('\n');
}

/**
 * `they depend on the input; /layer1.0/Add (Add), needed by /layer1.1/conv1/Conv (Conv): its
 * weights on them are not zero`
 */
function chainText({ chain, state, cause }: WhyGroup): string {
  const [first, ...others] = chain;
  const last = others.at(-1);
  if (first === undefined) return '';
  if (last === undefined || state === 'removable') return chain.map(({ reason }) => reason).join('; ');
  const path = others.slice(0, -1).map(stepText).join(' <- ');
  const reason = last.reason.replace(/^needs them: /, '');
  return `${first.reason}; ${path}${path === '' ? '' : ', '}${cause === undefined || cause === 'alive' ? 'needed' : 'held'} by ${stepText(last)}: ${reason}`;
}

function stepText({ node, op }: WhyGroup['chain'][number]): string {
  return op === '' ? node : `${node} (${op})`;
}

/** 3, 7, 9-12; cut after RANGES. */
export function formatRanges(channels: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const channel of channels.toSorted((one, other) => one - other)) {
    const range = ranges.at(-1);
    if (range !== undefined && channel === range[1] + 1) range[1] = channel;
    else ranges.push([channel, channel]);
  }
  const texts = ranges
    .slice(0, RANGES)
    .map(([first, last]) =>
      first === last ? `${first}` : last === first + 1 ? `${first}, ${last}` : `${first}-${last}`,
    );
  return [...texts, ...(ranges.length > RANGES ? ['…'] : [])].join(', ');
}
