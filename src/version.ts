/** Name and version of the tool, as package.json has them. */
import { readFileSync } from 'node:fs';

interface PackageFile {
  readonly name: string;
  readonly version: string;
}

/**
 * The compiled files lie two folders below the package (dist/src), the sources one: look upwards.
 */
function readPackage(): PackageFile {
  for (const up of ['../../package.json', '../package.json']) {
    try {
      const content: unknown = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8'));
      if (isPackage(content)) return content;
    } catch {
      // Not this level; the other one has it.
    }
  }
  return { name: 'prune-compile', version: '0.0.0' };
}

function isPackage(content: unknown): content is PackageFile {
  return (
    typeof content === 'object' &&
    content !== null &&
    'name' in content &&
    content.name === 'prune-compile' &&
    'version' in content
  );
}

export const TOOL: PackageFile = (({ name, version }) => ({ name, version }))(readPackage());
