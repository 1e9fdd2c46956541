/** Reports as JSON (docs/report.md describes the schema). */
import { jsonText } from '../printable.js';

/** Indented, but lists of numbers on one line: a benchmark's samples are not a screen each. */
export function renderJson(value: unknown): string {
  const text = jsonText(value, 2);
  // A raw line break cannot be inside a JSON string, so that this never touches text.
  return `${text.replace(/\[\n[\d\s.,eE+-]+\]/g, (list) => list.replace(/\s+/g, ' ').replace('[ ', '[').replace(' ]', ']'))}\n`;
}
