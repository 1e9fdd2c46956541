/**
 * A chart as SVG inside a page: drawn by Vega, here and not in the reader's browser. Its colours are
 * the variables of the page's style sheet, so that it is light, dark and printed as the page is.
 */
import type { Spec } from 'vega';

/** Units of the drawing; the page scales it to the room there is. */
export const WIDTH = 360;

/** What all charts have in common. */
export const FRAME = { width: WIDTH, padding: 0, autosize: 'none' } as const;

export const FONT = { label: 12, value: 12, tick: 10.5 } as const;

/** The inside of an svg element, and its size. */
export interface Drawing {
  readonly viewBox: string;
  readonly markup: string;
}

export async function drawn(spec: Spec): Promise<Drawing> {
  const { Error: errorsOnly, parse, View } = await import('vega');
  const view = new View(parse(spec), { renderer: 'none', logLevel: errorsOnly });
  try {
    return inside(await view.toSVG());
  } finally {
    view.finalize();
  }
}

/**
 * Inside HTML, SVG needs no namespaces; the page says what the picture shows, and has the font. Only
 * tags are looked at: Vega escapes what texts hold.
 */
function inside(svg: string): Drawing {
  const [, viewBox = '', markup = ''] = /^<svg [^>]*viewBox="([\d. ]*)"[^>]*>(.*)<\/svg>$/s.exec(svg) ?? [];
  if (viewBox === '') throw new TypeError('Vega drew something else than an svg element');
  return { viewBox, markup: markup.replace(/<[^>]*>/g, (tag) => tag.replace(DISPENSABLE, '')) };
}

const DISPENSABLE = / (?:role|aria-[a-z]+|class|pointer-events|font-family)="[^"]*"/g;
