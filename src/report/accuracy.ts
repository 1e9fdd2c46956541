/** How often models are right, beside each other. */
import { shown } from '../printable.js';
import type { Accuracy } from '../samples/accuracy.js';
import { formatInteger, formatShare } from './numbers.js';
import { textTable } from './text-table.js';
import { wrapText } from './text.js';

const WIDTH = 80;

/** `94 of 100 (94.0 %)` */
export function ofSamples(count: number, samples: number): string {
  return `${formatInteger(count)} of ${formatInteger(samples)} (${formatShare(count / Math.max(samples, 1))})`;
}

export function renderAccuracy(given: Accuracy): string {
  return `\n${accuracyLines(shown(given)).join('\n')}\n`;
}

/** `same answer`: the largest score is that of the same class as in the first model. */
export function accuracyRows({ models, samples }: Accuracy): { head: string[]; rows: string[][] } {
  const hasTop5 = models.some(({ top5 }) => top5 !== undefined);
  return {
    head: ['right (top-1)', ...(hasTop5 ? ['among five (top-5)'] : []), 'same answer', 'model'],
    rows: models.map(({ name, top1, top5, alike }, at) => [
      ofSamples(top1, samples),
      ...(hasTop5 ? [top5 === undefined ? '' : ofSamples(top5, samples)] : []),
      at === 0 ? '' : `${formatInteger(alike)} of ${formatInteger(samples)}`,
      name,
    ]),
  };
}

function accuracyLines(accuracy: Accuracy): string[] {
  const { inputs, labels, output, classes } = accuracy;
  const { head, rows } = accuracyRows(accuracy);
  const what = `accuracy on ${inputs}, classes of ${labels}, scores of output "${output}" (${formatInteger(classes)} classes)`;
  return [
    ...wrapText(what, WIDTH, '  '),
    ...textTable(
      head.map(() => ({})),
      [head, ...rows],
    ),
  ];
}
