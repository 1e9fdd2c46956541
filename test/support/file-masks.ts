/**
 * Masks of real files under the names of the parameters they are for. Bytes are read by the
 * project's readers and checked against the manifest; names, kinds and shapes are interpreted here
 * again, without src/masks/{claims,names,bind,expand}.
 */
import { expect } from 'vitest';
import { readMaskFile } from '../../src/masks/read.js';
import { factsOf, type Listed, tensorsIn } from '../masks/manifest.js';
import type { RawNetwork } from './raw-network.js';

export interface FileMask {
  /** layer1.0.conv1.weight */
  readonly parameter: string;
  readonly dims: readonly number[];
  /** 0 and 1, as many as the file has. */
  readonly kept: Uint8Array;
}

/** `prefix` is what was put before every name when the file was saved. */
export function masksOf(path: string, prefix = '', listed?: Listed): FileMask[] {
  const tensors = [...tensorsIn(readMaskFile(path).root)].map(([key, tensor]) => ({ key: inside(key), tensor }));
  for (const { key, tensor } of listed === undefined ? [] : tensors) {
    const said = listed?.tensors[key] ?? listed?.tensors[`masks/${key}`];
    if (said !== undefined) expect({ ...factsOf(tensor), dtype: '' }, key).toEqual({ ...said, dtype: '' });
  }
  const named = tensors.map(({ key, tensor }) => ({ name: plainName(key, prefix), tensor }));
  const hasMasks = named.some(({ name }) => name.endsWith('_mask'));
  const isStateDict = named.some(({ name }) => name.endsWith('.running_mean'));
  return named
    .filter(({ name, tensor }) =>
      hasMasks ? name.endsWith('_mask') : !isStateDict || (name.endsWith('.weight') && tensor.dims.length > 1),
    )
    .map(({ name, tensor }) => ({
      parameter: parameterName(name, prefix),
      dims: tensor.dims,
      kept: Uint8Array.from(tensor.toTensor().numbers(), (value) => (value === 0 ? 0 : 1)),
    }))
    .filter(({ kept }) => !isStateDict || hasMasks || kept.includes(0));
}

/** What the key of a mask is about, whoever says it: the file or the report. */
export function parameterName(key: string, prefix = ''): string {
  const name = plainName(inside(key), prefix).replace(/_mask$/, '');
  return /\.(weight|bias)$/.test(name) ? name : `${name}.weight`;
}

/** Without the key of the dictionary around. */
function inside(key: string): string {
  return key.replace(/^(masks|state_dict)[./]/, '');
}

function plainName(key: string, prefix: string): string {
  const name = key.replaceAll('/', '.');
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}

/** Elements of the parameters that the masks make zero. */
export function zerosOf(mask: FileMask, network: RawNetwork): number {
  const elements = network.floats(mask.parameter).length;
  return mask.kept.filter((keep) => keep === 0).length * (elements / mask.kept.length);
}

/** The network with the masks in its weights. */
export function applyMasks(network: RawNetwork, masks: readonly FileMask[]): RawNetwork {
  for (const { parameter, kept } of masks) network.zero(parameter, kept);
  return network;
}

/** The network without the filters that are masked altogether. */
export function dropMasked(network: RawNetwork, masks: readonly FileMask[]): RawNetwork {
  applyMasks(network, masks);
  const convolutions = new Set(network.convolutionWeights());
  for (const { parameter } of masks) if (convolutions.has(parameter)) network.dropEmptyFilters(parameter);
  return network;
}
