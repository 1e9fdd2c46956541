/**
 * What `mask` prints. Names of layers come last in their lines: they are never cut, so that they
 * can be copied.
 */
import type { MaskMakingReport } from '../mask-maker/report.js';
import { shown } from '../printable.js';
import { formatChange, formatCount, formatDelta, formatInteger, formatPlural, formatShare } from './numbers.js';
import { type Cell, textTable } from './text-table.js';
import { shellWord, wrapText } from './text.js';

const WIDTH = 80;
/** Layers without a mask, and reasons for channels that stay: the first so many; --json has all. */
const SHOWN = 3;

export interface MaskMaking extends MaskMakingReport {
  readonly output: string;
}

export function renderMaskMaking(given: MaskMaking): string {
  const made = shown(given);
  const { model, output, zeros, weights, layers } = made;
  const share = formatShare(zeros / Math.max(weights, 1));
  const head = [
    askedText(made),
    `${formatInteger(zeros)} of ${formatInteger(weights)} weights in ${formatPlural(layers.length, 'layer')} become zero (${share})`,
  ];
  return [
    `${model} -> ${output}`,
    ...head.flatMap((line) => wrapText(line, WIDTH, '  ')),
    ...layerLines(made),
    ...skippedLines(made),
    '',
    `what the compiler will remove of it${made.options.meaning === 'drop' ? ' with --meaning drop' : ''}:`,
    ...figureLines(made),
    ...verdictLines(made).flatMap((line) => wrapText(line, WIDTH, '  ')),
    ...nextLines(made),
    '',
  ].join('\n');
}

function askedText({ options, unit }: MaskMaking): string {
  const { granularity, criterion, ratio, scope, groups, widthMultiple } = options;
  const isPattern = /^\d+:\d+$/.test(granularity);
  const what = isPattern || unit === 'block' ? granularity : `${unit}s`;
  const share = isPattern ? '' : `, ${formatShare(ratio)} of ${scope === 'global' ? 'all together' : 'each layer'}`;
  return [
    `${what} by ${criterion}${share}`,
    ...(groups === 'residual' ? ['groups aligned'] : []),
    ...(widthMultiple > 1 ? [`widths a multiple of ${widthMultiple}`] : []),
  ].join(', ');
}

function layerLines({ layers, unit }: MaskMaking): string[] {
  const rows = layers.map((layer): Cell[] => [
    formatInteger(layer.units),
    formatInteger(layer.masked),
    formatShare(
      layer.zeros /
        Math.max(
          layer.shape.reduce((total, extent) => total * extent, 1),
          1,
        ),
    ),
    formatInteger(layer.outputChannels),
    layer.removable === 0 ? '-' : formatInteger(layer.removable),
    `${layer.opType} ${layer.node}`,
  ]);
  const head = [`${unit}s`, 'masked', 'weights 0', 'channels', 'removable', 'layer'];
  const columns = head.map((_, index) => ({
    align: index === head.length - 1 ? ('left' as const) : ('right' as const),
  }));
  return ['', ...textTable(columns, [head, ...rows])];
}

function skippedLines({ skipped }: MaskMaking): string[] {
  if (skipped.length === 0) return [];
  const more = skipped.length - SHOWN;
  return [
    '',
    ...skipped.slice(0, SHOWN).flatMap(({ node, why }) => wrapText(`no mask: ${node}: ${why}`, WIDTH, '  ')),
    ...(more > 0 ? [`and ${formatInteger(more)} more: --json`] : []),
  ];
}

function figureLines({ before, after, removableChannels }: MaskMaking): string[] {
  const macs = (value: number | undefined) => (value === undefined ? 'unknown' : formatCount(value));
  const change = before.macs === undefined || after.macs === undefined ? '' : formatChange(before.macs, after.macs);
  return textTable(
    [{ width: 24 }, { width: 14 }, { width: 14 }, { width: 28 }],
    [
      ['', 'now', 'compiled', 'change'],
      [
        'channels',
        formatInteger(before.channels),
        formatInteger(after.channels),
        removableChannels === 0 ? '0' : formatDelta(before.channels, after.channels),
      ],
      [
        'parameters',
        formatCount(before.parameters),
        formatCount(after.parameters),
        formatChange(before.parameters, after.parameters),
      ],
      ['MACs', macs(before.macs), macs(after.macs), change],
    ],
  );
}

/** Filters and channels can be cut out. */
function isWhole(unit: MaskMaking['unit']): boolean {
  return unit === 'filter' || unit === 'channel';
}

/** Plainly: zeros alone make nothing faster. */
function verdictLines(made: MaskMaking): string[] {
  const { unit, layers, removableChannels, options, stays } = made;
  const lines: string[] = [];
  if (!isWhole(unit)) {
    const which = removableChannels === 0 ? 'These zeros remain' : 'The other zeros remain';
    lines.push(
      `${which}: dense kernels do not skip zeros, so they save no time. Whole filters do (--granularity filter --groups residual), and so does compiling with --sparse.`,
    );
  }
  if (isWhole(unit) && options.groups === 'none') {
    const masked = layers.reduce((total, layer) => total + layer.masked, 0);
    // Channels may also go where no mask is, so that less may go than is masked, or more.
    if (removableChannels < masked)
      lines.push(
        `${formatInteger(masked)} ${unit}s are masked and ${formatPlural(removableChannels, 'channel')} can be removed. Channels of a residual stream can only be removed together: --groups residual prunes them together.`,
      );
  }
  lines.push(...stays.slice(0, SHOWN).map(({ kind: said, message }) => `${said}: ${message}`));
  return lines.length === 0 ? [] : ['', ...lines];
}

function nextLines({ model, output, options, unit }: MaskMaking): string[] {
  const meaning = options.meaning === 'drop' ? ' --meaning drop' : '';
  const command = output.endsWith('.onnx')
    ? `prune-compile ${shellWord(output)}`
    : `prune-compile ${shellWord(model)} --masks ${shellWord(output)}${meaning}`;
  const sparse = isWhole(unit) ? '' : ' --sparse';
  return ['', `next: ${command}${sparse}`];
}
