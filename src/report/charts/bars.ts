/**
 * Rows of bars: over each its label and, at the other end, its figure. So a long name has all the
 * room, and the chart is readable on a telephone.
 */
import type { Spec } from 'vega';
import { FONT, FRAME, WIDTH } from './svg.js';

export interface Segment {
  readonly value: number;
  /** A variable of the style sheet, without its dashes. */
  readonly color: Color;
}

export type Color = 'bar' | 'wide' | 'hold' | 'gone' | 'track' | 'before' | 'good' | 'bad';

export interface BarRow {
  readonly label: string;
  readonly figure: string;
  /** One below the other; the segments of each side by side, from the left. */
  readonly bars: readonly (readonly Segment[])[];
}

const LABEL_HEIGHT = 17;
const BAR_HEIGHT = 9;
/** Between the bars of a row, and between rows. */
const SLIT = 2;
const GAP = 9;
/** Of a character of a wide font (DejaVu Sans), on average: no browser is asked. */
const CHARACTER = 7.6;

/** `most`: what the whole width stands for; the largest row by default. */
export function barsSpec(rows: readonly BarRow[], most?: number): Spec {
  let height = 0;
  const labels: { y: number; label: string; figure: string }[] = [];
  const tracks: { y: number }[] = [];
  const segments: { y: number; from: number; to: number; color: string }[] = [];
  for (const { label, figure, bars } of rows) {
    labels.push({ y: height + LABEL_HEIGHT - 5, label: shortened(label, figure), figure });
    height += LABEL_HEIGHT;
    for (const bar of bars) {
      tracks.push({ y: height });
      let from = 0;
      for (const { value, color } of bar) {
        segments.push({ y: height, from, to: from + value, color: `var(--${color})` });
        from += value;
      }
      height += BAR_HEIGHT + SLIT;
    }
    height += GAP;
  }
  const text = (field: string, align: 'left' | 'right') =>
    ({
      type: 'text',
      from: { data: 'labels' },
      encode: {
        enter: {
          x: { value: align === 'left' ? 0 : WIDTH },
          y: { field: 'y' },
          align: { value: align },
          text: { field },
          fill: { value: align === 'left' ? 'var(--ink)' : 'var(--soft)' },
          fontSize: { value: FONT.label },
        },
      },
    }) as const;
  return {
    ...FRAME,
    height: Math.max(1, height),
    data: [
      { name: 'segments', values: segments },
      { name: 'tracks', values: tracks },
      { name: 'labels', values: labels },
    ],
    scales: [
      {
        name: 'x',
        type: 'linear',
        domain: [0, Math.max(most ?? 0, ...segments.map(({ to }) => to), Number.MIN_VALUE)],
        range: [0, WIDTH],
      },
    ],
    marks: [
      {
        type: 'rect',
        from: { data: 'tracks' },
        encode: {
          enter: {
            x: { value: 0 },
            x2: { value: WIDTH },
            y: { field: 'y' },
            height: { value: BAR_HEIGHT },
            fill: { value: 'var(--track)' },
          },
        },
      },
      {
        type: 'rect',
        from: { data: 'segments' },
        encode: {
          enter: {
            x: { scale: 'x', field: 'from' },
            x2: { scale: 'x', field: 'to' },
            y: { field: 'y' },
            height: { value: BAR_HEIGHT },
            fill: { field: 'color' },
          },
        },
      },
      text('label', 'left'),
      text('figure', 'right'),
    ],
  };
}

/** The end of a path tells layers apart, the beginning of words what they are about. */
function shortened(label: string, figure: string): string {
  const room = Math.max(1, Math.floor(WIDTH / CHARACTER) - figure.length - 2);
  if (label.length <= room) return label;
  return label.includes(' ') ? `${label.slice(0, room - 1)}…` : `…${label.slice(label.length - room + 1)}`;
}
