/** What an option is, and which commands share some. */
import type { CommandName } from './command-table.js';
import type { Reader } from './values.js';

export const GROUPS = [
  'Output',
  'Masks',
  'Making masks',
  'Exploring',
  'Compiling',
  'Checks',
  'Real inputs',
  'Benchmark',
  'Debugging',
  'General',
] as const;

export interface OptionSpec<T> {
  readonly group: (typeof GROUPS)[number];
  readonly alias?: string;
  /** What stands for the value in the help; without it the option is a switch. */
  readonly value?: string;
  /** May be given several times. */
  readonly repeatable?: boolean;
  /** What separates several of them in an environment variable. */
  readonly separator?: string;
  readonly help: string;
  /** Where a command has something else to say. */
  readonly helpOf?: Partial<Readonly<Record<CommandName, string>>>;
  readonly commands: readonly CommandName[];
  readonly read: Reader<T>;
}

export const EVERY: readonly CommandName[] = [
  'compile',
  'inspect',
  'why',
  'mask',
  'verify',
  'bench',
  'explore',
  'doctor',
];
export const ALIGNING: readonly CommandName[] = ['compile', 'inspect', 'explore'];
export const JUDGING: readonly CommandName[] = ['compile', 'inspect'];
export const MASKING: readonly CommandName[] = ['compile', 'inspect', 'why'];
export const RUNNING: readonly CommandName[] = ['compile', 'verify', 'bench', 'explore'];
export const GIVEN: readonly CommandName[] = ['verify', 'bench'];
export const MEASURING: readonly CommandName[] = ['compile', 'bench', 'explore'];
export const PROVIDING: readonly CommandName[] = ['compile', 'verify', 'bench'];
export const ROUNDS: readonly CommandName[] = ['compile', 'bench', 'explore', 'doctor'];
export const WRITING: readonly CommandName[] = ['compile', 'mask', 'explore', 'doctor'];
export const MAKING: readonly CommandName[] = ['mask'];
export const COMPILE: readonly CommandName[] = ['compile'];
export const PRUNING: readonly CommandName[] = ['mask', 'explore'];
export const SPARSE: readonly CommandName[] = ['compile', 'explore'];
export const REPORTING: readonly CommandName[] = ['compile', 'explore'];
export const DRY: readonly CommandName[] = ['compile', 'mask', 'explore'];
export const EXPLORE: readonly CommandName[] = ['explore'];

/** Switches are read before: their reader only gives them a type. */
export const onOff: Reader<boolean> = () => true;

export function option<T, Group extends (typeof GROUPS)[number]>(
  group: Group,
  commands: readonly CommandName[],
  help: string,
  spec: Omit<OptionSpec<T>, 'group' | 'commands' | 'help'>,
): OptionSpec<T> & { readonly group: Group } {
  return { group, commands, help, ...spec };
}
