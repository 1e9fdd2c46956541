/**
 * Where option values come from besides flags: PRUNE_COMPILE_… variables and a config file. Flags
 * beat variables beat the file.
 */
import { readFileSync } from 'node:fs';
import { messageOf, PruneCompileError } from '../errors.js';
import { nearestNames } from '../nearest.js';
import { flagName, isOptionKey, keyName, OPTION_KEYS, type OptionKey, SPECS } from './options.js';

/** What one place says: texts for options with values, true or false for switches. */
export interface Given {
  readonly key: OptionKey;
  /** How to call the place in an error: --align, PRUNE_COMPILE_ALIGN, align in config.json. */
  readonly source: string;
  readonly setting: boolean | readonly string[];
}

const PREFIX = 'PRUNE_COMPILE_';
/** Read by the native library (kernels/README.md), or written for it: no options. */
const OF_THE_LIBRARY = ['PRUNE_COMPILE_ISA', 'PRUNE_COMPILE_KERNEL', 'PRUNE_COMPILE_ONNXRUNTIME'];
const ON = ['1', 'true', 'yes', 'on'];
const OFF = ['0', 'false', 'no', 'off'];

/** `verify`, `minSpeedup`, and `noVerify` for a switch that is to be off. */
function findKey(name: string): { key: OptionKey; negated: boolean } | undefined {
  if (isOptionKey(name)) return { key: name, negated: false };
  const bare = name.startsWith('no') ? name.charAt(2).toLowerCase() + name.slice(3) : '';
  return isOptionKey(bare) && SPECS[bare].value === undefined ? { key: bare, negated: true } : undefined;
}

/**
 * An empty variable counts as not set. A mistyped one is an error: it may be the gate of a
 * pipeline.
 */
export function fromEnvironment(env: Readonly<Record<string, string | undefined>>): Given[] {
  return Object.entries(env).flatMap(([variable, text]): Given[] => {
    if (!variable.startsWith(PREFIX) || text === undefined || text === '') return [];
    if (OF_THE_LIBRARY.includes(variable)) return [];
    const found = findKey(keyName(variable.slice(PREFIX.length)));
    if (found === undefined) {
      const names = OPTION_KEYS.map((key) => PREFIX + flagName(key).replaceAll('-', '_').toUpperCase());
      throw unknownOption(`the environment variable ${variable}`, nearestNames(variable, names, 1)[0]);
    }
    const { separator, value } = SPECS[found.key];
    if (value === undefined)
      return [{ key: found.key, source: variable, setting: readSwitch(text, variable) !== found.negated }];
    const texts = separator === undefined ? [text] : text.split(separator).map((part) => part.trim());
    return [{ key: found.key, source: variable, setting: texts }];
  });
}

function readSwitch(text: string, source: string): boolean {
  const word = text.toLowerCase();
  if (ON.includes(word)) return true;
  if (OFF.includes(word)) return false;
  throw new PruneCompileError('E-USAGE', {
    what: `${source} takes 1 or 0, not "${text}"`,
    facts: [['for example', `${source}=1`]],
  });
}

export function fromConfig(path: string): Given[] {
  // What editors check the file by says nothing to us.
  const settings = Object.entries(readConfig(path)).filter(([name]) => name !== '$schema');
  return settings.map(([name, value]) => {
    const found = findKey(name);
    if (found === undefined || found.key === 'config')
      throw unknownOption(`${name} in ${path}`, nearestNames(name, OPTION_KEYS, 1)[0]);
    const source = `${name} in ${path}`;
    const setting = configSetting(found.key, value, source);
    return { key: found.key, source, setting: typeof setting === 'boolean' ? setting !== found.negated : setting };
  });
}

function readConfig(path: string): object {
  const unreadable = (why: string, missing: boolean, cause?: unknown) =>
    new PruneCompileError(missing ? 'E-INPUT-MISSING' : 'E-INPUT-UNREADABLE', {
      what: missing ? `there is no config file ${path}` : `cannot read the config file ${path}`,
      facts: [
        ...(missing ? [] : [['why', why] as const]),
        ['for example', '{ "structured": true, "minSpeedup": 1.5 }'],
      ],
      cause,
    });
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw unreadable(messageOf(error), error instanceof Error && 'code' in error && error.code === 'ENOENT', error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw unreadable('it is not a JSON object', false);
  return value;
}

function configSetting(key: OptionKey, value: unknown, source: string): boolean | readonly string[] {
  const isSwitch = SPECS[key].value === undefined;
  if (isSwitch && typeof value === 'boolean') return value;
  const texts = isSwitch ? undefined : textsOf(key, value);
  if (texts === undefined) {
    throw new PruneCompileError('E-USAGE', {
      what: `${source} takes ${isSwitch ? 'true or false' : 'text, a number or a list of them'}, not ${JSON.stringify(value)}`,
    });
  }
  return texts;
}

function textsOf(key: OptionKey, value: unknown): string[] | undefined {
  if (typeof value === 'string' || typeof value === 'number') return [String(value)];
  if (Array.isArray(value)) {
    return value.every((entry) => typeof entry === 'string' || typeof entry === 'number')
      ? value.map(String)
      : undefined;
  }
  // { "shape": { "input": [1, 3, 224, 224] } } reads better than the text of the flag.
  return key === 'shape' && typeof value === 'object' && value !== null
    ? Object.entries(value).map(
        ([input, extents]) => `${input}=${Array.isArray(extents) ? extents.join(',') : String(extents)}`,
      )
    : undefined;
}

export function unknownOption(what: string, near: string | undefined): PruneCompileError {
  return new PruneCompileError('E-USAGE', {
    what: what.startsWith('--') || /^-\w/.test(what) ? `there is no option ${what}` : `${what} is not an option`,
    facts: [['try', near ?? 'prune-compile --help']],
  });
}
