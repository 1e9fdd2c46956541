/**
 * Command line, environment and config file -> what to do. Throws E-USAGE errors that name the
 * place of the mistake.
 */
import { existsSync } from 'node:fs';
import yargsParser from 'yargs-parser';
import { PruneCompileError } from '../errors.js';
import { shellWord } from '../report/text.js';
import { fromConfig, fromEnvironment, type Given, unknownOption } from './layers.js';
import { nearestNames } from '../nearest.js';
import { type CommandName, COMMANDS, isCommand } from './command-table.js';
import {
  flagName,
  keyName,
  isOptionKey,
  ON_BY_DEFAULT,
  OPTION_KEYS,
  type Options,
  shownFlag,
  SPECS,
  takesValue,
} from './options.js';

export interface Invocation {
  readonly command: CommandName;
  /** Whether --help or --version was given instead of something to do. */
  readonly asks: 'help' | 'version' | undefined;
  /** Whether the command was named: help without a command is about all. */
  readonly named: boolean;
  readonly positionals: readonly string[];
  readonly options: Options;
  /** A config file that nobody named, and that is used. */
  readonly foundConfig?: string;
  /** Where each option was set, nearest first. */
  readonly sources: readonly string[];
}

export function parseInvocation(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Invocation {
  const { words, flags, asks } = parseFlags(argv);
  const [first] = words;
  const named = first !== undefined && isCommand(first);
  const command = named ? first : 'compile';
  const positionals = named ? words.slice(1) : words;
  if (asks !== undefined) return { command, asks, named, positionals, options: {}, sources: [] };
  checkApplies(flags, command);
  checkPositionals(command, named, positionals);
  return { command, asks, named, positionals, ...readOptions(flags, env, command) };
}

/** Options that are no settings. */
const GENERAL: readonly string[] = ['help', 'version'];

/**
 * The parser of yargs takes the words apart; names, values and their errors are ours, because they
 * come from three places. yargs itself would be loaded for nothing: it takes ten times as long.
 */
function parseFlags(typed: readonly string[]): { words: string[]; flags: Given[]; asks: Invocation['asks'] } {
  refuseDashedValues(typed);
  refuseUnknown(typed);
  // yargs would make a file called false of it.
  const end = typed.indexOf('--');
  const isNoConfig = (word: string, at: number) => word === '--no-config' && (end < 0 || at < end);
  const argv = typed.filter((word, at) => !isNoConfig(word, at));
  const switches = OPTION_KEYS.filter((key) => SPECS[key].value === undefined).map(flagName);
  const withValue = OPTION_KEYS.filter((key) => SPECS[key].value !== undefined).map(flagName);
  const aliases = Object.fromEntries(
    OPTION_KEYS.flatMap((key) => (SPECS[key].alias === undefined ? [] : [[flagName(key), [SPECS[key].alias]]])),
  );
  const {
    _: words,
    help,
    version,
    ...rest
  }: Record<string, unknown> = yargsParser(withDashes(argv), {
    boolean: [...switches, ...GENERAL],
    array: withValue,
    string: withValue,
    alias: { ...aliases, help: ['h'], version: ['V'] },
    configuration: {
      'camel-case-expansion': false,
      'strip-aliased': true,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'greedy-arrays': false,
    },
  });
  const flags = Object.entries(rest).flatMap(([name, value]) => (value === undefined ? [] : [flagGiven(name, value)]));
  // The file that would be found is left alone.
  if (typed.some(isNoConfig)) flags.unshift({ key: 'config', source: '--no-config', setting: false });
  return {
    words: Array.isArray(words) ? words.map(String) : [],
    flags,
    asks: help === true ? 'help' : version === true ? 'version' : undefined,
  };
}

/**
 * Before yargs sees them: it looks names of options up in plain objects, where it finds
 * `constructor`.
 */
function refuseUnknown(argv: readonly string[]): void {
  const end = argv.indexOf('--');
  for (const word of end < 0 ? argv : argv.slice(0, end)) {
    const [, no = '', name = ''] = /^--(no-)?([^=]+)/.exec(word) ?? [];
    if (name !== '' && !GENERAL.includes(no + name) && !isFlag(name) && !isFlag(no + name))
      throw unknownFlag(no + name);
  }
}

function isFlag(name: string): boolean {
  const key = keyName(name);
  return isOptionKey(key) && flagName(key) === name;
}

/** A part of a name that says something. */
const LEAST_PART = 3;

function unknownFlag(name: string): PruneCompileError {
  const typed = name.length === 1 ? `-${name}` : `--${name}`;
  const flags = OPTION_KEYS.map(shownFlag);
  // `--speedup` is a part of `--min-speedup`: the shortest name that has it.
  const longer = flags.filter((flag) => name.length >= LEAST_PART && flag.includes(name.toLowerCase()));
  const [shortest] = longer.toSorted((one, other) => one.length - other.length);
  return unknownOption(typed, shortest ?? nearestNames(typed, flags, 1)[0]);
}

/** `--output -x.onnx`: the name of a file, or an option that is mistyped. Both are told. */
function refuseDashedValues(argv: readonly string[]): void {
  const end = argv.indexOf('--');
  for (const [index, word] of (end < 0 ? argv : argv.slice(0, end)).entries()) {
    const option = argv[index - 1];
    const [, name] = /^--(?:no-)?([^=]+)/.exec(word) ?? [];
    const isOption = name === undefined ? word.length <= 2 : GENERAL.includes(name) || isFlag(name);
    if (option === undefined || !word.startsWith('-') || isOption || !takesValue(option)) continue;
    const long = OPTION_KEYS.map(flagName).find((flag) => option === `--${flag}` || option === `-${aliasOf(flag)}`);
    throw new PruneCompileError('E-USAGE', {
      what: `${option} has no value, and there is no option ${word}`,
      facts: [['try', `--${long ?? ''}=${shellWord(word)}, where that is the value: it begins with a dash`]],
    });
  }
}

function aliasOf(flag: string): string | undefined {
  const key = keyName(flag);
  return isOptionKey(key) ? SPECS[key].alias : undefined;
}

/** yargs takes a lone `-` for a word of its own: `--output -` becomes `--output=-`. */
function withDashes(argv: readonly string[]): string[] {
  return argv.flatMap((word, index) => {
    if (word === '-' && takesValue(argv[index - 1])) return [];
    return argv[index + 1] === '-' && takesValue(word) ? [`${word}=-`] : [word];
  });
}

function flagGiven(name: string, value: unknown): Given {
  const key = keyName(name);
  if (!isOptionKey(key) || flagName(key) !== name) throw unknownFlag(name);
  const source = `--${name}`;
  if (SPECS[key].value === undefined)
    return { key, source, setting: Array.isArray(value) ? value.at(-1) === true : value === true };
  return { key, source, setting: Array.isArray(value) ? value.map(String) : [] };
}

function checkApplies(flags: readonly Given[], command: CommandName): void {
  const wrong = flags.find(({ key }) => !SPECS[key].commands.includes(command));
  if (wrong === undefined) return;
  throw new PruneCompileError('E-USAGE', {
    what: `${command} has no option ${shownFlag(wrong.key)}`,
    facts: [
      ['why', `it belongs to ${SPECS[wrong.key].commands.join(', ')}`],
      ['try', `prune-compile ${command} --help`],
    ],
  });
}

function checkPositionals(command: CommandName, named: boolean, positionals: readonly string[]): void {
  const { least, most, usage } = COMMANDS[command];
  const [first, second] = positionals;
  // `prune-compile inspct model.onnx`: a word that looks like a command and is no file.
  if (!named && first !== undefined && !/[./\\]/.test(first) && !existsSync(first)) {
    const near = nearestNames(first, Object.keys(COMMANDS), 1).find(isCommand);
    if (near !== undefined || positionals.length > 1) {
      throw new PruneCompileError('E-USAGE', {
        what: `there is no command ${first}`,
        facts: [['try', near === undefined ? 'prune-compile --help' : `prune-compile ${near} ${COMMANDS[near].usage}`]],
      });
    }
  }
  if (positionals.length >= least && positionals.length <= most) return;
  const call = named ? `prune-compile ${command}` : 'prune-compile';
  const meant =
    command === 'compile' && first !== undefined && second !== undefined && positionals.length === 2
      ? `${call} ${shellWord(first)} --output ${shellWord(second)}`
      : `${call} ${usage}`.trimEnd();
  throw new PruneCompileError('E-USAGE', {
    what:
      positionals.length === 0
        ? `${command} takes ${usage}`
        : most === 0
          ? `${command} takes options only, but got ${positionals.join(', ')}`
          : `${command} takes ${usage}, but got ${positionals.length}: ${positionals.join(', ')}`,
    facts: [
      ['try', meant],
      ['help', named ? `prune-compile ${command} --help` : 'prune-compile --help'],
    ],
  });
}

function readOptions(
  flags: readonly Given[],
  env: Readonly<Record<string, string | undefined>>,
  command: CommandName,
): Pick<Invocation, 'options' | 'foundConfig' | 'sources'> {
  const variables = fromEnvironment(env);
  const nearer = [...flags, ...variables];
  const config = nearer.find(({ key }) => key === 'config');
  const isOff = config?.setting === false;
  const path = config === undefined || isOff ? undefined : SPECS.config.read(settingTexts(config), config.source);
  const foundConfig = config === undefined && existsSync(CONFIG_FILE) ? CONFIG_FILE : undefined;
  const ofFile = foundConfig === undefined ? (typeof path === 'string' ? fromConfig(path) : []) : found(foundConfig);
  const given = [...nearer.filter(({ setting, key }) => key !== 'config' || setting !== false), ...ofFile];
  const entries: [string, unknown][] = [];
  const sources: string[] = [];
  for (const key of OPTION_KEYS) {
    const nearest = given.find((entry) => entry.key === key);
    // Variables and config files serve all commands: what is not for this one is checked, and left
    // out.
    const value = nearest === undefined ? undefined : readValue(nearest);
    if (value !== undefined && SPECS[key].commands.includes(command)) {
      entries.push([key, value]);
      if (nearest !== undefined) sources.push(nearest.source);
    } else if (ON_BY_DEFAULT.includes(key)) entries.push([key, true]);
  }
  const options: Options = Object.fromEntries(entries);
  if (options.quiet === true && options.verbose === true)
    throw new PruneCompileError('E-USAGE', {
      what: '--quiet and --verbose exclude each other',
      facts: [['try', 'one of the two']],
    });
  return { options, sources, ...(foundConfig !== undefined && { foundConfig }) };
}

/** In the working directory; used where no other one is named. */
export const CONFIG_FILE = 'prune-compile.config.json';

/** Somebody else may have put it there: it starts no commands. */
function found(path: string): Given[] {
  const given = fromConfig(path);
  const command = given.find(({ key }) => key === 'evaluate');
  if (command === undefined) return given;
  throw new PruneCompileError('E-USAGE', {
    what: `${command.source} is a command, which only files that are named may give`,
    facts: [['try', `--config ${path}; or --no-config, to ignore the file`]],
  });
}

function settingTexts({ setting }: Given): readonly string[] {
  return typeof setting === 'boolean' ? [] : setting;
}

function readValue(given: Given): unknown {
  return typeof given.setting === 'boolean' ? given.setting : SPECS[given.key].read(given.setting, given.source);
}
