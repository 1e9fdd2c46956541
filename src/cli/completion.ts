/** What a shell may complete: commands and options, from their tables; all else is a file. */
import { COMMANDS, isCommand } from './command-table.js';
import { OPTION_KEYS, shownFlag, SPECS, takesValue } from './options.js';

/**
 * The words that the last of `words` may become. None where a file is meant: the shell then lists
 * files.
 */
export function completionsOf(words: readonly string[]): string[] {
  const typed = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const [first = ''] = before;
  const fits = (word: string) => word.startsWith(typed);
  if (before.length === 0 && !typed.startsWith('-')) return Object.keys(COMMANDS).filter(fits);
  if (!typed.startsWith('-') || takesValue(before.at(-1))) return [];
  const command = isCommand(first) ? first : 'compile';
  const keys = OPTION_KEYS.filter((key) => SPECS[key].commands.includes(command));
  return [...keys.map(shownFlag), '--help', '--version'].filter(fits).toSorted();
}
