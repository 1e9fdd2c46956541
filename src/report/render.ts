/** A report in the format that a file's name asks for. */
import { extname } from 'node:path';
import { renderHtml } from './html.js';
import { renderJson } from './json.js';
import { renderMarkdown } from './markdown.js';
import type { CompileReport } from './types.js';

type Renderer = (report: CompileReport) => string | Promise<string>;

const RENDERERS: ReadonlyMap<string, Renderer> = new Map<string, Renderer>([
  ['.json', renderJson],
  ['.md', renderMarkdown],
  ['.html', renderHtml],
]);

export const REPORT_EXTENSIONS: readonly string[] = [...RENDERERS.keys()];

/** Undefined when the extension names no format. */
export function rendererFor(path: string): Renderer | undefined {
  return RENDERERS.get(extname(path).toLowerCase());
}
