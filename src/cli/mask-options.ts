/** The options about masks, as the API takes them; the map is read from its file here. */
import { readFileSync } from 'node:fs';
import { messageOf, PruneCompileError } from '../errors.js';
import type { MaskOptions } from '../masked-model.js';
import { present } from './context.js';
import type { Options } from './options.js';

export function maskOptions(options: Options): MaskOptions {
  const { masks, meaning, maskPrefix, maskMap, maskSoft, maskLayout, allowUnmatched } = options;
  if (masks === undefined) {
    const idle = Object.entries({ maskPrefix, maskMap, maskSoft, maskLayout, allowUnmatched }).find(
      ([, value]) => value !== undefined,
    );
    if (idle !== undefined)
      throw new PruneCompileError('E-USAGE', {
        what: `--${idle[0].replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} says something about masks, and there are none`,
        facts: [['try', '--masks FILE']],
      });
  }
  return present({
    masks,
    meaning,
    maskPrefix,
    maskSoft,
    maskLayout,
    allowUnmatched,
    maskMap: maskMap === undefined ? undefined : readMaskMap(maskMap),
  });
}

function readMaskMap(path: string): Readonly<Record<string, string | null>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw wrongMap(path, messageOf(error));
  }
  if (!isMaskMap(parsed)) throw wrongMap(path, 'it is not an object of texts or null');
  return parsed;
}

function isMaskMap(value: unknown): value is Record<string, string | null> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((target) => target === null || typeof target === 'string')
  );
}

function wrongMap(path: string, why: string): PruneCompileError {
  return new PruneCompileError('E-MASK-MAP', {
    what: `cannot use ${path} as --mask-map`,
    facts: [
      ['why', why],
      ['wanted', '{ "layer1.0.conv1.weight_mask": "onnx::Conv_495", "fc.weight_mask": null }'],
    ],
  });
}
