/**
 * Speed over the share that was pruned, one line for each way, with its interval at every point; and
 * accuracy over speed.
 */
import type { Mark, Spec } from 'vega';
import type { Color } from './bars.js';
import { FONT, FRAME, WIDTH } from './svg.js';

export interface Series {
  readonly name: string;
  readonly color: Color;
  readonly shape: (typeof SHAPES)[number];
  readonly points: readonly { readonly x: number; readonly y: number; readonly low: number; readonly high: number }[];
}

export interface Rule {
  readonly y: number;
  readonly label: string;
  /** Two rules may be close to each other. */
  readonly side: 'left' | 'right';
}

/** In this order, so that neighbours differ without any colour. */
export const SHAPES = ['circle', 'square', 'triangle-up', 'diamond', 'cross', 'triangle-down'] as const;
export const COLORS: readonly Color[] = ['bar', 'hold', 'before', 'good', 'bad', 'gone'];

const HEIGHT = 220;
const LEFT = 34;
const BOTTOM = 22;
const TOP = 14;
/** Ends of the axes, in shares of the range. */
const ROOM = 0.04;

interface Chart {
  readonly series: readonly Series[];
  readonly rules: readonly Rule[];
  /** Of the numbers at the axes. */
  readonly formats: { readonly x: string; readonly y: string };
  /** Lines between points of a series, in the order of x. */
  readonly isJoined: boolean;
  /** Points through which one more line goes. */
  readonly front: readonly { readonly x: number; readonly y: number }[];
}

export function chartSpec({ series, rules, formats, isJoined, front }: Chart): Spec {
  const dots = series.flatMap(({ name, color, shape, points }) =>
    points.map((point) => ({ ...point, name, shape, color: `var(--${color})` })),
  );
  const axis = {
    labelColor: 'var(--soft)',
    labelFontSize: FONT.tick,
    domainColor: 'var(--line)',
    tickColor: 'var(--line)',
  };
  const grid = { grid: true, gridColor: 'var(--line)', tickCount: 5 };
  const place = { x: { scale: 'x', field: 'x' }, y: { scale: 'y', field: 'y' } } as const;
  const line = (color: string | { field: string }, width: number) =>
    ({
      type: 'line',
      encode: {
        enter: {
          ...place,
          stroke: typeof color === 'string' ? { value: color } : color,
          strokeWidth: { value: width },
          fill: { value: 'transparent' },
        },
      },
    }) as const;
  const lines: Mark = {
    type: 'group',
    from: { facet: { name: 'one', data: 'dots', groupby: 'name' } },
    marks: [{ ...line({ field: 'color' }, 2), from: { data: 'one' } }],
  };
  const joined = isJoined ? [lines] : [];
  return {
    ...FRAME,
    height: HEIGHT,
    data: [
      { name: 'dots', values: dots },
      { name: 'rules', values: [...rules] },
      { name: 'front', values: [...front] },
    ],
    scales: [
      { name: 'x', type: 'linear', zero: false, domain: extent(dots.map(({ x }) => x)), range: [LEFT, WIDTH - 8] },
      {
        name: 'y',
        type: 'linear',
        zero: false,
        domain: extent([...dots.flatMap(({ low, high }) => [low, high]), ...rules.map(({ y }) => y)]),
        range: [HEIGHT - BOTTOM, TOP],
      },
    ],
    axes: [
      { orient: 'bottom', scale: 'x', offset: -BOTTOM, format: formats.x, ...axis, ...grid },
      { orient: 'left', scale: 'y', offset: -LEFT, format: formats.y, ...axis, ...grid },
    ],
    marks: [
      {
        type: 'rule',
        from: { data: 'rules' },
        encode: {
          enter: {
            x: { value: LEFT },
            x2: { value: WIDTH - 8 },
            y: place.y,
            stroke: { value: 'var(--soft)' },
            strokeDash: { value: [4, 3] },
          },
        },
      },
      {
        type: 'text',
        from: { data: 'rules' },
        encode: {
          enter: {
            x: { signal: `datum.side === 'left' ? ${LEFT + 2} : ${WIDTH - 8}` },
            y: { scale: 'y', field: 'y', offset: -4 },
            align: { field: 'side' },
            text: { field: 'label' },
            fill: { value: 'var(--soft)' },
            fontSize: { value: FONT.tick },
          },
        },
      },
      ...(front.length > 1 ? [{ ...line('var(--ink)', 1), from: { data: 'front' } }] : []),
      ...joined,
      {
        type: 'rule',
        from: { data: 'dots' },
        encode: {
          enter: {
            x: place.x,
            y: { scale: 'y', field: 'low' },
            y2: { scale: 'y', field: 'high' },
            stroke: { field: 'color' },
            strokeWidth: { value: 2 },
          },
        },
      },
      {
        type: 'symbol',
        from: { data: 'dots' },
        encode: {
          enter: { ...place, shape: { field: 'shape' }, size: { value: 55 }, fill: { field: 'color' } },
        },
      },
    ],
  };
}

function extent(values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high > low ? high - low : 1) * ROOM;
  return [low - room, high + room];
}
