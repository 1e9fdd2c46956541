/** A report in the format that a file's name asks for; formats are loaded when they are used. */
import { extname } from 'node:path';
import type { CompileReport } from './types.js';

type Renderer = (report: CompileReport) => Promise<string>;

const RENDERERS: ReadonlyMap<string, Renderer> = new Map<string, Renderer>([
  ['.json', async (report) => (await import('./json.js')).renderJson(report)],
  ['.md', async (report) => (await import('./markdown.js')).renderMarkdown(report)],
  ['.html', async (report) => (await import('./html.js')).renderHtml(report)],
]);

export const REPORT_EXTENSIONS: readonly string[] = [...RENDERERS.keys()];

/** Undefined when the extension names no format. */
export function rendererFor(path: string): Renderer | undefined {
  return RENDERERS.get(extname(path).toLowerCase());
}
