/** What `doctor --get cuda` and `doctor --remove cuda` print. */
import { basename, dirname } from 'node:path';
import type { GetPlan, Gotten, Removed } from '../cuda/get.js';
import { printable, shown } from '../printable.js';
import { formatBytes, formatPlural } from './numbers.js';
import { textTable } from './text-table.js';
import { shellWord, wrapText } from './text.js';

const WIDTH = 80;

/** What would be downloaded, under which terms, and how it is undone. */
export function renderPlan(given: GetPlan): string {
  const plan = shown(given);
  const { catalogue, folder, pip } = plan;
  const right = { align: 'right' } as const;
  const rows = catalogue.wheels.map(({ project, version, sizeBytes, unpackedBytes }) => [
    `${project} ${version}`,
    formatBytes(sizeBytes),
    formatBytes(unpackedBytes),
  ]);
  return [
    `CUDA 13 and cuDNN 9 for ONNX Runtime ${catalogue.runtime}, from PyPI`,
    '',
    ...textTable(
      [{}, right, right],
      [
        ['wheel', 'download', 'of it used'],
        ...rows,
        ['together', formatBytes(plan.downloadBytes), formatBytes(plan.unpackedBytes)],
      ],
    ),
    '',
    ...paragraph(`into: ${folder}; the provider files are linked beside onnxruntime-node`),
    ...paragraph(
      "licence: NVIDIA's libraries are under NVIDIA's own terms, which you accept by downloading them. Each wheel has its text (dist-info/licenses), and it is kept in licences/ of that folder",
    ),
    ...paragraph('driver: not among them; an NVIDIA driver from version 580 on comes from your system'),
    ...paragraph('undo: prune-compile doctor --remove cuda'),
    'by hand:',
    `  ${pip.map(shellWord).join(' ')}`,
    '  prune-compile doctor --get cuda --wheels wheels',
    '',
  ].join('\n');
}

export function renderGotten(gotten: Gotten, state: string): string {
  const { folder, wasThere, files, linked, kept } = shown(gotten);
  const bytes = files.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  return [
    ...paragraph(
      `${wasThere ? 'already in' : 'now in'} ${folder}: ${formatPlural(files.length, 'file')}, ${formatBytes(bytes)}`,
    ),
    ...placesText('linked', linked),
    ...placesText('kept as they were', kept),
    ...paragraph(`cuda: ${printable(state)}`),
    '',
  ].join('\n');
}

export function renderRemoved(removed: Removed): string {
  const { folder, wasThere, unlinked } = shown(removed);
  if (!wasThere && unlinked.length === 0) return `nothing to remove: there is no ${folder}\n`;
  return [...(wasThere ? paragraph(`removed: ${folder}`) : []), ...placesText('links removed', unlinked), ''].join(
    '\n',
  );
}

/** Files of one folder. */
function placesText(label: string, places: readonly string[]): string[] {
  const [first] = places;
  if (first === undefined) return [];
  return paragraph(`${label} in ${dirname(first)}: ${places.map((place) => basename(place)).join(', ')}`);
}

function paragraph(text: string): string[] {
  return wrapText(text, WIDTH, '  ');
}
