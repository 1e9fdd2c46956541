/**
 * Every time that was measured as a dot, one strip for each model; a line at the median, and the
 * interval of the median behind it.
 */
import type { Spec } from 'vega';
import type { Contender } from '../../bench/results.js';
import { formatMs } from '../numbers.js';
import { FONT, FRAME, WIDTH } from './svg.js';

const LABEL_HEIGHT = 17;
const STRIP_HEIGHT = 26;
const GAP = 8;
const ROW = LABEL_HEIGHT + STRIP_HEIGHT + GAP;
const AXIS_HEIGHT = 20;
/** Dots lie beside each other where there are many: places of a strip, taken in turn. */
const LANES = [0.5, 0.2, 0.8, 0.35, 0.65];
/** Room for half a dot at both ends, and half a number of the axis. */
const MARGIN = 12;
/** Of the largest median: an interrupted run would press all others into a corner. */
const FARTHEST = 3;

export interface SampleStrips {
  readonly spec: Spec;
  /** Times beyond the end of the axis, drawn at its end. */
  readonly beyond: number;
}

export function samplesSpec(contenders: readonly Contender[]): SampleStrips {
  const finite = contenders.map(({ samplesMs }) => samplesMs.filter(Number.isFinite));
  const medians = contenders.map(({ medianMs }) => medianMs).filter(Number.isFinite);
  const longest = Math.max(...finite.flat(), Number.MIN_VALUE);
  const middle = Math.max(0, ...medians);
  const end = middle > 0 ? Math.min(longest, FARTHEST * middle) : longest;
  const dots = finite.flatMap((samples, row) =>
    samples.map((ms, at) => ({ row, ms: Math.min(ms, end), lane: LANES[at % LANES.length] })),
  );
  const rows = contenders.flatMap(({ name, medianMs, interval: [low, high] }, row) =>
    Number.isFinite(medianMs)
      ? [
          {
            row,
            name,
            medianMs,
            low,
            high: Math.min(high, end),
            text: formatMs(medianMs),
            isOurs: row === contenders.length - 1,
          },
        ]
      : [],
  );
  const height = contenders.length * ROW;
  const x = (field: string) => ({ scale: 'x', field });
  const y = (offset: number) => ({ field: 'row', mult: ROW, offset });
  const color = { signal: "datum.isOurs ? 'var(--bar)' : 'var(--before)'" };
  return {
    beyond: finite.flat().filter((ms) => ms > end).length,
    spec: {
      ...FRAME,
      height: height + AXIS_HEIGHT,
      data: [
        { name: 'dots', values: dots },
        { name: 'rows', values: rows },
      ],
      scales: [{ name: 'x', type: 'linear', domain: [0, end], range: [MARGIN, WIDTH - MARGIN] }],
      axes: [
        {
          orient: 'bottom',
          scale: 'x',
          offset: -AXIS_HEIGHT,
          tickCount: 5,
          format: '~r',
          labelColor: 'var(--soft)',
          labelFontSize: FONT.tick,
          domainColor: 'var(--line)',
          tickColor: 'var(--line)',
          grid: true,
          gridColor: 'var(--line)',
        },
      ],
      marks: [
        {
          type: 'rect',
          from: { data: 'rows' },
          encode: {
            enter: {
              x: x('low'),
              x2: x('high'),
              y: y(LABEL_HEIGHT),
              height: { value: STRIP_HEIGHT },
              fill: color,
              fillOpacity: { value: 0.25 },
            },
          },
        },
        {
          type: 'symbol',
          from: { data: 'dots' },
          encode: {
            enter: {
              x: x('ms'),
              y: { field: 'row', mult: ROW, offset: { field: 'lane', mult: STRIP_HEIGHT, offset: LABEL_HEIGHT } },
              size: { value: 16 },
              fill: { value: 'var(--ink)' },
              fillOpacity: { value: 0.35 },
            },
          },
        },
        {
          type: 'rect',
          from: { data: 'rows' },
          encode: {
            enter: {
              x: x('medianMs'),
              width: { value: 2 },
              y: y(LABEL_HEIGHT - 2),
              height: { value: STRIP_HEIGHT + 4 },
              fill: color,
            },
          },
        },
        ...(['name', 'text'] as const).map(
          (field) =>
            ({
              type: 'text',
              from: { data: 'rows' },
              encode: {
                enter: {
                  x: { value: field === 'name' ? 0 : WIDTH },
                  y: y(LABEL_HEIGHT - 5),
                  align: { value: field === 'name' ? 'left' : 'right' },
                  text: { field },
                  fill: { value: field === 'name' ? 'var(--ink)' : 'var(--soft)' },
                  fontSize: { value: FONT.label },
                },
              },
            }) as const,
        ),
      ],
    },
  };
}
