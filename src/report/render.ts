/** A report in the format that a file's name asks for. */
import { extname } from 'node:path';
import { renderHtml } from './html.js';
import { renderJson } from './json.js';
import { renderMarkdown } from './markdown.js';
import type { CompileReport } from './types.js';

const RENDERERS: ReadonlyMap<string, (report: CompileReport) => string> = new Map([
  ['.json', renderJson],
  ['.md', renderMarkdown],
  ['.html', renderHtml],
]);

export const REPORT_EXTENSIONS: readonly string[] = [...RENDERERS.keys()];

/** Undefined when the extension names no format. */
export function rendererFor(path: string): ((report: CompileReport) => string) | undefined {
  return RENDERERS.get(extname(path).toLowerCase());
}
