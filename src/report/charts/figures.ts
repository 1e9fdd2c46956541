/** The pictures of a report: what each shows, in words, and its drawing. */
import type { Benchmark } from '../../bench/results.js';
import type { LayerFigures } from '../../figures/figures.js';
import { formatBytes, formatCount, formatInteger, formatMs, formatPlural, formatShare } from '../numbers.js';
import { CONTENDER, placeAmong } from '../summary.js';
import type { CompileReport } from '../types.js';
import { type BarRow, barsSpec, type Color } from './bars.js';
import { causeText, isExpected } from './causes.js';
import { samplesSpec } from './samples.js';
import { type Drawing, drawn } from './svg.js';

export interface Figure {
  readonly title: string;
  /** For whoever does not see it, and for whoever does. */
  readonly caption: string;
  readonly legend: readonly { readonly color: Color; readonly text: string }[];
  readonly drawing: Drawing;
}

/** More layers make a picture that nobody reads to its end; the table has all. */
const MOST_LAYERS = 60;

/** What was gained; times. */
export async function mainFigures(report: CompileReport): Promise<Figure[]> {
  const { benchmarks = [] } = report;
  const figures = [await beforeAfter(report)];
  for (const benchmark of benchmarks) figures.push(await times(benchmark, placeAmong(benchmark, benchmarks)));
  return figures;
}

/** Layer by layer. */
export async function layerFigures(report: CompileReport): Promise<Figure[]> {
  const held = heldByLayer(report);
  const layers = report.layers.filter(
    ({ node, outputChannels, keptOutputChannels, sparsity }) =>
      outputChannels !== keptOutputChannels || sparsity > 0 || held.has(node),
  );
  const figures: Figure[] = [];
  if (layers.length > 0) {
    const shown = layers.slice(0, MOST_LAYERS);
    const note = captionOf(report.layers, layers, shown);
    figures.push(report.sparse === undefined ? await widths(shown, held, note) : await weightsKept(shown, note));
    figures.push(await zeros(shown, note));
  }
  const reasons = await whyChannelsStay(report);
  return reasons === undefined ? figures : [...figures, reasons];
}

function captionOf(
  all: readonly LayerFigures[],
  changed: readonly LayerFigures[],
  shown: readonly LayerFigures[],
): string {
  const untouched = all.length - changed.length;
  const more = changed.length - shown.length;
  return [
    more > 0 ? `The first ${formatInteger(shown.length)} layers; ${formatInteger(more)} more are in the table.` : '',
    untouched > 0
      ? `${formatPlural(untouched, 'layer')} without zeros ${untouched === 1 ? 'is' : 'are'} left out.`
      : '',
  ]
    .filter((text) => text !== '')
    .join(' ');
}

async function beforeAfter(report: CompileReport): Promise<Figure> {
  const { before, after, benchmarks = [] } = report;
  const pair = (label: string, format: (value: number) => string, from: number, to: number): BarRow => ({
    label,
    figure: `${format(from)} → ${format(to)}`,
    bars: [[{ value: 1, color: 'before' }], [{ value: from === 0 ? 0 : to / from, color: 'bar' }]],
  });
  const latencies = benchmarks.flatMap((benchmark) => {
    const median = (name: string) => benchmark.contenders.find((contender) => contender.name === name)?.medianMs;
    const [from, to] = [median(CONTENDER.masked), median(CONTENDER.compiled)];
    return from === undefined || to === undefined || !Number.isFinite(from + to)
      ? []
      : [pair(`latency, ${placeAmong(benchmark, benchmarks)}`, formatMs, from, to)];
  });
  const rows = [
    ...latencies,
    ...(before.macs === undefined || after.macs === undefined
      ? []
      : [pair('multiply-accumulates', formatCount, before.macs, after.macs)]),
    pair('parameters', formatCount, before.parameters, after.parameters),
    pair('file size', formatBytes, before.sizeBytes, after.sizeBytes),
  ];
  return {
    title: 'Before and after',
    caption: 'Shorter is better. Each pair has its own scale: the bar above is the input.',
    legend: [
      { color: 'before', text: 'before' },
      { color: 'bar', text: 'compiled' },
    ],
    drawing: await drawn(barsSpec(rows)),
  };
}

async function times({ contenders }: Benchmark, place: string): Promise<Figure> {
  const { spec, beyond } = samplesSpec(contenders);
  const outside =
    beyond === 0
      ? ''
      : ` ${formatPlural(beyond, 'time')} beyond the end of the axis ${beyond === 1 ? 'is' : 'are'} drawn at it.`;
  return {
    title: `Latency, ${place}, in milliseconds`,
    caption: `Each dot is a measured round; the line is the median, the band its 95 % interval.${outside}`,
    legend: [],
    drawing: await drawn(spec),
  };
}

