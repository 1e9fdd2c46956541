/** A report in the format that a file's name asks for. */
import { extname } from 'node:path';
import { renderHtml } from './html.js';
import { renderJson } from './json.js';
import { renderMarkdown } from './markdown.js';
import type { CompileReport } from './types.js';

const RENDERERS: Readonly<Record<string, (report: CompileReport) => string>> = {
  '.json': renderJson,
  '.md': renderMarkdown,
  '.html': renderHtml,
};

export const REPORT_EXTENSIONS: readonly string[] = Object.keys(RENDERERS);

/** Undefined when the extension names no format. */
export function rendererFor(path: string): ((report: CompileReport) => string) | undefined {
  return RENDERERS[extname(path).toLowerCase()];
}
