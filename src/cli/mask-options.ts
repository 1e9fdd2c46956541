/** The options about masks, as the API takes them; the map is read from its file here. */
import { readFileSync } from 'node:fs';
import { messageOf, PruneCompileError } from '../errors.js';
import type { MaskOptions } from '../masking/masking.js';
import { present } from './context.js';
import { flagName, type Options, optionsOf } from './options.js';

type MaskMap = NonNullable<MaskOptions['maskMap']>;

export function maskOptions(options: Options): MaskOptions {
  const { masks, meaning, maskMap, ...others } = optionsOf(options, ['Masks']);
  const [idle] = Object.keys(others).concat(maskMap === undefined ? [] : 'maskMap');
  if (masks === undefined && idle !== undefined)
    throw new PruneCompileError('E-USAGE', {
      what: `--${flagName(idle)} has no effect without masks`,
      facts: [['try', '--masks FILE']],
    });
  return {
    ...others,
    ...present({ masks, meaning, maskMap: maskMap === undefined ? undefined : readMaskMap(maskMap) }),
  };
}

function readMaskMap(path: string): MaskMap {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw wrongMap(path, messageOf(error));
  }
  if (!isMaskMap(parsed)) throw wrongMap(path, 'it is not an object of texts, lists of texts or null');
  return parsed;
}

function isMaskMap(value: unknown): value is MaskMap {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((target) => target === null || isText(target) || isListOfTexts(target))
  );
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isListOfTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every(isText);
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