/** Dead channels that are kept, by layer: those for speed, and all others. */
function heldByLayer({ remarks }: CompileReport): ReadonlyMap<string, { speed: number; other: number }> {
  const held = new Map<string, { speed: number; other: number }>();
  for (const { cause, layers = [] } of remarks) {
    if (cause === undefined) continue;
    for (const { node, channels } of layers) {
      const entry = held.get(node) ?? { speed: 0, other: 0 };
      if (cause === 'speed') entry.speed += channels;
      else entry.other += channels;
      held.set(node, entry);
    }
  }
  return held;
}

async function widths(
  layers: readonly LayerFigures[],
  held: ReadonlyMap<string, { speed: number; other: number }>,
  note: string,
): Promise<Figure> {
  const rows = layers.map(({ node, outputChannels, keptOutputChannels = 0 }): BarRow => {
    const { speed = 0, other = 0 } = held.get(node) ?? {};
    const wide = Math.min(speed, keptOutputChannels);
    const needed = Math.min(other, keptOutputChannels - wide);
    return {
      label: node,
      figure:
        outputChannels === keptOutputChannels
          ? formatInteger(outputChannels)
          : `${formatInteger(outputChannels)} → ${formatInteger(keptOutputChannels)}`,
      bars: [
        [
          { value: keptOutputChannels - wide - needed, color: 'bar' },
          { value: wide, color: 'wide' },
          { value: needed, color: 'hold' },
          { value: outputChannels - keptOutputChannels, color: 'gone' },
        ],
      ],
    };
  });
  return {
    title: 'Channels of each layer',
    caption:
      `Channels are kept although they are dead where the wider layer is faster, or where something needs them. ${note}`.trim(),
    legend: [
      { color: 'bar', text: 'in use' },
      { color: 'wide', text: 'dead, kept for speed' },
      { color: 'hold', text: 'dead, needed' },
      { color: 'gone', text: 'removed' },
    ],
    drawing: await drawn(barsSpec(rows)),
  };
}

/** Sparse operators keep every channel: what counts is how many weights they compute with. */
async function weightsKept(layers: readonly LayerFigures[], note: string): Promise<Figure> {
  const rows = layers.map(({ node, sparsity, isSparse }): BarRow => {
    const kept = isSparse === true ? 1 - sparsity : 1;
    return {
      label: node,
      figure: isSparse === true ? formatShare(kept) : 'dense',
      bars: [[{ value: kept, color: isSparse === true ? 'bar' : 'before' }]],
    };
  });
  return {
    title: 'Weights kept in each layer',
    caption: `A sparse operator computes with the weights that are not zero, a dense layer with all. ${note}`.trim(),
    legend: [
      { color: 'bar', text: 'sparse operator' },
      { color: 'before', text: 'dense' },
    ],
    drawing: await drawn(barsSpec(rows, 1)),
  };
}

async function zeros(layers: readonly LayerFigures[], note: string): Promise<Figure> {
  const rows = layers.map(({ node, sparsity }): BarRow => ({
    label: node,
    figure: formatShare(sparsity),
    bars: [[{ value: sparsity, color: 'before' }]],
  }));
  return {
    title: 'Zero weights of each layer, before',
    caption: `The whole width is 100 %. ${note}`.trim(),
    legend: [],
    drawing: await drawn(barsSpec(rows, 1)),
  };
}

/** Undefined where every dead channel went. */
async function whyChannelsStay({ remarks }: CompileReport): Promise<Figure | undefined> {
  const byText = new Map<string, { channels: number; expected: boolean }>();
  for (const remark of remarks) {
    const { cause, channels = 0, operator } = remark;
    if (cause === undefined || channels === 0) continue;
    const text = causeText(cause, operator);
    const entry = byText.get(text) ?? { channels: 0, expected: isExpected(remark) };
    byText.set(text, { ...entry, channels: entry.channels + channels });
  }
  if (byText.size === 0) return undefined;
  const sorted = [...byText].toSorted(
    ([, one], [, other]) => Number(one.expected) - Number(other.expected) || other.channels - one.channels,
  );
  const rows = sorted.map(([label, { channels, expected }]): BarRow => ({
    label,
    figure: formatInteger(channels),
    bars: [[{ value: channels, color: expected ? 'before' : 'hold' }]],
  }));
  return {
    title: 'Dead channels that stay, and why',
    caption: 'The remarks below have the layers, and what can be done.',
    legend: [
      ...(sorted.some(([, { expected }]) => !expected) ? [{ color: 'hold', text: 'missed' } as const] : []),
      ...(sorted.some(([, { expected }]) => expected) ? [{ color: 'before', text: 'as it should be' } as const] : []),
    ],
    drawing: await drawn(barsSpec(rows)),
  };
}
